"""Cycles of dense matrix-vector products on a Cortex-M, from the loops of the kernel that runs them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import add
from typing import Any

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
    loops = reduce(add, (_loop_cycles(kernel, phase, inputs, outputs) for phase in kernel.phases))
    rest = np.where(inputs > 0, _by_size(partial(_row_cycles, kernel), outputs), 0.0)
    return np.asarray(loops), np.asarray(rest)


def row_passes(phase: RowPhase, outputs: Counts) -> Counts:
    """Passes of a loop over rows."""
    left = outputs % phase.within if phase.within else outputs
    return np.asarray(left // phase.rows)


def input_cycles(phase: RowPhase, inputs: Counts, *, fast_inputs: int = 0) -> Cycles:
    """Cycles of the loops over inputs in one pass; none without inputs."""
    fast = np.minimum(inputs, fast_inputs) if fast_inputs else inputs
    step = phase.tail.size
    cycles = phase.per_step * (fast // step) + phase.tail[fast % step]
    cycles += np.append(phase.short, 0.0)[np.minimum(inputs, phase.short.size)]
    cycles += phase.per_late_input * (inputs - fast)
    return np.where(inputs > 0, cycles, 0.0)


def _loop_cycles(kernel: ProductKernel, phase: RowPhase, inputs: Counts, outputs: Counts) -> Cycles:
    """Cycles of the loops over inputs in all passes of a phase."""
    per_pass = partial(input_cycles, phase, fast_inputs=kernel.fast_inputs)
    return np.asarray(_by_size(partial(row_passes, phase), outputs) * _by_size(per_pass, inputs))


def _row_cycles(kernel: ProductKernel, outputs: Counts) -> Cycles:
    """Cycles of rows, whatever their inputs, and of the call; none without rows."""
    cycles = np.full(outputs.shape, kernel.per_call)
    for phase in kernel.phases:
        passes = row_passes(phase, outputs)
        cycles += passes * phase.per_pass + (passes > 0) * phase.once
    return np.where(outputs > 0, cycles, 0.0)


def _by_size(figure: Callable[[Counts], NDArray[Any]], sizes: Counts) -> NDArray[Any]:
    """A figure of every size, looked up where there are more of them than different ones can be."""
    sizes = np.asarray(sizes)
    most = int(sizes.max(initial=0)) + 1
    return figure(np.arange(most))[sizes] if sizes.size > most else figure(sizes)
