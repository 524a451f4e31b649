"""Layers in the same state cost the same: many plans, few distinct states of each layer.

A layer's costs follow from its own column of `PlanShapes` alone (its inputs are the units that the layer
before it kept), so that a batch is costed once per distinct state and spread over the plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes
from npuexplore.workload.counts import NetworkTables

STATE_FIELDS = (
    "units",
    "inputs",
    "zeros_frac",
    "two_four",
    "block_rows",
    "block_columns",
    "weight_bits",
    "activation_bits",
)
"""Fields of `PlanShapes` that tell two states of a layer apart."""
MATRIX_STATE_FIELDS = ("zeros_frac", "two_four", "block_rows", "block_columns", "weight_bits")
"""Fields that may differ between the matrices of a layer."""
WORTHWHILE_REUSE = 2
"""Plans per state from which spreading is cheaper than costing every plan."""
FEWEST_PLANS = 64
"""Plans below which looking for repetition is not worth the time."""
DIRECT_CODES = 1 << 20
"""Span of codes up to which states are counted by a table instead of by sorting."""

Codes = NDArray[np.int64]
D = TypeVar("D")


@dataclass(frozen=True)
class States:
    """The distinct states of L layers among P plans."""

    shapes: PlanShapes
    """S rows; a layer with fewer states repeats its first one."""
    index: NDArray[np.intp]
    """(L, P) row of `shapes` that each layer of each plan is in."""


def distinct_states(shapes: PlanShapes, tables: NetworkTables) -> States | None:
    """The states of a batch, or None where too few repeat to gain anything."""
    plans = shapes.units.shape[0]
    return None if plans < FEWEST_PLANS else states_of(shapes, tables, most=plans // WORTHWHILE_REUSE)


def states_of(shapes: PlanShapes, tables: NetworkTables, *, most: int | None = None) -> States | None:
    """The states of a batch of at least one plan; None where a layer has more than `most`."""
    plans, layers = shapes.units.shape
    first: list[NDArray[np.intp]] = []
    index = np.empty((layers, plans), np.intp)
    for layer in range(layers):
        rows, index[layer] = distinct_rows(_state(shapes, tables, layer))
        if most is not None and rows.size > most:
            return None
        first.append(rows)
    count = max(rows.size for rows in first)
    chosen = np.stack([np.concatenate([rows, np.repeat(rows[:1], count - rows.size)]) for rows in first])
    return States(_rows_of_layers(shapes, tables, chosen), index)


def merged(runs: Sequence[States], tables: NetworkTables) -> list[States]:
    """The states of several runs of plans as ones that all runs share."""
    shared = states_of(joined([run.shapes for run in runs]), tables)
    assert shared is not None
    ends = np.cumsum([run.shapes.units.shape[0] for run in runs])
    parts = np.split(shared.index, ends[:-1], axis=1)
    return [
        States(shared.shapes, np.take_along_axis(part, run.index, axis=1))
        for part, run in zip(parts, runs, strict=True)
    ]


def _state(shapes: PlanShapes, tables: NetworkTables, layer: int) -> list[NDArray[Any]]:
    """(P,) arrays that tell the states of a layer apart, those of its matrices included."""
    found = [getattr(shapes, name)[:, layer] for name in STATE_FIELDS]
    if shapes.channel_scales is not None:
        found.append(shapes.channel_scales[:, layer])
    if shapes.matrices is not None:
        own = [getattr(shapes.matrices.shapes, name) for name in MATRIX_STATE_FIELDS]
        columns = np.flatnonzero(tables.matrix_layer == layer)
        found += [values[:, column] for column in columns for values in own]
        found.append(shapes.matrices.differ[:, layer])
    return found


def joined(parts: Sequence[D]) -> D:
    """Dataclasses of (P, L) or (P,) arrays of several runs of plans, one after the other."""
    if len(parts) == 1:
        return parts[0]

    def one_after_the_other(pieces: list[Any]) -> Any:
        if isinstance(pieces[0], Mapping):
            return {name: one_after_the_other([piece[name] for piece in pieces]) for name in pieces[0]}
        if isinstance(pieces[0], np.ndarray):
            return np.concatenate([piece.T for piece in pieces], axis=-1).T
        return pieces[0]

    columns = [vars(part) for part in parts]
    return type(parts[0])(
        **{name: one_after_the_other([part[name] for part in columns]) for name in columns[0]}
    )


def spread(figures: D, index: NDArray[np.intp]) -> D:
    """A dataclass of (S, L) arrays of S states, spread over the P plans that are in them.

    index : (L, P) row that each layer of each plan is in.
    """

    def over_plans(values: Any) -> Any:
        if isinstance(values, Mapping):
            return {name: over_plans(each) for name, each in values.items()}
        if isinstance(values, np.ndarray):
            found = np.empty(index.shape, values.dtype)
            for layer, rows in enumerate(index):
                values[:, layer].take(rows, out=found[layer], mode="clip")  # no check, no second copy
            return found.T
        return values

    return type(figures)(**{name: over_plans(values) for name, values in vars(figures).items()})


def _rows_of_layers(shapes: PlanShapes, tables: NetworkTables, chosen: NDArray[np.intp]) -> PlanShapes:
    """`shapes` with row `chosen[layer, s]` of every layer's and matrix's column as row s."""

    def taken(values: NDArray[Any]) -> NDArray[Any]:
        owner = range(chosen.shape[0]) if values.shape[1] == chosen.shape[0] else tables.matrix_layer
        return np.stack([values[:, column].take(chosen[layer]) for column, layer in enumerate(owner)]).T

    return shapes.each(taken)


def distinct_rows(fields: list[NDArray[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(first row of each distinct combination of values, combination of each row).

    fields : (P,) arrays, P > 0

    >>> distinct_rows([np.array([7, 7, 7]), np.array([5, 2, 5])])
    (array([1, 0]), array([1, 0, 1]))
    """
    code = np.zeros(fields[0].size, np.int64)
    for field in fields:
        if (field == field[0]).all():
            continue
        values, span = _codes(field)
        code, _ = _compact(code * span + values)
    compact, count = _compact(code)
    first = np.zeros(count, np.intp)
    first[compact[::-1]] = np.arange(compact.size - 1, -1, -1)
    return first, compact


def _codes(field: NDArray[Any]) -> tuple[Codes, int]:
    """Values as whole numbers from 0, and how many there are."""
    if field.dtype.kind == "f":
        distinct = np.unique(field)  # sorting values and searching them is faster than sorting indices
        return np.searchsorted(distinct, field), distinct.size
    return _compact(field.astype(np.int64) - int(field.min()))


def _compact(codes: Codes) -> tuple[Codes, int]:
    """The same codes numbered without gaps, and how many there are."""
    span = int(codes.max()) + 1
    if span > DIRECT_CODES:
        distinct, inverse = np.unique(codes, return_inverse=True)
        return inverse.astype(np.int64), distinct.size
    present = np.zeros(span, np.bool_)
    present[codes] = True
    number = np.cumsum(present) - 1
    return number[codes], int(number[-1]) + 1
