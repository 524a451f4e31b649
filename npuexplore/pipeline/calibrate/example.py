"""A file of measurements from which every coefficient can be told; its figures are made up."""

from __future__ import annotations

EXAMPLE = """\
# For npuexplore calibrate --profile stm32f746: the cycles are made up, put in those of your board.
# A row is a layer or a network without its front end; docs/calibrate.md says how to measure one.
kind,inputs,outputs,structure,sparsity,block,network,cycles,board,stack,date
fc,32,32,,,,,3545,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,64,64,,,,,10479,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,256,256,,,,,132695,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
lstm,16,32,,,,,29598,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
lstm,16,64,,,,,74691,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
lstm,128,128,,,,,333620,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,128,128,block,0.8,4x16,,10423,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,256,256,block,0.8,4x16,,35818,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
network,,,,,,tinylstm,2266104,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
"""
