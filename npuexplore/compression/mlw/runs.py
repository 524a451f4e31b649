"""Zero runs that a sparsity structure is expected to leave in a stream, by lines of eight weights.

A line is eight inputs of one output, the unit of every stream order. Runs are coded in steps of 1, 2, 4
or 8 zeros, so a line of zeros adds the same bits wherever it stands: what matters is how zeros lie within
lines, and how the end of one line meets the beginning of the next that is not all zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import GROUP_INPUTS
from npuexplore.compression.mlw.order import LINE, OUTPUT_GROUP, MlwStream

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

STEPS = (1, 2, 4, 8)
"""Zeros that one unary digit of a run stands for, by the divisor bits."""
SAMPLED_UBLOCKS = 32
"""Microblocks over which the meeting of blocks and outputs is averaged."""


class LineRuns(NamedTuple):
    """Means per line over S shares of zero groups."""

    steps: Floats
    """(4, S) whole steps of 1, 2, 4 and 8 zeros in runs."""
    lone: Floats
    """(S,) zeros without a zero beside them."""


@lru_cache(maxsize=512)
def block_runs(*, block_columns: int, repeat_frac: float, rounded_frac: float, shares: int) -> LineRuns:
    """Means where blocks are zero, for shares of zero blocks of 0, 1/(shares - 1), ..., 1.

    repeat_frac : share of lines whose next line belongs to the same blocks ;
    rounded_frac : share of surviving weights that round to zero

    >>> runs = block_runs(block_columns=1, repeat_frac=0.0, rounded_frac=0.0, shares=3)
    >>> runs.steps[:, 1].round(3).tolist()
    [4.0, 1.333, 0.267, 0.016]
    """
    zeros_frac = np.linspace(0.0, 1.0, shares)
    phases = sorted({LINE * line % block_columns for line in range(block_columns)})
    masks, fracs = [], []
    for phase in phases:
        block = (phase + np.arange(LINE)) // block_columns
        block -= block[0]
        zero = _subsets(int(block[-1]) + 1)
        masks.append(zero[:, block])
        zeros = zero.sum(axis=1)[:, None]
        fracs.append(zeros_frac**zeros * (1.0 - zeros_frac) ** (zero.shape[1] - zeros) / len(phases))
    return _means(
        np.concatenate(masks), np.concatenate(fracs), repeat_frac=repeat_frac, rounded_frac=rounded_frac
    )


@lru_cache(maxsize=16)
def two_four_runs(rounded_frac: float) -> LineRuns:
    """Means (S = 1) where two of each four inputs are zero, any two as likely as any others.

    >>> two_four_runs(0.0).steps[0].round(3).tolist()
    [4.0]
    """
    groups = np.zeros((6, GROUP_INPUTS), bool)
    for row, pair in zip(groups, combinations(range(GROUP_INPUTS), 2), strict=True):
        row[list(pair)] = True
    masks = np.concatenate([np.repeat(groups, 6, axis=0), np.tile(groups, (6, 1))], axis=1)
    return _means(masks, np.full((36, 1), 1 / 36), repeat_frac=0.0, rounded_frac=rounded_frac)


@lru_cache(maxsize=1024)
def repeat_frac(stream: MlwStream, block_rows: int) -> float:
    """Share of lines whose next line in the stream lies in the same row of blocks.

    >>> order = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32)
    >>> [repeat_frac(order, rows) for rows in (1, 2, 8, 16)]
    [0.0, 0.5, 0.875, 0.875]
    """
    ublock = np.arange(stream.ofm_ublock_elems)
    first = np.arange(SAMPLED_UBLOCKS)[:, None] * stream.ofm_ublock_elems
    if stream.generation == "depth_first":
        rows = (first + ublock) * stream.cores
    else:
        rows = first + ublock[ublock // OUTPUT_GROUP % stream.cores == 0]
    same = np.diff(rows // block_rows, axis=1) == 0
    return float(same.sum() / rows.size)


def _subsets(count: int) -> Bools:
    """(2^count, count) every choice of some of `count` things."""
    return np.asarray((np.arange(2**count)[:, None] >> np.arange(count)) % 2 == 1)


def _means(masks: Bools, fracs: Floats, *, repeat_frac: float, rounded_frac: float) -> LineRuns:
    """masks : (M, 8) weights pruned together ; fracs : (M, S) share of lines that have each mask."""
    zero = np.where(masks, 1.0, rounded_frac)
    full = zero.prod(axis=1)
    heads, tails = _heads(zero), _heads(zero[:, ::-1])
    mean_full, mean_heads, mean_tails = full @ fracs, heads.T @ fracs, tails.T @ fracs
    partial = np.maximum(1.0 - full, np.finfo(float).tiny)
    mean_partial = np.maximum(1.0 - mean_full, np.finfo(float).tiny)
    steps = []
    for step in STEPS:
        across = _length_table(_whole_steps(step))
        same = np.einsum("ma,mb,ab->m", tails, heads, across) / partial @ fracs
        other = np.einsum("as,bs,ab->s", mean_tails, mean_heads, across) / mean_partial
        inside = _inside(zero, _whole_steps(step)) @ fracs
        met = repeat_frac * same + (1.0 - repeat_frac) * other
        steps.append(mean_full * LINE / step + inside + met)
    is_one = _length_table(lambda length: length == 1)
    same = np.einsum("ma,mb,ab->m", tails, heads, is_one) @ fracs
    other = np.einsum("as,bs,ab->s", mean_tails, mean_heads, is_one)
    lone = _inside(zero, lambda length: length == 1) @ fracs
    return LineRuns(np.stack(steps), lone + repeat_frac * same + (1.0 - repeat_frac) * other)


def _heads(zero: Floats) -> Floats:
    """(M, 8) chance that a line begins with exactly 0, 1, ..., 7 zeros. zero : (M, 8) chance of each."""
    before = np.cumprod(np.concatenate([np.ones((zero.shape[0], 1)), zero[:, :-1]], axis=1), axis=1)
    return np.asarray(before * (1.0 - zero))


def _whole_steps(step: int) -> Callable[[int], float]:
    return lambda length: length // step


def _inside(zero: Floats, worth: Callable[[int], float]) -> Floats:
    """(M,) mean of what runs between two other weights of a line are worth."""
    total = np.zeros(zero.shape[0])
    for first, last in combinations(range(LINE), 2):
        between = zero[:, first + 1 : last].prod(axis=1)
        total += worth(last - first - 1) * (1.0 - zero[:, first]) * between * (1.0 - zero[:, last])
    return total


def _length_table(worth: Callable[[int], float]) -> Floats:
    """(8, 8) what a run of a zeros behind one line and b before the next is worth."""
    return np.array([[float(worth(a + b)) for b in range(LINE)] for a in range(LINE)])
