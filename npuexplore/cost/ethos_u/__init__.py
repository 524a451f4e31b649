"""Arm Ethos-U after the cost model of Arm's compiler Vela: blocks, streams, commands, layers."""

from npuexplore.cost.ethos_u.coder import GRID_ZEROS_FRAC, encoded_bytes
from npuexplore.cost.ethos_u.layers import layer_costs

__all__ = ["GRID_ZEROS_FRAC", "encoded_bytes", "layer_costs"]
