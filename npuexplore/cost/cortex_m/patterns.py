"""How many blocks the rows of a pruned matrix store, as far as a plan says it.

What a plan prunes, it prunes anywhere: its groups are zero independently of each other. A block of a kernel
is stored when it holds a weight that is not; blocks that lie in one group share their fate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.encoding import groups_touched
from npuexplore.compression.shapes import PlanShapes, matrix_values, two_four_kept
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts, NetworkTables

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pattern:
    """Blocks of one shape in M matrices of P plans; every array is (P, M)."""

    rows: Counts
    """Rows of blocks in one gate."""
    blocks: Counts
    """Blocks that lie in a row, stored or not."""
    share: Floats
    """Chance of a block to be stored."""
    together: Counts
    """Neighbours in a row that share their fate."""
    regular: NDArray[np.bool_]
    """Whether every row stores `blocks * share`, as without zeros and under two_four."""

    @property
    def stored_per_row(self) -> Floats:
        """Blocks that a row is expected to store."""
        return np.asarray(self.blocks * self.share)


def expected_pattern(tables: NetworkTables, shapes: PlanShapes, block: tuple[int, int]) -> Pattern:
    """Blocks [outputs, inputs] of a kernel in what P plans leave."""
    rows, blocks = _blocks(shapes.rows, block[0]), _blocks(shapes.columns, block[1])
    wide = matrix_values(shapes.block_columns, tables)
    if block == (1, 1):
        share = _single_share(tables, shapes)
    else:
        share = _share(tables, shapes, block, rows=rows, blocks=blocks)
    return Pattern(
        rows=rows,
        blocks=blocks,
        share=share,
        together=wide if block[1] == 1 else np.where(wide % block[1] == 0, wide // block[1], 1),
        regular=matrix_values(shapes.two_four | (shapes.zeros_frac == 0.0), tables),
    )


def _blocks(length: Counts, part: int) -> Counts:
    return length if part == 1 else np.asarray(ceil_div(length, part))


def _single_share(tables: NetworkTables, shapes: PlanShapes) -> Floats:
    zeros = matrix_values(shapes.zeros_frac, tables)
    two_four = matrix_values(shapes.two_four, tables)
    if not two_four.any():
        return np.asarray(1.0 - zeros)
    return np.where(two_four, two_four_kept(shapes.columns) / shapes.columns, 1.0 - zeros)


def _share(
    tables: NetworkTables, shapes: PlanShapes, block: tuple[int, int], *, rows: Counts, blocks: Counts
) -> Floats:
    """Share of blocks that hold a weight, those that the matrix cuts off at its right and lower end too."""
    whole = matrix_values(shapes.surviving_frac(block), tables)
    zeros = matrix_values(np.where(shapes.two_four, 0.0, shapes.zeros_frac), tables)
    is_cut = (rows * block[0] != shapes.rows) | (blocks * block[1] != shapes.columns)
    cut = np.flatnonzero(np.ravel(is_cut & (zeros > 0.0), order="F"))
    if cut.size == 0:
        return np.asarray(whole)

    def at(values: NDArray[Any]) -> NDArray[Any]:
        return np.ravel(values, order="F")[cut]

    down = _axis(at(shapes.rows), at(rows), block[0], at(matrix_values(shapes.block_rows, tables)))
    across = _axis(at(shapes.columns), at(blocks), block[1], at(matrix_values(shapes.block_columns, tables)))
    share = np.ravel(whole, order="F")
    share[cut] = _share_of_cut(down, across, zeros=at(zeros), whole=share[cut])
    return share.reshape(whole.shape, order="F")


@dataclass(frozen=True)
class _Axis:
    """Blocks along one axis: how many are whole, whether one is cut off, and the groups that either touch."""

    whole: NDArray[Any]
    cut: NDArray[Any]
    touched_by_whole: NDArray[Any]
    touched_by_cut: NDArray[Any]


def _axis(length: Counts, blocks: Counts, part: int, group: Counts) -> _Axis:
    """part : of a whole block ; group : of the plan, along the same axis."""
    cut = blocks * part != length
    touched = (length - 1) // group - (blocks - 1) * part // group + 1
    return _Axis(blocks - cut, cut, groups_touched(part)[group], touched)


def _share_of_cut(down: _Axis, across: _Axis, *, zeros: Floats, whole: Floats) -> Floats:
    """The share where a matrix cuts blocks off; `whole` is that of whole blocks."""
    stored = (
        down.whole * across.whole * whole
        + down.whole * across.cut * (1.0 - zeros ** (down.touched_by_whole * across.touched_by_cut))
        + down.cut * across.whole * (1.0 - zeros ** (down.touched_by_cut * across.touched_by_whole))
        + down.cut * across.cut * (1.0 - zeros ** (down.touched_by_cut * across.touched_by_cut))
    )
    return np.asarray(stored / ((down.whole + down.cut) * (across.whole + across.cut)))
