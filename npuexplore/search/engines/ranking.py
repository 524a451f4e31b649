"""Who survives in an evolutionary search: feasible before infeasible, then by fronts, then by room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.search.pareto import crowding
from npuexplore.units import FloatArray

Ranks = NDArray[np.int64]


def excess_of(violations: FloatArray) -> NDArray[np.float64]:
    """(P,) sum of what each plan is over its limits; 0 where it keeps all. violations : (P, C).

    >>> excess_of(np.array([[-0.5, 0.25], [-1.0, 0.0]])).tolist()
    [0.25, 0.0]
    """
    return np.asarray(np.maximum(violations, 0.0).sum(axis=1), np.float64)


def fronts_of(objectives: FloatArray, *, enough: int | None = None) -> Ranks:
    """The front that each point is on: 0 if no other beats it, 1 if only points of front 0 do, and so on.

    objectives : (P, M) float, minimised ; enough : points beyond the front that brings the count to this
    many share one more front. Equal points share a front. Compares all pairs at once: for populations.

    >>> fronts_of(np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [3.0, 3.0]])).tolist()
    [0, 0, 1, 2]
    """
    below = np.ones((len(objectives),) * 2, bool)
    above = np.ones_like(below)
    for column in np.ascontiguousarray(objectives.T):
        below &= column[:, None] <= column
        above &= column[:, None] >= column
    beats = below & ~above
    beaten_by = beats.sum(axis=0)
    front = np.full(len(objectives), -1)
    current = np.flatnonzero(beaten_by == 0)
    placed, number = 0, 0
    while current.size:
        front[current], placed, number = number, placed + current.size, number + 1
        if enough is not None and placed >= enough:
            break
        beaten_by[current] = -1
        beaten_by -= beats[current].sum(axis=0)
        current = np.flatnonzero((beaten_by == 0) & (front < 0))
    front[front < 0] = number
    return front


def survivors(objectives: FloatArray, excess: FloatArray, *, count: int) -> Ranks:
    """Indices of the `count` best points, best first.

    objectives : (P, M) float, minimised ; excess : (P,) 0 for feasible points. Infeasible points come after
    all feasible ones, by their excess (Deb et al. 2002, section VI).
    """
    feasible = np.flatnonzero(excess <= 0.0)
    front = np.full(len(objectives), len(objectives))
    room = np.zeros(len(objectives))
    front[feasible] = fronts_of(objectives[feasible], enough=count)
    for number in range(int(front[feasible].max(initial=-1)) + 1):
        members = feasible[front[feasible] == number]
        room[members] = crowding(objectives[members])
    return np.lexsort((-room, excess, front))[:count]
