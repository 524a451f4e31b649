"""What P plans leave of a network's matrices: sizes after unit pruning, zeros expected in each.

Arrays are (P, L) or (P, M) with P contiguous in memory (column-major), so that numpy's inner loops run
over plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import STRUCTURES, PlanBatch
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts, NetworkTables

WEIGHT, BLOCK, UNIT = (STRUCTURES.index(name) for name in ("weight", "block", "unit"))


@dataclass(frozen=True)
class PlanShapes:
    """Sizes and expected zeros of the matrices of P plans; M matrices of L layers."""

    units: Counts
    """(P, L) outputs that remain."""
    inputs: Counts
    """(P, L) inputs that remain."""
    rows: Counts
    """(P, M) rows of one gate."""
    columns: Counts
    """(P, M)"""
    elems: Counts
    """(P, M) weights of all gates."""
    zeros_frac: NDArray[np.float64]
    """(P, L) share of groups that are zero."""
    block_rows: Counts
    """(P, L)"""
    block_columns: Counts
    """(P, L)"""
    weight_bits: Counts
    """(P, L)"""
    activation_bits: Counts
    """(P, L)"""
    weights: Counts
    """(P, L) weights after unit pruning, zeros included."""
    kept_elems: Counts
    """(P, M) non-zero weights expected."""
    kept_weights: Counts
    """(P, L) non-zero weights."""

    def take(self, rows: slice) -> PlanShapes:
        """The plans of a run of rows."""
        return PlanShapes(**{name: values[rows] for name, values in vars(self).items()})


def plan_shapes(tables: NetworkTables, plans: PlanBatch) -> PlanShapes:
    """Sizes and zeros of P plans.

    Unit pruning removes rows of this layer, its own recurrent columns and inputs of the next one.
    Weight and block pruning leave zeros: `round(sparsity_frac * groups)` groups of the layer.
    """
    owner = tables.matrix_layer
    structure = _by_plan(plans.structure)
    sparsity = _by_plan(plans.sparsity_frac)
    units = _remaining_units(tables.units, sparsity, structure == UNIT)
    inputs = np.empty_like(units, order="F")
    inputs[:, 0] = tables.bands
    inputs[:, 1:] = units[:, :-1]
    rows = _columns(units, owner)
    columns = np.where(tables.from_state, rows, _columns(inputs, owner))
    elems = tables.matrix_gates * rows * columns
    block_rows, block_columns = _by_plan(plans.block_rows), _by_plan(plans.block_columns)
    blocks = tables.matrix_gates * _columns(ceil_div(units, block_rows), owner)
    blocks = blocks * ceil_div(columns, _columns(block_columns, owner))
    groups = sum_layers(blocks, tables)
    sparse = (structure == WEIGHT) | (structure == BLOCK)
    dropped = np.where(sparse, np.minimum(np.rint(sparsity * groups), groups - 1), 0.0)
    zeros_frac = dropped / groups
    weights = sum_layers(elems, tables)
    return PlanShapes(
        units=units,
        inputs=inputs,
        rows=rows,
        columns=columns,
        elems=elems,
        zeros_frac=zeros_frac,
        block_rows=block_rows,
        block_columns=block_columns,
        weight_bits=_by_plan(plans.weight_bits),
        activation_bits=_by_plan(plans.activation_bits),
        weights=weights,
        kept_elems=elems - np.rint(elems * _columns(zeros_frac, owner)).astype(np.int64),
        kept_weights=weights - np.rint(weights * zeros_frac).astype(np.int64),
    )


def sum_layers(values: NDArray[Any], tables: NetworkTables) -> NDArray[Any]:
    """(P, M) values of matrices summed to (P, L) of their layers.

    Loops over matrices: numpy's reduceat costs ten times as much on rows this long.
    """
    rows = values.T
    summed = rows[tables.matrix_start]
    for matrix, layer in enumerate(tables.matrix_layer):
        if matrix != tables.matrix_start[layer]:
            summed[layer] += rows[matrix]
    return np.asarray(summed.T)


def matrix_values(values: NDArray[Any], tables: NetworkTables) -> NDArray[Any]:
    """(P, L) values repeated to the (P, M) matrices of each layer."""
    return _columns(values, tables.matrix_layer)


def _remaining_units(units: Counts, sparsity: NDArray[np.float64], is_unit: NDArray[np.bool_]) -> Counts:
    removed = np.rint(np.where(is_unit, sparsity, 0.0) * units).astype(np.int64)
    remaining: Counts = np.maximum(units - removed, 1)
    return remaining


def _by_plan(values: NDArray[Any]) -> NDArray[Any]:
    return np.asfortranarray(values)


def _columns(values: NDArray[Any], owner: NDArray[np.intp]) -> NDArray[Any]:
    """(P, L) values repeated to the (P, M) matrices of each layer."""
    return values.T[owner].T
