"""The generic microNPU: a MAC array, a weight decoder, formats that skip or shrink zeros, a CPU beside it."""

from npuexplore.cost.micronpu.layers import layer_costs
from npuexplore.cost.micronpu.waterfall import waterfall

__all__ = ["layer_costs", "waterfall"]
