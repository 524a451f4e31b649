"""Who is dominated, among a million points: by sweeping a staircase, or by the strongest first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ranks = NDArray[np.int64]

SWEPT_POINTS = 4_096
"""Fewer points than these are not worth a sweep."""
SWEPT_STEPS = 400_000_000
"""Cells of the staircase times its steps: more than these cost more than comparing points does."""
FIRST_PIVOTS, MOST_PIVOTS = 16, 256
COMPARED = 1 << 16
"""Points that pivots are compared with at once; they stay in the cache."""


def ranks_of(points: NDArray[Any]) -> Ranks:
    """Each column's values replaced by their places in its order, equal ones alike.

    points : (P, M); returns (P, M) int64.

    >>> ranks_of(np.array([[0.5, 9.0], [0.1, 9.0]])).tolist()
    [[1, 0], [0, 0]]
    """
    columns = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in points.T]
    return np.stack(columns, axis=1) if columns else np.zeros((len(points), 0), np.int64)


def first_of_equals(ranks: Ranks) -> NDArray[np.intp]:
    """Index of the first of each group of equal rows.

    ranks : (P, M) of small non-negative numbers; returns (P',), rising by the rows' own order.
    """
    _, first = np.unique(_packed(ranks), return_index=True)
    return first


def front_of_ranks(ranks: Ranks) -> NDArray[np.bool_]:
    """Which rows no other row beats: none is at most as great in all columns and smaller in one.

    ranks : (P, M) int64 from 0, dense in each column; returns (P,) bool. Equal rows stand or fall together.

    >>> front_of_ranks(np.array([[0, 2], [1, 1], [1, 2]])).tolist()
    [True, True, False]
    """
    if len(ranks) == 0:
        return np.zeros(0, bool)
    _, first, inverse = np.unique(_packed(ranks), return_index=True, return_inverse=True)
    rows = ranks[first]
    sizes = rows.max(axis=0) + 1
    varying = np.flatnonzero(sizes > 1)
    order = varying[np.argsort(sizes[varying], kind="stable")]
    return np.asarray(_front(rows[:, order], sizes[order])[inverse.reshape(-1)])


def _packed(ranks: Ranks) -> NDArray[Any]:
    """(P,) one number for each different row, in the rows' order where they fit into 63 bits."""
    packed: NDArray[Any] = np.zeros(len(ranks), np.int64)
    room = 1
    for column in ranks.T:
        size = int(column.max(initial=0)) + 1
        if room * size >= 2**62:
            packed = np.unique(packed, return_inverse=True)[1].reshape(-1)
            room = len(ranks)
        packed = packed * size + column
        room *= size
    return packed


def _front(rows: Ranks, sizes: Ranks) -> NDArray[np.bool_]:
    """Of different rows whose columns all vary, the widest column last."""
    if rows.shape[1] == 0:
        return np.ones(len(rows), bool)
    if rows.shape[1] == 1:
        return np.asarray(rows[:, 0] == 0)
    cells = math.prod(sizes[:-2].tolist())
    swept = len(rows) > SWEPT_POINTS and cells * int(sizes[-2]) <= SWEPT_STEPS
    return _swept(rows, sizes) if swept or rows.shape[1] == 2 else _by_pivots(rows)


def _swept(rows: Ranks, sizes: Ranks) -> NDArray[np.bool_]:
    """Step by step along the second widest column; the staircase holds the least of the widest so far.

    The least is taken over every cell that is at most as great in all other columns, so that a point stays
    exactly where it lies below the staircase.
    """
    shape = tuple(sizes[:-2].tolist()) or (1,)
    cell = (
        np.ravel_multi_index(tuple(rows[:, :-2].T), shape) if rows.shape[1] > 2 else np.zeros(len(rows), int)
    )
    value, step = rows[:, -1], rows[:, -2]
    order = np.lexsort((value, cell, step))
    step, cell, value = step[order], cell[order], value[order]
    least = np.concatenate([[True], (step[1:] != step[:-1]) | (cell[1:] != cell[:-1])])
    order, step, cell, value = order[least], step[least], cell[least], value[least]
    starts = np.flatnonzero(np.concatenate([[True], step[1:] != step[:-1]]))
    ends = np.append(starts[1:], len(step))
    keep = np.zeros(len(rows), bool)
    stairs = np.full(shape, sizes[-1])
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        run = slice(start, end)
        below = value[run] < stairs.reshape(-1)[cell[run]]
        if not below.any():
            continue
        at, own = cell[run][below], value[run][below]
        before = stairs.copy()
        before.reshape(-1)[at] = own
        after = _least_below(before)
        keep[order[run][below]] = own < _strictly_below(after, at, shape, int(sizes[-1]))
        stairs = after
    return keep


def _least_below(values: Ranks) -> Ranks:
    """The least over all cells that are at most as great in every axis."""
    for axis in range(values.ndim):
        values = np.minimum.accumulate(values, axis=axis)
    return values


def _strictly_below(least: Ranks, at: Ranks, shape: tuple[int, ...], none: int) -> Ranks:
    """(Q,) the least over the cells below those at `at`, themselves left out."""
    found = np.full(len(at), none)
    flat, places = least.reshape(-1), np.unravel_index(at, shape)
    stride = 1
    for axis in reversed(range(len(shape))):
        inner = places[axis] > 0
        found[inner] = np.minimum(found[inner], flat[at[inner] - stride])
        stride *= shape[axis]
    return found


def _by_pivots(rows: Ranks) -> NDArray[np.bool_]:
    """The points of least sums first: nothing later beats them, and they beat most of what follows."""
    order = np.argsort(rows.sum(axis=1), kind="stable")
    left = np.ascontiguousarray(rows[order].T)
    keep = np.zeros(len(rows), bool)
    count = FIRST_PIVOTS
    while order.size:
        head = left[:, :count]
        best = ~_beaten(head, head, own=True)
        keep[order[:count][best]] = True
        stay = ~_beaten(left[:, count:], head[:, best], own=False)
        order, left = order[count:][stay], np.ascontiguousarray(left[:, count:][:, stay])
        count = min(2 * count, MOST_PIVOTS)
    return keep


def _beaten(points: Ranks, pivots: Ranks, *, own: bool) -> NDArray[np.bool_]:
    """(N,) whether a pivot is at most as great in all columns.

    points : (M, N) ; pivots : (M, K), of which each is left out against itself if `own`
    """
    beaten = np.zeros(points.shape[1], bool)
    for start in range(0, points.shape[1], COMPARED):
        run = slice(start, start + COMPARED)
        below = pivots[0][:, None] <= points[0, run]
        for pivot, column in zip(pivots[1:], points[1:, run], strict=True):
            below &= pivot[:, None] <= column
        if own:
            np.fill_diagonal(below, False)
        beaten[run] = below.any(axis=0)
    return beaten
