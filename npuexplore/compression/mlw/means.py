"""Tables of means for the kinds of matrices at hand, looked up for many plans at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import Kept, peak_frac, rounded_frac
from npuexplore.compression.mlw.order import MlwStream
from npuexplore.compression.mlw.runs import block_runs, repeat_frac, two_four_runs
from npuexplore.compression.mlw.sampling import TABLE_FILE
from npuexplore.units import IntArray

Floats = NDArray[np.float64]

SHARES = 129
"""Points of the grid over the share of pruned groups."""


@dataclass(frozen=True)
class Means:
    """Means for n matrices, each of one of K kinds."""

    kind: NDArray[np.intp]
    """(n,) kind of each matrix."""
    line_rows: Floats
    """(K, SHARES, 7) per line of eight weights: see `lines`."""
    by_runs_rows: Floats
    """(K, SHARES or 1, C) bits per weight coded one by one where zeros are coded by runs; one row where
    the surviving weights do not depend on the share of pruned ones."""
    one_by_one_rows: Floats
    """(K, SHARES, C) bits per weight where all are coded one by one."""
    log_counts: Floats
    """(C,) log2 of the weights coded, evenly spaced."""

    def lines(self, zeros_frac: Floats) -> list[Floats]:
        """(n,) each: share of weights that are not zero; lone zeros per line; share of the most frequent
        weight among those that are not zero; steps of 1, 2, 4 and 8 zeros in the runs of a line."""
        low, part = _position(zeros_frac)
        at = self.kind * SHARES + low
        table = self.line_rows.reshape(-1, self.line_rows.shape[2])
        found = table.take(at, axis=0)
        found += part[:, None] * (table.take(at + 1, axis=0) - found)
        return list(found.T)

    def by_runs(self, coded: Floats, zeros_frac: Floats) -> Floats:
        """(n,) bits of headers, palette and `coded` weights; zeros are coded by runs and not counted."""
        return self._bits(self.by_runs_rows, coded, zeros_frac)

    def take(self, index: NDArray[np.intp]) -> Means:
        """The same tables for some of the matrices."""
        return replace(self, kind=self.kind[index])

    def one_by_one(self, coded: Floats, zeros_frac: Floats) -> Floats:
        """(n,) bits of headers, palette and `coded` weights, zeros among them."""
        return self._bits(self.one_by_one_rows, coded, zeros_frac)

    def _bits(self, rows: Floats, coded: Floats, zeros_frac: Floats) -> Floats:
        first, spacing = self.log_counts[0], self.log_counts[1] - self.log_counts[0]
        counts = np.clip(coded, 2.0**first, 2.0 ** self.log_counts[-1])
        place = (np.log2(counts) - first) / spacing
        column = np.minimum(place.astype(np.intp), self.log_counts.size - 2)
        across = place - column
        flat, below = rows.ravel(), self.log_counts.size
        if rows.shape[1] == 1:
            return counts * _between(flat, self.kind * below + column, across)
        low, part = _position(zeros_frac)
        at = (self.kind * SHARES + low) * below + column
        near = _between(flat, at, across)
        return np.asarray(counts * (near + part * (_between(flat, at + below, across) - near)))


def _between(flat: Floats, at: NDArray[np.intp], part: Floats) -> Floats:
    start = flat.take(at)
    return np.asarray(start + part * (flat.take(at + 1) - start))


def means_of(stream: MlwStream, kinds: IntArray, *, kept: Kept) -> Means:
    """Tables for matrices whose kinds are columns of (4, n): bits, block rows, block columns, 2:4 or not."""
    scale = tuple(1 + kinds.max(axis=1, initial=1))
    codes = np.ravel_multi_index(tuple(kinds), scale)
    found, kind = np.unique(codes, return_inverse=True)
    distinct = zip(*(one.tolist() for one in np.unravel_index(found, scale)), strict=True)
    lines, by_runs, one_by_one = _stacked(stream, tuple(distinct), kept)
    return Means(
        kind=np.asarray(kind, np.intp),
        line_rows=lines,
        by_runs_rows=by_runs,
        one_by_one_rows=one_by_one,
        log_counts=_log_counts(),
    )


@lru_cache(maxsize=64)
def _stacked(
    stream: MlwStream, kinds: tuple[tuple[int, int, int, int], ...], kept: Kept
) -> tuple[Floats, ...]:
    rows = [
        _kind_rows(
            bits=bits,
            kept="two_four" if grouped else kept,
            block_columns=columns,
            repeat=repeat_frac(stream, high),
        )
        for bits, high, columns, grouped in kinds
    ]
    return tuple(np.stack(tables) for tables in zip(*rows, strict=True))


def _position(zeros_frac: Floats) -> tuple[NDArray[np.intp], Floats]:
    place = zeros_frac * (SHARES - 1)
    low = np.minimum(place.astype(np.intp), SHARES - 2)
    return low, place - low


@lru_cache(maxsize=512)
def _kind_rows(*, bits: int, kept: Kept, block_columns: int, repeat: float) -> tuple[Floats, Floats, Floats]:
    shares = np.linspace(0.0, 1.0, SHARES)
    lines = _line_rows(bits=bits, kept=kept, block_columns=block_columns, repeat=repeat)
    return (
        lines,
        _resampled("by_runs", bits=bits, kept=kept, shares=shares),
        _resampled("one_by_one", bits=bits, kept=kept, shares=shares),
    )


def _line_rows(*, bits: int, kept: Kept, block_columns: int, repeat: float) -> Floats:
    """(SHARES, 7) in the order of `Means.lines`."""
    shares = np.linspace(0.0, 1.0, SHARES)
    rounded = rounded_frac("random" if kept == "magnitude" else kept, bits=bits)
    if kept == "two_four":
        runs = two_four_runs(rounded)
        dense = np.full(SHARES, 0.5 * (1.0 - rounded))
        steps, lone = (np.broadcast_to(one, (*one.shape[:-1], SHARES)) for one in runs)
    elif kept == "magnitude":
        zeros = np.maximum(shares, rounded)
        runs = block_runs(block_columns=1, repeat_frac=0.0, rounded_frac=0.0, shares=SHARES)
        dense = 1.0 - zeros
        steps = np.stack([np.interp(zeros, shares, one) for one in runs.steps])
        lone = np.interp(zeros, shares, runs.lone)
    else:
        steps, lone = block_runs(
            block_columns=block_columns, repeat_frac=repeat, rounded_frac=rounded, shares=SHARES
        )
        dense = (1.0 - shares) * (1.0 - rounded)
    if kept == "magnitude":
        # At most all but one in a thousand: the share of a level among none is not defined.
        peak = np.array([peak_frac(kept, bits=bits, pruned_frac=min(share, 0.999)) for share in shares])
    else:
        peak = np.full(SHARES, peak_frac(kept, bits=bits))
    return np.column_stack([dense, lone, peak, *steps])


def _resampled(mode: str, *, bits: int, kept: Kept, shares: Floats) -> Floats:
    """(SHARES, C) bits per weight of the sampled table, on this module's grid; (1, C) if all rows are one.

    Where all weights are coded, more zeros among them are not let take more bits.
    """
    part = _table()[mode][kept]
    sampled = np.array(part["bits_per_weight"][str(bits)])
    if mode == "by_runs" and len(sampled) == 1:
        return sampled
    rows = np.stack([np.interp(shares, part["pruned_shares"], column) for column in sampled.T], axis=1)
    return np.minimum.accumulate(rows, axis=0) if mode == "one_by_one" else rows


@lru_cache(maxsize=1)
def _table() -> Any:
    return json.loads(TABLE_FILE.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _log_counts() -> Floats:
    counts = _table()["coded_counts"]
    return np.linspace(np.log2(counts[0]), np.log2(counts[-1]), len(counts))
