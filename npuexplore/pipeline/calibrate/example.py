"""A file of measurements from which every coefficient can be told; its figures are made up."""

from __future__ import annotations

EXAMPLE = """\
# An example for npuexplore calibrate: replace the cycles, which are made up, by what your board takes.
# A row is a layer or a network without its front end; docs/calibrate.md says how to measure one.
kind,inputs,outputs,structure,sparsity,block,network,cycles,board,stack,date
fc,32,32,,,,,3500,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,64,64,,,,,9700,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,256,256,,,,,129000,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
lstm,16,32,,,,,33000,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
lstm,128,128,,,,,314000,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,128,128,block,0.8,4x16,,9000,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
fc,256,256,block,0.8,4x16,,30000,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
network,,,,,,tinylstm,2300000,my board,CMSIS-NN 7.0 gcc 12.2 -Ofast,2026-01-31
"""
