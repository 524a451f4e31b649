"""What P plans leave of a network's matrices: sizes after unit pruning, zeros expected in each.

Arrays are (P, L) or (P, M) with P contiguous in memory (column-major), so that numpy's inner loops run
over plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression import encoding
from npuexplore.compression.plan import STRUCTURES, PlanBatch
from npuexplore.units import IntArray, ceil_div
from npuexplore.workload.counts import Counts, NetworkTables

WEIGHT, BLOCK, UNIT, TWO_FOUR = (STRUCTURES.index(name) for name in ("weight", "block", "unit", "two_four"))


@dataclass(frozen=True)
class PlanShapes:
    """Sizes and expected zeros of the matrices of P plans; M matrices of L layers."""

    units: Counts
    """(P, L) values that a layer still hands on."""
    inputs: Counts
    """(P, L) inputs that remain."""
    rows: Counts
    """(P, M) rows of one gate."""
    columns: Counts
    """(P, M)"""
    elems: Counts
    """(P, M) weights of all gates."""
    zeros_frac: NDArray[np.float64]
    """(P, L) share of groups that are zero; of weights under two_four."""
    two_four: NDArray[np.bool_]
    """(P, L) whether at most two of each aligned group of 4 inputs are not zero."""
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
    macs: Counts
    """(P, L) weights at all positions, zeros included."""
    kept_macs: Counts
    """(P, L) non-zero weights at all positions."""

    def take(self, rows: slice) -> PlanShapes:
        """The plans of a run of rows."""
        return PlanShapes(**{name: values[rows] for name, values in vars(self).items()})

    def surviving_frac(self, granule: tuple[int, int]) -> NDArray[np.float64]:
        """(P, L) expected share of granules [outputs, inputs] that hold a non-zero weight.

        Zero groups lie independently of each other, except under two_four: two inputs beside each other
        are both zero in one case of six, and of three or more one is never zero.
        """
        share = encoding.surviving_frac(
            zeros_frac=self.zeros_frac,
            granule=granule,
            block_rows=self.block_rows,
            block_columns=self.block_columns,
        )
        if granule[1] == 1 or not self.two_four.any():
            return share
        vanishing = (1.0 / 6.0) ** granule[0] if granule[1] == 2 else 0.0
        return np.where(self.two_four, 1.0 - vanishing, share)


def plan_shapes(tables: NetworkTables, plans: PlanBatch) -> PlanShapes:
    """Sizes and zeros of P plans.

    Unit pruning removes rows of this layer, its own recurrent columns and inputs of the next one.
    Weight and block pruning leave zeros: `round(sparsity_frac * groups)` groups of the layer; two_four
    leaves two of each aligned four.
    """
    owner = tables.matrix_layer
    structure = _by_plan(plans.structure)
    sparsity = _by_plan(plans.sparsity_frac)
    channels = _remaining_units(tables.units // tables.positions, sparsity, structure == UNIT)
    units = channels * tables.positions
    inputs = np.empty_like(units, order="F")
    inputs[:, 0] = tables.bands
    inputs[:, 1:] = units[:, :-1]
    rows = _columns(channels, owner)
    columns = np.where(tables.from_state, rows, _columns(inputs // tables.positions, owner))
    elems = tables.matrix_gates * rows * columns
    weights = sum_layers(elems, tables)
    block_rows, block_columns = _by_plan(plans.block_rows), _by_plan(plans.block_columns)
    blocks = tables.matrix_gates * _columns(ceil_div(channels, block_rows), owner)
    blocks = blocks * ceil_div(columns, _columns(block_columns, owner))
    groups = sum_layers(blocks, tables)
    sparse = (structure == WEIGHT) | (structure == BLOCK)
    dropped = np.where(sparse, np.minimum(np.rint(sparsity * groups), groups - 1), 0.0)
    zeros_frac = dropped / groups
    kept_elems = elems - np.rint(elems * _columns(zeros_frac, owner)).astype(np.int64)
    kept_weights = weights - np.rint(weights * zeros_frac).astype(np.int64)
    two_four = structure == TWO_FOUR
    if two_four.any():
        kept_of_rows = tables.matrix_gates * rows * two_four_kept(columns)
        kept_elems = np.where(_columns(two_four, owner), kept_of_rows, kept_elems)
        kept_weights = np.where(two_four, sum_layers(kept_of_rows, tables), kept_weights)
        zeros_frac = np.where(two_four, 1.0 - kept_weights / weights, zeros_frac)
    return PlanShapes(
        units=units,
        inputs=inputs,
        rows=rows,
        columns=columns,
        elems=elems,
        zeros_frac=zeros_frac,
        two_four=two_four,
        block_rows=block_rows,
        block_columns=block_columns,
        weight_bits=_by_plan(plans.weight_bits),
        activation_bits=_by_plan(plans.activation_bits),
        weights=weights,
        kept_elems=kept_elems,
        kept_weights=kept_weights,
        macs=weights * tables.positions,
        kept_macs=kept_weights * tables.positions,
    )


def two_four_kept(columns: IntArray | int) -> Any:
    """Weights of a row that two_four leaves: at most two of each aligned four, the last four cut short.

    >>> two_four_kept(np.array([16, 18, 19]))
    array([ 8, 10, 10])
    """
    return 2 * (columns // 4) + np.minimum(columns % 4, 2)


def csr_fillers(tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P, M) zeros expected to be stored in csr_delta8 besides the non-zero weights, in all gates."""
    fillers = encoding.csr_fillers(
        rows=tables.matrix_gates * shapes.rows,
        columns=shapes.columns,
        zeros_frac=matrix_values(np.where(shapes.two_four, 0.0, shapes.zeros_frac), tables),
        block_columns=matrix_values(shapes.block_columns, tables),
    )
    return np.asarray(np.rint(fillers).astype(np.int64))


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
