"""Cycles of dense matrix-vector products on a Cortex-M, from the loops of the kernel that runs them."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.kernels.product import ProductKernel, RowPhase

Counts = NDArray[np.int64]
Cycles = NDArray[np.float64]


def product_cycles(kernel: ProductKernel, *, inputs: Counts, outputs: Counts) -> Cycles:
    """Cycles of products of `outputs` rows with `inputs` columns each, with zero-wait memory.

    inputs, outputs : int64, broadcast against each other ; a product without rows or columns takes nothing.

    >>> from npuexplore.hardware.kernels.product import product_kernel
    >>> kernel = product_kernel("m4", "gcc12.2-Ofast", "fc_s16")
    >>> product_cycles(kernel, inputs=np.array([64, 65]), outputs=np.array([32])).round()
    array([7793., 8034.])
    """
    loops, rest = product_parts(kernel, inputs=inputs, outputs=outputs)
    return np.asarray(loops + rest)


def product_parts(kernel: ProductKernel, *, inputs: Counts, outputs: Counts) -> tuple[Cycles, Cycles]:
    """The same in two parts: loops over inputs, and everything else (rows, and the call itself)."""
    inputs, outputs = np.asarray(inputs), np.asarray(outputs)
    passes = [row_passes(phase, outputs) for phase in kernel.phases]
    loops = reduce(
        add,
        (
            count * input_cycles(phase, inputs, fast_inputs=kernel.fast_inputs)
            for phase, count in zip(kernel.phases, passes, strict=True)
        ),
    )
    rest = reduce(
        add,
        (
            count * phase.per_pass + (count > 0) * phase.once
            for phase, count in zip(kernel.phases, passes, strict=True)
        ),
        kernel.per_call,
    )
    some = (inputs > 0) & (outputs > 0)
    return np.asarray(np.where(some, loops, 0.0)), np.asarray(np.where(some, rest, 0.0))


def row_passes(phase: RowPhase, outputs: Counts) -> Counts:
    """Passes of a loop over rows."""
    left = outputs % phase.within if phase.within else outputs
    return np.asarray(left // phase.rows)


def input_cycles(phase: RowPhase, inputs: Counts, *, fast_inputs: int = 0) -> Cycles:
    """Cycles of the loops over inputs in one pass."""
    fast = np.minimum(inputs, fast_inputs) if fast_inputs else inputs
    step = phase.tail.size
    cycles = phase.per_step * (fast >> step.bit_length() - 1) + phase.tail[fast & step - 1]
    if phase.short.size:
        cycles += np.append(phase.short, 0.0)[np.minimum(inputs, phase.short.size)]
    if fast_inputs:
        cycles += phase.per_late_input * (inputs - fast)
    return np.asarray(cycles)
