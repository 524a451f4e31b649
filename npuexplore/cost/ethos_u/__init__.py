"""Arm Ethos-U after the cost model of Arm's compiler Vela: blocks, streams, commands, layers."""
