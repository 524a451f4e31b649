"""Arm Ethos-U after the cost model of Arm's compiler Vela: blocks, streams, commands, layers."""

from npuexplore.cost.ethos_u.layers import encoded_bytes, layer_costs, product_npu_cycles

__all__ = ["encoded_bytes", "layer_costs", "product_npu_cycles"]
