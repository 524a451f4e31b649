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
SURE = 1e-9
"""Chances below which a block is taken to be left out no more rarely."""


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
    """Whether every row stores `blocks * share`, as under two_four."""

    @property
    def stored_per_row(self) -> Floats:
        """Blocks that a row is expected to store."""
        return np.asarray(self.blocks * self.share)


def expected_pattern(tables: NetworkTables, shapes: PlanShapes, block: tuple[int, int]) -> Pattern:
    """Blocks [outputs, inputs] of a kernel in what P plans leave."""
    two_four = matrix_values(shapes.two_four, tables)
    wide = matrix_values(shapes.block_columns, tables)
    share = _single_share(tables, shapes) if block == (1, 1) else _share(tables, shapes, block)
    return Pattern(
        rows=ceil_div(shapes.rows, block[0]),
        blocks=ceil_div(shapes.columns, block[1]),
        share=share,
        together=np.where(wide % block[1] == 0, wide // block[1], 1),
        regular=two_four,
    )


def remainder_waves(pattern: Pattern, blocks_per_pass: int) -> list[NDArray[np.complex128]]:
    """E[exp(2 pi i k n / U)] of the n blocks stored in a row, for k = 1 .. U // 2; (P, M) each."""
    turns = np.exp(2j * np.pi * np.arange(blocks_per_pass) / blocks_per_pass)
    groups, left = np.divmod(pattern.blocks, pattern.together)

    def wave(k: int, size: Counts) -> NDArray[np.complex128]:
        return np.asarray((1.0 - pattern.share) + pattern.share * turns[(k * size) % blocks_per_pass])

    waves = range(1, blocks_per_pass // 2 + 1)
    if not left.any():
        return [np.power(wave(k, pattern.together), groups) for k in waves]
    return [
        np.power(wave(k, pattern.together), groups) * np.where(left > 0, wave(k, left), 1.0) for k in waves
    ]


def short_row_chances(pattern: Pattern, longest: int) -> list[tuple[Counts, Floats]]:
    """Numbers of blocks that a row may store, up to `longest`, and the chance of each; (P, M) both."""
    groups, left = np.divmod(pattern.blocks, pattern.together)
    left_out = np.maximum(1.0 - pattern.share, SURE)
    odds, chance = (1.0 - left_out) / left_out, left_out**groups
    found = []
    for stored in range(1 + longest // int(pattern.together.min(initial=longest + 1))):
        blocks = stored * pattern.together
        if left.any():
            found.append((blocks + left, np.where(left > 0, chance * pattern.share, chance)))
            found.append((blocks, np.where(left > 0, chance * (1.0 - pattern.share), 0.0)))
        else:
            found.append((blocks, chance))
        chance = chance * odds * np.maximum(groups - stored, 0) / (stored + 1)
    return found


def _single_share(tables: NetworkTables, shapes: PlanShapes) -> Floats:
    zeros = matrix_values(shapes.zeros_frac, tables)
    two_four = matrix_values(shapes.two_four, tables)
    if not two_four.any():
        return np.asarray(1.0 - zeros)
    return np.where(two_four, two_four_kept(shapes.columns) / shapes.columns, 1.0 - zeros)


def _share(tables: NetworkTables, shapes: PlanShapes, block: tuple[int, int]) -> Floats:
    """Share of blocks that hold a weight, those that the matrix cuts off at its right and lower end too."""
    whole = matrix_values(shapes.surviving_frac(block), tables)
    rows, columns = _side(shapes.rows, block[0]), _side(shapes.columns, block[1])
    if not (rows.cut.any() or columns.cut.any()):
        return np.asarray(whole)
    zeros = matrix_values(shapes.zeros_frac, tables)
    down = _touched(shapes.rows, block[0], matrix_values(shapes.block_rows, tables))
    across = _touched(shapes.columns, block[1], matrix_values(shapes.block_columns, tables))
    stored = (
        rows.whole * columns.whole * whole
        + rows.whole * columns.cut * (1.0 - zeros ** (down.whole * across.cut))
        + rows.cut * columns.whole * (1.0 - zeros ** (down.cut * across.whole))
        + rows.cut * columns.cut * (1.0 - zeros ** (down.cut * across.cut))
    )
    share = stored / ((rows.whole + rows.cut) * (columns.whole + columns.cut))
    as_a_whole = matrix_values(shapes.two_four, tables) | ~(rows.cut | columns.cut)
    return np.where(as_a_whole, whole, share)


@dataclass(frozen=True)
class _Side:
    """Figures of whole blocks along one axis, and of the last one where the matrix cuts it off."""

    whole: NDArray[Any]
    cut: NDArray[Any]


def _side(length: Counts, granule: int) -> _Side:
    return _Side(length // granule, length % granule > 0)


def _touched(length: Counts, granule: int, block: Counts) -> _Side:
    """Groups of the plan that a block of the kernel touches along one axis."""
    last = (length - 1) // block - (length // granule * granule) // block + 1
    return _Side(groups_touched(granule)[block], np.maximum(last, 1))
