"""Kernels shared by the engines: array cycles, rates, and the choice of a storage format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import IntArray, ceil_div
from npuexplore.workload.counts import Counts

TERMS = ("mac", "decode", "activation", "overhead", "cpu")
"""What can bind a layer beside its memories."""


@dataclass(frozen=True)
class EngineCosts:
    """What one engine takes for the layers of P plans; every array is (P, L).

    Column l follows from column l of the plans' shapes alone (its inputs are the units of the layer before),
    so that layers in equal states may be costed once.
    """

    terms: Mapping[str, Counts]
    """Cycles by name in TERMS; a term that an engine does not have is absent."""
    compute_cycles: Counts
    """Cycles if memories were infinitely fast."""
    cycles: Counts
    memory_cycles: Mapping[str, Counts]
    """By memory region."""
    memory_bytes: Mapping[str, Counts]
    """By memory region."""
    weight_bytes: Counts
    """Stored weights."""
    weight_format: NDArray[np.int8]
    """Index into `formats`."""
    formats: tuple[str, ...]
    executed_macs: Counts
    """MACs that the engine really does, zeros that it cannot skip included; none of the fallback CPU's."""
    elementwise_ops: Counts
    """Element-wise operations and look-ups of the engine; none of the fallback CPU's."""
    arena_bytes: Counts | None = None
    """(P, L) bytes of the activations' memory that inputs, outputs, scratch and staged weights take while a
    layer runs, if the engine's compiler places them in its own way; None where `footprint` counts them.
    The states of recurrent layers are not in it: they are alive all the time and added for all layers."""
    held_bytes: Counts | None = None
    """(P, L) bytes of the activations' memory that a layer's state, and what waits for the layer, take all
    the time, if the engine's compiler places them in its own way; None where `footprint` counts them."""


def mac_array_cycles(macs: IntArray, *, macs_per_cycle: int) -> Any:
    """Busy cycles of the MAC array, before any stall.

    macs : (P, L) int64 ; returns (P, L) int64

    >>> mac_array_cycles(np.array([[500]]), macs_per_cycle=64)
    array([[8]])
    """
    return ceil_div(macs, macs_per_cycle)


def tile_cycles(*, rows: IntArray, columns: IntArray, outputs: int, inputs: int) -> Any:
    """Cycles of a MAC array of outputs x inputs over a dense matrix; ragged tiles cost whole cycles.

    rows, columns : (P, M) int64 ; returns (P, M) int64

    >>> tile_cycles(rows=np.array([[9]]), columns=np.array([[17]]), outputs=8, inputs=16)
    array([[4]])
    """
    return ceil_div(rows, outputs) * ceil_div(columns, inputs)


def rate_cycles(amount: IntArray, *, per_cycle: float) -> Any:
    """Whole cycles for `amount` at a rate; exact, the rate taken as a fraction.

    >>> rate_cycles(np.array([10, 11]), per_cycle=0.5)
    array([20, 22])
    """
    rate = Fraction(per_cycle).limit_denominator(10_000)
    return ceil_div(amount * rate.denominator, rate.numerator)


def whole_cycles(cycles: NDArray[np.float64]) -> Counts:
    """Modelled cycles, which are fractions, to the nearest whole one.

    >>> whole_cycles(np.array([2.4, 2.6]))
    array([2, 3])
    """
    return np.asarray(np.rint(cycles).astype(np.int64))


@dataclass(frozen=True)
class StorageOption:
    """One way to store and run the layers of P plans."""

    format: str
    busy_cycles: Counts
    """(P, L) what the choice makes smallest."""
    stored_bytes: Counts
    """(P, L)"""
    usable: NDArray[np.bool_] | None
    """(P, L), None where always."""
    carried: tuple[Counts, ...]
    """(P, L) each; figures that belong to the option."""


def fastest_no_larger(options: Sequence[StorageOption]) -> tuple[NDArray[np.int8], StorageOption]:
    """For every plan and layer the fastest option that takes no more bytes than the first one.

    Returns its index (P, L) and its figures. The first option is dense storage; of equally fast ones the
    smallest is taken, of those the earliest.
    """
    best = options[0]
    index = np.zeros(best.busy_cycles.shape, np.int8, order="F")
    for position, option in enumerate(options[1:], start=1):
        better = option.busy_cycles < best.busy_cycles
        better |= (option.busy_cycles == best.busy_cycles) & (option.stored_bytes < best.stored_bytes)
        better &= option.stored_bytes <= options[0].stored_bytes
        if option.usable is not None:
            better &= option.usable
        index[better] = position
        best = StorageOption(
            format="best",
            busy_cycles=np.where(better, option.busy_cycles, best.busy_cycles),
            stored_bytes=np.where(better, option.stored_bytes, best.stored_bytes),
            usable=None,
            carried=tuple(
                np.where(better, new, old) for new, old in zip(option.carried, best.carried, strict=True)
            ),
        )
    return index, best
