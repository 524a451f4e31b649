"""What CMSIS-NN's passes over a vector take: loops over groups of elements, widest first.

Coefficients lie in `hw_profiles/kernels/elementwise.json`, with their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.kernels.table import Place, kernel_entry, listed_kernels

Table = NDArray[np.float64]


@dataclass(frozen=True)
class PassLoop:
    """One loop over groups of elements; what is left goes to the next, narrower one."""

    elems: int
    """Elements of a group; a power of two."""
    masked: bool
    """Whether a last group that is not full is taken too, by a vector with some of its lanes masked."""
    per_group: float
    once: float
    """Cycles once, where there is any group."""


@dataclass(frozen=True)
class PassKernel:
    """Cycles of a pass over a vector with zero-wait memory: its loops, and a constant per call."""

    loops: tuple[PassLoop, ...]
    left: Table
    """(n,) cycles of the elements that no loop takes, by their number."""
    per_call: float


@lru_cache(maxsize=128)
def pass_kernel(core: str, toolchain: str, name: str) -> PassKernel:
    """Coefficients of one pass, such as `ew_add_s8`, `act_tanh_s16`, `relu_s8` or `softmax_s8`.

    >>> [loop.elems for loop in pass_kernel("m4", "gcc12.2-Ofast", "ew_mul_s16").loops]
    [2]
    """
    return pass_kernel_of(kernel_entry("elementwise", (core, toolchain, name)))


def pass_kernels() -> tuple[Place, ...]:
    """Every pass that there is a table of."""
    return listed_kernels("elementwise")


def pass_kernel_of(entry: Mapping[str, Any]) -> PassKernel:
    """A kernel from its entry in the table."""
    loops = tuple(
        PassLoop(
            elems=int(loop["elems"]),
            masked=bool(loop["masked"]),
            per_group=float(loop["per_group"]),
            once=float(loop["once"]),
        )
        for loop in entry["loops"]
    )
    return PassKernel(
        loops=loops, left=np.asarray(entry["left"], np.float64), per_call=float(entry["per_call"])
    )
