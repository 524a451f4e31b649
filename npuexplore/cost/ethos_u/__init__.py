"""Arm Ethos-U after the cost model of Arm's compiler Vela: blocks, streams, commands, layers."""

from npuexplore.cost.ethos_u.coder import PlannedWeights, planned_sizes
from npuexplore.cost.ethos_u.layers import layer_costs
from npuexplore.cost.ethos_u.purposes import waterfall
from npuexplore.cost.ethos_u.tensors import stored_bytes

__all__ = ["PlannedWeights", "layer_costs", "planned_sizes", "stored_bytes", "waterfall"]
