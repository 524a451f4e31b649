"""What CMSIS-NN's fully connected kernels take: loops over groups of rows, and inside them over inputs."""

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
class RowPhase:
    """One loop over groups of output rows.

    It runs `(out % within) // rows` passes (`out // rows` where `within` is 0). A pass takes
    `per_pass + per_step * (in // step) + tail[in % step]` cycles, `step` being the length of `tail`, and
    `short[in]` more where `in` is below the length of `short`.
    """

    rows: int
    within: int
    """A larger group whose rows an earlier loop has taken; 0 where this loop comes first."""
    per_pass: float
    per_step: float
    tail: Table
    """(step,) cycles of the inputs that do not fill a step; a power of two long."""
    short: Table
    """(n,) further cycles with few inputs, where loops are entered late or left early."""
    per_late_input: float
    """Cycles a pass for each input beyond `ProductKernel.fast_inputs`."""
    once: float
    """Cycles once, where there is any pass."""


@dataclass(frozen=True)
class ProductKernel:
    """Cycles of a matrix-vector product with zero-wait memory: its phases, and a constant per call."""

    phases: tuple[RowPhase, ...]
    per_call: float
    fast_inputs: int = 0
    """Inputs after which the kernel takes one input at a time; 0 where it never does."""

    @property
    def cycles_per_mac(self) -> float:
        """Of one more input in long rows, many of them."""
        first = self.phases[0]
        return first.per_step / (first.tail.size * first.rows)


@lru_cache(maxsize=64)
def product_kernel(core: str, toolchain: str, name: str) -> ProductKernel:
    """Coefficients of `fc_s8`, `fc_s8_perch` (a scale per channel), `fc_s4` or `fc_s16`.

    >>> product_kernel("m4", "gcc12.2-Ofast", "fc_s8").phases[0].rows
    2
    """
    return product_kernel_of(kernel_entry("product", (core, toolchain, name)))


def product_kernels() -> tuple[Place, ...]:
    """Every kernel that there is a table of."""
    return listed_kernels("product")


def product_kernel_of(entry: Mapping[str, Any]) -> ProductKernel:
    """A kernel from its entry in a table of kernels."""
    return ProductKernel(
        phases=tuple(_phase(phase) for phase in entry["phases"]),
        per_call=float(entry["per_call"]),
        fast_inputs=int(entry.get("fast_inputs", 0)),
    )


def _phase(entry: Mapping[str, Any]) -> RowPhase:
    return RowPhase(
        rows=int(entry["rows"]),
        within=int(entry.get("within", 0)),
        per_pass=float(entry["per_pass"]),
        per_step=float(entry["per_step"]),
        tail=np.asarray(entry["tail"], np.float64),
        short=np.asarray(entry.get("short", ()), np.float64),
        per_late_input=float(entry.get("per_late_input", 0.0)),
        once=float(entry.get("once", 0.0)),
    )
