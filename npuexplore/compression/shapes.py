"""What P plans leave of a network's matrices: sizes after unit pruning, zeros expected in each.

Arrays are (P, L) or (P, M) with P contiguous in memory (column-major), so that numpy's inner loops run
over plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression import encoding
from npuexplore.compression.plan import STRUCTURES, MatrixBatch, PlanBatch
from npuexplore.units import IntArray, ceil_div
from npuexplore.workload.counts import Counts, NetworkTables, matrix_tables

WEIGHT, BLOCK, UNIT, TWO_FOUR = (STRUCTURES.index(name) for name in ("weight", "block", "unit", "two_four"))
ZEROS_FIELDS = ("structure", "sparsity_frac", "block_rows", "block_columns")
"""What decides which weights go; matrices of a layer that share it are pruned together."""

Rows = slice | NDArray[np.integer]


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
    matrices: MatrixShapes | None = None
    """Of each matrix, where those of some layer differ; None where every layer's are treated alike."""
    channel_scales: NDArray[np.bool_] | None = None
    """(P, L) whether each output has a scale of its own; None where none has."""

    def take(self, rows: Rows) -> PlanShapes:
        """Some of the plans."""
        return self.each(lambda values: values[rows])

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> PlanShapes:
        """The same with every array changed alike."""
        optional = ("matrices", "channel_scales")
        arrays = {name: change(one) for name, one in vars(self).items() if name not in optional}
        own = self.matrices
        scales = self.channel_scales
        return PlanShapes(
            **arrays,
            matrices=None if own is None else own.each(change),
            channel_scales=None if scales is None else change(scales),
        )

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


@dataclass(frozen=True)
class MatrixShapes:
    """P plans in which the matrices of some recurrent layer differ, matrix by matrix."""

    differ: NDArray[np.bool_]
    """(P, L) whether a layer's matrices are not treated alike."""
    shapes: PlanShapes
    """Every matrix taken as a layer of its own: what is (P, L) elsewhere is (P, M)."""
    tables: NetworkTables
    """Of those M layers."""
    owner: NDArray[np.intp]
    """(M,) layer of each matrix."""

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> MatrixShapes:
        """The same with every array changed alike."""
        return MatrixShapes(change(self.differ), self.shapes.each(change), self.tables, self.owner)


@dataclass(frozen=True)
class _Sizes:
    """What unit pruning leaves."""

    units: Counts
    inputs: Counts
    rows: Counts
    columns: Counts
    elems: Counts
    activation_bits: Counts


def plan_shapes(tables: NetworkTables, plans: PlanBatch) -> PlanShapes:
    """Sizes and zeros of P plans.

    Unit pruning removes rows of this layer, its own recurrent columns and inputs of the next one.
    Weight and block pruning leave zeros: `round(sparsity_frac * groups)` groups of the layer, or of each
    matrix where the two are not pruned alike; two_four leaves two of each aligned four.
    """
    owner = tables.matrix_layer
    channels = _remaining_units(tables, plans)
    units = channels * tables.positions
    inputs = np.empty_like(units, order="F")
    inputs[:, 0] = tables.bands
    inputs[:, 1:] = units[:, :-1]
    rows = _columns(channels, owner)
    columns = np.where(tables.from_state, rows, _columns(inputs // tables.positions, owner))
    sizes = _Sizes(
        units, inputs, rows, columns, tables.matrix_gates * rows * columns, _by_plan(plans.activation_bits)
    )
    whole = _shapes(tables, sizes, plans)
    if plans.channel_scales is not None:
        whole = replace(whole, channel_scales=_by_plan(plans.channel_scales))
    return whole if plans.matrices is None else _with_matrices(tables, sizes, whole, plans.matrices)


def _shapes(tables: NetworkTables, sizes: _Sizes, plans: PlanBatch | MatrixBatch) -> PlanShapes:
    """Zeros in matrices of known sizes."""
    owner = tables.matrix_layer
    structure, sparsity = _by_plan(plans.structure), _by_plan(plans.sparsity_frac)
    rows, columns, elems = sizes.rows, sizes.columns, sizes.elems
    weights = sum_layers(elems, tables)
    block_rows, block_columns = _by_plan(plans.block_rows), _by_plan(plans.block_columns)
    blocks = tables.matrix_gates * _columns(ceil_div(rows.T[tables.matrix_start].T, block_rows), owner)
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
        **vars(sizes),
        zeros_frac=zeros_frac,
        two_four=two_four,
        block_rows=block_rows,
        block_columns=block_columns,
        weight_bits=_by_plan(plans.weight_bits),
        weights=weights,
        kept_elems=kept_elems,
        kept_weights=kept_weights,
        macs=weights * tables.positions,
        kept_macs=kept_weights * tables.positions,
    )


def _with_matrices(tables: NetworkTables, sizes: _Sizes, whole: PlanShapes, plans: MatrixBatch) -> PlanShapes:
    """`whole` with what its matrices have of their own; those that are pruned alike share its zeros."""
    owner, alone = tables.matrix_layer, matrix_tables(tables)
    own_sizes = replace(
        sizes,
        units=_columns(sizes.units, owner),
        inputs=sizes.columns * alone.positions,
        activation_bits=_columns(sizes.activation_bits, owner),
    )
    own = _shapes(alone, own_sizes, plans)
    apart = _differ(tables, [getattr(plans, name) for name in ZEROS_FIELDS])
    of_matrix = _columns(apart, owner)
    kept_elems = np.where(of_matrix, own.kept_elems, whole.kept_elems)
    own = replace(
        own,
        zeros_frac=np.where(of_matrix, own.zeros_frac, _columns(whole.zeros_frac, owner)),
        kept_elems=kept_elems,
        kept_weights=kept_elems,
        kept_macs=kept_elems * alone.positions,
        channel_scales=None if whole.channel_scales is None else _columns(whole.channel_scales, owner),
    )
    kept_weights = np.where(apart, sum_layers(kept_elems, tables), whole.kept_weights)
    differ = apart | _differ(tables, [plans.weight_bits])
    return replace(
        whole,
        kept_elems=kept_elems,
        kept_weights=kept_weights,
        kept_macs=kept_weights * tables.positions,
        matrices=MatrixShapes(differ, own, alone, owner),
    )


def _differ(tables: NetworkTables, choices: Sequence[NDArray[Any]]) -> NDArray[np.bool_]:
    """(P, L) whether the matrices of a layer differ in any of the (P, M) arrays."""
    first = tables.matrix_start[tables.matrix_layer]
    differs = np.any([values != values[:, first] for values in choices], axis=0)
    return np.asarray(sum_layers(_by_plan(differs), tables))


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


def _remaining_units(tables: NetworkTables, plans: PlanBatch) -> Counts:
    """(P, L) units, outputs or channels that are left of each layer."""
    units, is_unit = tables.units // tables.positions, _by_plan(plans.structure) == UNIT
    removed = np.rint(np.where(is_unit, _by_plan(plans.sparsity_frac), 0.0) * units).astype(np.int64)
    remaining: Counts = np.maximum(units - removed, 1)
    return remaining


def _by_plan(values: NDArray[Any]) -> NDArray[Any]:
    return np.asfortranarray(values)


def _columns(values: NDArray[Any], owner: NDArray[np.intp]) -> NDArray[Any]:
    """(P, L) values repeated to the (P, M) matrices of each layer."""
    return values.T[owner].T
