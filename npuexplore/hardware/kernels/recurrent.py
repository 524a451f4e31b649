"""What a step of CMSIS-NN's LSTM takes, and of a GRU composed of its parts.

A step is two matrix-vector products per gate, table look-ups, element-wise passes and clears of buffers.
Coefficients lie in `hw_profiles/kernels/recurrent.json`, with their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from npuexplore.hardware.kernels.product import ProductKernel, product_kernel_of
from npuexplore.hardware.kernels.table import Place, kernel_entry, kernel_table, listed_kernels

GATES = {"lstm_s8": 4, "gru_s8": 3}
"""Gates of a step, by the name of its kernel."""
SHARED = ("matvec",)
"""The product of all kinds of step, beside them in the table."""
VECTOR_UNITS = 4
"""Units that an element-wise pass takes at a time on a core with Helium; the last vector is masked."""
CLEARED_UNITS = 8
"""Units that a clear of 16-bit gates takes at a time; what is left goes in pairs."""


@dataclass(frozen=True)
class StepRest:
    """Cycles of one step beside its products and table look-ups; a sum over what its loops run over."""

    per_step: float
    per_unit: float
    per_vector: float
    """Of a masked vector of `VECTOR_UNITS`."""
    per_odd: float
    """Of a unit that is left of pairs."""
    left_pairs_once: float
    """Where pairs of units are left of `CLEARED_UNITS`."""
    per_left_pair: float
    """Of each of them."""


@dataclass(frozen=True)
class LayerCall:
    """Cycles of a call for a whole sequence, beside its steps."""

    per_call: float
    per_copied_unit: float
    """Of keeping the state for the next call; a stateful layer does."""
    per_cleared_unit: float
    """Of starting from a state of zeros; a layer that is not stateful does."""


@dataclass(frozen=True)
class StepKernel:
    """A recurrent step with zero-wait memory."""

    gates: int
    product: ProductKernel
    """One gate's product with its inputs, and with the state."""
    activation_per_step: float
    activation_per_unit: float
    """Table look-ups: every gate, and the state of an LSTM."""
    rest: StepRest
    layer: LayerCall


@lru_cache(maxsize=32)
def step_kernel(core: str, toolchain: str, name: str) -> StepKernel:
    """Coefficients of `lstm_s8` or `gru_s8`.

    >>> step_kernel("m55", "clang22-O3", "gru_s8").gates
    3
    """
    entry = kernel_entry("recurrent", (core, toolchain, name), but=SHARED)
    shared = kernel_table("recurrent")["kernels"][core][toolchain]["matvec"]
    return step_kernel_of(name, entry, product_kernel_of(shared))


def step_kernels() -> tuple[Place, ...]:
    """Every step that there is a table of."""
    return listed_kernels("recurrent", but=SHARED)


def step_kernel_of(name: str, entry: Mapping[str, Any], product: ProductKernel) -> StepKernel:
    """A step from its name, its entry in the table, and the product that all kinds of step share."""
    return StepKernel(
        gates=GATES[name],
        product=product,
        activation_per_step=float(entry["activation"]["per_step"]),
        activation_per_unit=float(entry["activation"]["per_unit"]),
        rest=StepRest(**entry["rest"]),
        layer=LayerCall(**entry["layer"]),
    )
