"""Scalar twins of `cost/cortex_m/recurrent.py` and `elementwise.py`: steps and groups one by one."""

from __future__ import annotations

from scalar_products import counted_product_cycles

from npuexplore.hardware.kernels.elementwise import PassKernel
from npuexplore.hardware.kernels.recurrent import StepKernel, StepRest


def counted_pass_cycles(kernel: PassKernel, elems: int) -> float:
    """Cycles of one pass over a vector."""
    if elems == 0:
        return 0.0
    cycles, left = kernel.per_call, elems
    for loop in kernel.loops:
        entered = False
        while left >= loop.elems or (loop.masked and left > 0):
            cycles += loop.per_group
            left, entered = max(left - loop.elems, 0), True
        cycles += loop.once if entered else 0.0
    return cycles + float(kernel.left[left])


def counted_sequence_cycles(
    kernel: StepKernel, *, inputs: int, units: int, steps: int, stateful: bool
) -> float:
    """Cycles of a recurrent layer called for a sequence."""
    if units == 0 or steps == 0:
        return 0.0
    layer = kernel.layer
    cycles = layer.per_call + units * (layer.per_copied_unit if stateful else layer.per_cleared_unit)
    for step in range(steps):
        for _ in range(kernel.gates):
            cycles += counted_product_cycles(kernel.product, inputs=inputs, outputs=units)
            if stateful or step > 0:
                cycles += counted_product_cycles(kernel.product, inputs=units, outputs=units)
        cycles += kernel.activation_per_step + kernel.activation_per_unit * units
        cycles += counted_rest_cycles(kernel.rest, units)
    return cycles


def counted_rest_cycles(rest: StepRest, units: int) -> float:
    """Cycles of one step beside products and table look-ups."""
    cycles = rest.per_step
    for first in range(0, units, 4):
        cycles += rest.per_vector + rest.per_unit * len(range(first, min(first + 4, units)))
    left = units
    while left >= 8:
        left -= 8
    entered = False
    while left >= 2:
        cycles, left, entered = cycles + rest.per_left_pair, left - 2, True
    return cycles + (rest.left_pairs_once if entered else 0.0) + (rest.per_odd if left else 0.0)
