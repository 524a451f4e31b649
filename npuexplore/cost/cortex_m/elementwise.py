"""Cycles of passes over vectors on a Cortex-M: element-wise sums and products, activations, softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.kernels.elementwise import PassKernel, pass_kernel
from npuexplore.units import ceil_div

Counts = NDArray[np.int64]
Cycles = NDArray[np.float64]


def pass_cycles(core: str, toolchain: str, name: str, *, elems: Counts) -> Cycles:
    """Cycles of one pass over `elems` elements (int64, any shape), with zero-wait memory.

    >>> pass_cycles("m4", "gcc12.2-Ofast", "ew_mul_s16", elems=np.array([64, 65])).round()
    array([1983., 2016.])
    """
    return kernel_cycles(pass_kernel(core, toolchain, name), elems=elems)


def kernel_cycles(kernel: PassKernel, *, elems: Counts) -> Cycles:
    """The same from the kernel itself; a pass over nothing takes nothing."""
    left = np.asarray(elems)
    cycles = np.full(left.shape, kernel.per_call)
    for loop in kernel.loops:
        groups = ceil_div(left, loop.elems) if loop.masked else left // loop.elems
        cycles += groups * loop.per_group + (groups > 0) * loop.once
        left = np.maximum(left - groups * loop.elems, 0)
    cycles += kernel.left[left]
    return np.asarray(np.where(np.asarray(elems) > 0, cycles, 0.0))
