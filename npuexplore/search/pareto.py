"""Fronts of minimised objectives: who is dominated, how crowded, where the knee is, how much is covered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.search.dominance import first_of_equals, front_of_ranks, ranks_of
from npuexplore.units import FloatArray

BoolArray = NDArray[np.bool_]


def nondominated(objectives: FloatArray) -> BoolArray:
    """Which points no other point beats: none is at least as good in all and better in one objective.

    objectives : (P, M) float, minimised; returns (P,) bool. Equal points stand or fall together.

    >>> nondominated(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0]])).tolist()
    [True, True, False]
    """
    return front_of_ranks(ranks_of(objectives))


def distinct(objectives: FloatArray) -> NDArray[np.intp]:
    """Index of the first of each group of equal points, rising.

    objectives : (P, M) float.

    >>> distinct(np.array([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0]])).tolist()
    [0, 1]
    """
    return np.sort(first_of_equals(ranks_of(objectives)))


def feasible_front(objectives: FloatArray, feasible: BoolArray) -> NDArray[np.int64]:
    """Indices of the non-dominated points among the feasible ones, rising.

    objectives : (P, M) float, minimised; feasible : (P,) bool.
    """
    candidates = np.flatnonzero(feasible)
    return np.asarray(candidates[nondominated(objectives[candidates])], np.int64)


def scaled(objectives: FloatArray) -> FloatArray:
    """Each objective moved and stretched to 0..1 over the points; a constant one becomes 0.

    objectives : (P, M) float; returns (P, M) float64.
    """
    low, high = objectives.min(axis=0), objectives.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return np.asarray((objectives - low) / span)


def crowding(objectives: FloatArray) -> FloatArray:
    """Room around each point of a front: sum over objectives of the gap between its neighbours.

    objectives : (P, M) float; returns (P,) float64, infinite at the ends of each objective
    (Deb et al. 2002, section III-B).

    >>> crowding(np.array([[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]])).tolist()
    [inf, 2.0, inf]
    """
    points = scaled(objectives)
    room = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        ranked = column[order]
        if ranked[0] == ranked[-1]:
            continue
        room[order[1:-1]] += ranked[2:] - ranked[:-2]
        room[order[[0, -1]]] = np.inf
    return room


def knee(objectives: FloatArray) -> int:
    """Index of the point closest to the ideal corner, objectives scaled to 0..1 over the points.

    objectives : (P, M) float, P > 0; ties go to the lower index.

    >>> knee(np.array([[0.0, 1.0], [0.2, 0.2], [1.0, 0.0]]))
    1
    """
    return int(np.argmin((scaled(objectives) ** 2).sum(axis=1)))


def hypervolume(objectives: FloatArray, *, reference: FloatArray) -> float:
    """Volume that the points dominate below the reference point; exact.

    objectives : (P, M) float, minimised; reference : (M,) float; M is 2..4. Points that are not better
    than the reference in every objective add nothing. Slices along the last objective, each point
    adding what it alone dominates (While et al. 2012).

    >>> hypervolume(np.array([[0.0, 1.0], [1.0, 0.0]]), reference=np.array([2.0, 2.0]))
    3.0
    """
    points = np.asarray(objectives, np.float64)
    inside = points[(points < reference).all(axis=1)]
    return _volume(inside[nondominated(inside)], np.asarray(reference, np.float64))


def _volume(points: FloatArray, reference: FloatArray) -> float:
    if points.shape[1] == 2:
        return _area(points, reference)
    points = points[np.argsort(points[:, -1], kind="stable")]
    depth = reference[-1] - points[:, -1]
    faces = points[:, :-1]
    total = 0.0
    for index, face in enumerate(faces):
        hidden = np.maximum(faces[:index], face)
        if hidden.shape[1] > 2:
            hidden = hidden[nondominated(hidden)]
        gain = float(np.prod(reference[:-1] - face)) - _volume(hidden, reference[:-1])
        total += float(depth[index]) * gain
    return total


def _area(points: FloatArray, reference: FloatArray) -> float:
    if len(points) == 0:
        return 0.0
    points = points[np.argsort(points[:, 0], kind="stable")]
    lowest = np.minimum.accumulate(np.concatenate([reference[1:], points[:, 1]]))
    return float(((reference[0] - points[:, 0]) * -np.diff(lowest)).sum())


def hypervolume_frac(objectives: FloatArray, feasible: BoolArray) -> float:
    """Share of the box between the best and the worst feasible values that the feasible points dominate.

    objectives : (P, M) float, minimised; feasible : (P,) bool. 0 where nothing is feasible; objectives
    that do not vary are left out, and with fewer than two varying ones the share is 1.
    """
    if not feasible.any():
        return 0.0
    points = objectives[feasible]
    points = points[:, points.max(axis=0) > points.min(axis=0)]
    if points.shape[1] < 2:
        return 1.0
    return hypervolume(scaled(points), reference=np.ones(points.shape[1]))
