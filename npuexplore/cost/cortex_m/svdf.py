"""Cycles of SVDF layers on a Cortex-M: a product with the inputs, then sums over each feature's memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.hardware.kernels.svdf import SvdfKernel
from npuexplore.units import ceil_div

Counts = NDArray[np.int64]
Cycles = NDArray[np.float64]


def svdf_cycles(
    kernel: SvdfKernel, *, inputs: Counts, units: Counts, rank: Counts, memory_steps: Counts
) -> Cycles:
    """Cycles of SVDF layers of int8 weights and state, one step each, with zero-wait memory.

    inputs, units, rank, memory_steps : int64, broadcast against each other ; a layer has `units * rank`
    features, each with a memory of `memory_steps`.

    >>> from npuexplore.hardware.kernels.svdf import svdf_kernel
    >>> sizes = {"inputs": np.array([40]), "units": np.array([64]), "memory_steps": np.array([8])}
    >>> svdf_cycles(svdf_kernel("m7", "clang22-O3"), rank=np.array([1, 2]), **sizes).round()
    array([11079., 21165.])
    """
    inputs, units, rank, memory_steps = (np.asarray(size) for size in (inputs, units, rank, memory_steps))
    features = units * rank
    per_feature = kernel.per_feature + _memory_cycles(kernel, memory_steps)
    summed = rank > 1
    beyond = (
        kernel.per_call
        + features * (per_feature + summed * kernel.per_ranked_feature)
        + units * summed * kernel.per_ranked_unit
    )
    product = product_cycles(kernel.product, inputs=inputs, outputs=features)
    return np.asarray(product + np.where(features > 0, beyond, 0.0))


def _memory_cycles(kernel: SvdfKernel, memory_steps: Counts) -> Cycles:
    """Cycles a feature for its memory."""
    cycles = kernel.per_quad * (memory_steps // 4) + kernel.per_single * (memory_steps % 4)
    if kernel.lanes:
        further = np.maximum(ceil_div(memory_steps, kernel.lanes) - 1, 0)
        cycles = cycles + kernel.per_further_vector * further
    return np.asarray(cycles)
