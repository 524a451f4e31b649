"""What a section of weights is coded as: palette, value codes, zero runs.

Weights become codes 2|w| + (w < 0). The 32 most frequent codes are a palette if half the weights lie in
it; other codes follow behind it. Where zeros are frequent and lie together, their runs are coded apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.layout import ZERO_DOMINANCE

PALETTE_ENTRIES = 32
LEAST_PALETTE_BITS = 2
GREATEST_DIRECT_OFFSET = 31
RUN_LENGTH = 2
"""Zeros count as lying together in runs of at least this length."""
WEIGHT_RANGE = 256
"""Weights lie in [-256, 255]: an int8 weight less its zero point."""

Values = NDArray[np.int32]


@dataclass(frozen=True)
class Section:
    """One section of a stream, ready for Rice coding."""

    values: Values
    """(n,) codes of the weights coded one by one."""
    runs: Values | None
    """(n + 1,) zeros before each of them and behind the last; None where zeros are coded one by one."""
    palette_entries: int
    palette_bits: int
    """Width of a palette entry."""
    raw_bits: int
    """Width of an uncompressed value; 0 where the palette forbids that mode."""


@dataclass(frozen=True)
class ValueCodes:
    """How the weights of a section are coded, one by one."""

    table: Values
    """(512,) value of weight w at w + 256."""
    palette_entries: int
    palette_bits: int
    raw_bits: int


def section_of(weights: NDArray[np.int16]) -> Section:
    """Codes of the weights of a section, in stream order.

    >>> section_of(np.array([0, 0, 0, 0, 0, 0, 5, 0], np.int16)).runs
    array([6, 1], dtype=int32)
    """
    indices = weights.astype(np.intp) + WEIGHT_RANGE
    counts = np.bincount(indices, minlength=2 * WEIGHT_RANGE)
    zero = weights == 0
    by_runs = codes_runs(counts, zeros_in_runs=zeros_in_runs(zero))
    codes = value_codes(counts, by_runs=by_runs)
    if by_runs and zero.all():
        zero[0] = False  # a section holds at least one value
    values = codes.table[indices[~zero]] if by_runs else codes.table[indices]
    return Section(
        values=values,
        runs=_run_lengths(zero) if by_runs else None,
        palette_entries=codes.palette_entries,
        palette_bits=codes.palette_bits,
        raw_bits=codes.raw_bits,
    )


def zeros_in_runs(zero: NDArray[np.bool_]) -> int:
    """Zeros that have a zero beside them.

    >>> zeros_in_runs(np.array([1, 0, 1, 1, 1], bool))
    3
    """
    edges = np.flatnonzero(np.diff(zero, prepend=False, append=False))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= RUN_LENGTH].sum())


def codes_runs(counts: NDArray[np.integer], *, zeros_in_runs: int) -> bool:
    """Whether runs of zeros are coded apart. counts : (512,) of weights -256 to 255."""
    zeros = counts[WEIGHT_RANGE]
    others = max(counts[:WEIGHT_RANGE].max(), counts[WEIGHT_RANGE + 1 :].max())
    return bool(zeros_in_runs >= zeros // 2 and zeros > ZERO_DOMINANCE * others)


def value_codes(counts: NDArray[np.integer], *, by_runs: bool) -> ValueCodes:
    """Values of all weights. counts : (512,) of weights -256 to 255; zeros are left out under `by_runs`."""
    weights = np.arange(-WEIGHT_RANGE, WEIGHT_RANGE)
    codes = 2 * np.abs(weights) + (weights < 0)
    used = np.asarray(counts, np.int64).copy()
    if by_runs:
        used[WEIGHT_RANGE] = 0
    present = np.flatnonzero(used)
    ordered = present[np.lexsort((-codes[present], -used[present]))]
    palette = codes[ordered[:PALETTE_ENTRIES]]
    covers = used[ordered[:PALETTE_ENTRIES]].sum() >= used.sum() // 2
    entries = max(palette.size, 2) if covers and palette.size else 0
    greatest = int((palette if covers else codes[present]).max(initial=0))
    palette_bits = max(LEAST_PALETTE_BITS, greatest.bit_length())
    offset = min(int(codes[present].min()), GREATEST_DIRECT_OFFSET) if present.size else 0
    # Zero outside the palette is the code of minus zero.
    table = np.maximum(codes, 1) + entries - offset
    if entries:
        table[ordered[:PALETTE_ENTRIES]] = np.arange(palette.size)
    if 0 < present.size <= PALETTE_ENTRIES:
        raw_bits = (entries - 1).bit_length()
    else:
        raw_bits = 0 if entries else palette_bits
    return ValueCodes(
        table=table.astype(np.int32),
        palette_entries=entries,
        palette_bits=palette_bits,
        raw_bits=raw_bits,
    )


def _run_lengths(zero: NDArray[np.bool_]) -> Values:
    """(n + 1,) lengths of the runs of zeros before, between and behind the n other weights."""
    others = np.flatnonzero(~zero)
    runs = np.diff(others, prepend=-1, append=zero.size) - 1
    return np.asarray(runs, np.int32)
