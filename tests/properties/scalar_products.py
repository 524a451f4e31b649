"""Scalar twin of `cost/cortex_m/product.py`: every pass of every loop counted one by one."""

from __future__ import annotations

from npuexplore.hardware.kernels.product import ProductKernel, RowPhase


def counted_product_cycles(kernel: ProductKernel, *, inputs: int, outputs: int) -> float:
    """Cycles of one product."""
    if inputs == 0 or outputs == 0:
        return 0.0
    cycles = kernel.per_call
    for phase in kernel.phases:
        rows, entered = outputs, False
        while phase.within and rows >= phase.within:
            rows -= phase.within
        while rows >= phase.rows:
            cycles += counted_pass_cycles(phase, inputs, fast_inputs=kernel.fast_inputs)
            rows, entered = rows - phase.rows, True
        if entered:
            cycles += phase.once
    return cycles


def counted_pass_cycles(phase: RowPhase, inputs: int, *, fast_inputs: int) -> float:
    """Cycles of one pass over a group of rows."""
    cycles, left = phase.per_pass, inputs
    while fast_inputs and left > fast_inputs:
        cycles += phase.per_late_input
        left -= 1
    while left >= len(phase.tail):
        cycles += phase.per_step
        left -= len(phase.tail)
    cycles += float(phase.tail[left])
    return cycles + (float(phase.short[inputs]) if inputs < len(phase.short) else 0.0)
