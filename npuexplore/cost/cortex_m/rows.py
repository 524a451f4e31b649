"""Mean cycles of rows of blocks whose groups are stored independently of each other.

A row of n blocks takes slope * n + repeating[n % U], and something beyond that while n is small. The mean of
what repeats with U is a sum over its Fourier terms: E[exp(i t n)] of n blocks in groups of w has the closed
form (1 - p + p exp(i t w)) ** groups. Terms fade where many rows differ; then the plain mean is left.

Arrays are (N,), all entries of a (P, M) array one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.patterns import Pattern
from npuexplore.hardware.kernels.sparse import SparseKernel
from npuexplore.units import IntArray
from npuexplore.workload.counts import Counts

Floats = NDArray[np.float64]
Entries = NDArray[np.intp]
NEGLIGIBLE_CYCLES = 1e-3
"""Cycles of a short row that are not worth a chance of their own."""
NEGLIGIBLE_EXPONENT = 11.5
"""Chances and waves below exp(-this) = 1e-5 are left out."""
SURE = 1e-9
"""A block is left out at least at this chance, so that its odds are finite."""


@dataclass(frozen=True)
class Wave:
    """Fourier term k of the blocks in a row: length and angle, where it has not faded."""

    entries: Entries
    length: Floats
    angle: Floats


@dataclass(frozen=True)
class RowChances:
    """What rows store modulo U, and how often they store little; kernels of one block and U share it."""

    waves: tuple[Wave, ...]
    """Terms k = 1 .. U // 2."""
    short_entries: Entries
    """Where rows may store little."""
    short: tuple[tuple[Counts, Floats], ...]
    """Numbers of blocks and the chance of each, over `short_entries`."""


def row_cycles(kernel: SparseKernel, stored: IntArray) -> Floats:
    """Cycles of rows of blocks that store so many, any shape.

    >>> from npuexplore.hardware.kernels.sparse import sparse_kernels
    >>> kernel = sparse_kernels("m4", "gcc12.2-Ofast")[-1]
    >>> row_cycles(kernel, np.array([4])) - row_cycles(kernel, np.array([3]))
    array([125.01])
    """
    size = kernel.blocks_per_pass
    long = kernel.remainder_cycles[stored % size] + kernel.cycles_per_pass * (stored // size)
    few = kernel.few_cycles[np.minimum(stored, 2 * size - 1)]
    return np.asarray(np.where(stored < 2 * size, few, long))


def expected_row_cycles(
    kernel: SparseKernel, pattern: Pattern, *, chances: RowChances | None = None
) -> Floats:
    """(P, M) mean cycles of a row of blocks."""
    chances = chances or row_chances(kernel, pattern)
    size, stored = kernel.blocks_per_pass, pattern.stored_per_row
    terms = np.fft.fft(_repeating(kernel)) / size
    mean = np.ravel(kernel.cycles_per_block * stored + terms[0].real, order="F")
    for k, wave in enumerate(chances.waves, start=1):
        weight = (1.0 if 2 * k == size else 2.0) * abs(terms[k])
        mean[wave.entries] += weight * wave.length * np.cos(wave.angle + np.angle(terms[k]))
    beyond = np.append(short_rows(kernel), 0.0)
    for blocks, chance in chances.short:
        mean[chances.short_entries] += chance * beyond[np.minimum(blocks, beyond.size - 1)]
    mean = mean.reshape(stored.shape, order="F")
    regular = row_cycles(kernel, np.rint(stored).astype(np.int64))
    return np.where(pattern.regular, regular, mean)


def row_chances(kernel: SparseKernel, pattern: Pattern) -> RowChances:
    """Chances that kernels of one block, U and number of short rows share."""
    irregular = np.flatnonzero(np.ravel(~pattern.regular, order="F"))
    flat, size = _Flat.of(pattern, irregular), kernel.blocks_per_pass
    waves = tuple(_wave(flat, 2.0 * np.pi * k / size) for k in range(1, size // 2 + 1))
    longest = short_rows(kernel).size - 1
    mean, most = flat.groups * flat.share, longest // flat.together
    few = flat.take((mean <= most) | ((mean - most) ** 2 < 2.0 * NEGLIGIBLE_EXPONENT * mean))
    return RowChances(waves, few.entries, tuple(_short(few, longest)))


def short_rows(kernel: SparseKernel) -> Floats:
    """Cycles of rows that store 0, 1, ... blocks beyond the form of long ones, as far as there are any."""
    counts = np.arange(kernel.few_cycles.size)
    long = kernel.cycles_per_block * counts + _repeating(kernel)[counts % kernel.blocks_per_pass]
    beyond = kernel.few_cycles - long
    worthwhile = np.flatnonzero(np.abs(beyond) >= NEGLIGIBLE_CYCLES)
    return np.asarray(beyond[: 1 + worthwhile.max(initial=0)])


def _repeating(kernel: SparseKernel) -> Floats:
    """(U,) cycles of a long row beyond its blocks, by what they leave over."""
    return kernel.remainder_cycles - kernel.cycles_per_block * np.arange(kernel.blocks_per_pass)


@dataclass(frozen=True)
class _Flat:
    """Some entries of a pattern."""

    entries: Entries
    share: Floats
    together: Counts
    groups: Counts
    """Whole groups of blocks in a row."""
    left: Counts
    """Blocks of a last group that the matrix cuts off; 0 where it cuts none."""

    @classmethod
    def of(cls, pattern: Pattern, entries: Entries) -> _Flat:
        """Those entries."""
        share = np.ravel(pattern.share, order="F")[entries]
        together, blocks = (np.ravel(each, order="F")[entries] for each in (pattern.together, pattern.blocks))
        groups = blocks // together
        return cls(entries, share, together, groups, blocks - groups * together)

    def take(self, chosen: NDArray[np.bool_]) -> _Flat:
        """Some of them."""
        return _Flat(
            self.entries[chosen],
            self.share[chosen],
            self.together[chosen],
            self.groups[chosen],
            self.left[chosen],
        )


def _wave(flat: _Flat, angle: float) -> Wave:
    """E[exp(i angle n)] of the n blocks in a row."""
    spread = flat.groups * flat.share * (1.0 - flat.share)
    near = flat.take(spread * (1.0 - np.cos(angle * flat.together)) < NEGLIGIBLE_EXPONENT)
    length, turned = _group_wave(near.share, angle * near.together)
    length, turned = length**near.groups, near.groups * turned
    if near.left.any():
        of_last, turned_last = _group_wave(near.share, angle * near.left)
        length, turned = length * of_last, turned + turned_last
    return Wave(near.entries, length, turned)


def _group_wave(share: Floats, angle: NDArray[Any]) -> tuple[Floats, Floats]:
    """Length and angle of 1 - p + p exp(i angle); exactly 1 and 0 at an angle of 0."""
    across = share * np.sin(angle)
    along = 1.0 - share * (1.0 - np.cos(angle))
    return np.sqrt(along * along + across * across), np.arctan2(across, along)


def _short(flat: _Flat, longest: int) -> Iterator[tuple[Counts, Floats]]:
    """Numbers of blocks that a row may store, up to `longest` and beyond, and the chance of each."""
    left_out = np.maximum(1.0 - flat.share, SURE)
    odds = (1.0 - left_out) / left_out
    chance: Floats = np.asarray(left_out**flat.groups, np.float64)
    some_left = bool(flat.left.any())
    for stored in range(1 + longest // int(flat.together.min(initial=longest + 1))):
        blocks = stored * flat.together
        if some_left:
            yield blocks + flat.left, np.where(flat.left > 0, chance * flat.share, chance)
            yield blocks, np.where(flat.left > 0, chance * (1.0 - flat.share), 0.0)
        else:
            yield blocks, chance
        chance = chance * odds * (np.maximum(flat.groups - stored, 0) / (stored + 1))
