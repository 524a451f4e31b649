"""Relaxation, then evolution: the front of what is separable seeds a search of the full model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evaluate, Evolution, Evolved, evolve
from npuexplore.search.engines.exact import FoundFront, exact_search
from npuexplore.search.engines.look_up import LOSS
from npuexplore.search.engines.separable import SeparableModel
from npuexplore.search.pareto import scaled
from npuexplore.units import FloatArray, IntArray

ELITES = 500
"""Points of the relaxation's front that are looked at with the full model."""
RELAXED = Tolerance(eps_frac=0.1, eps_db=0.05)


@dataclass(frozen=True)
class AutoFront:
    """What each part of the search found."""

    relaxed: FoundFront
    """The front of the separable model."""
    elites: IntArray
    """(E, K) spread over it; under the full model some may be beaten, or over a limit."""
    evolved: Evolved
    """The front of everything that the full model was asked about, the elites among it."""


def auto_search(
    model: SeparableModel,
    evaluate: Evaluate,
    *,
    evaluations: int,
    seed: int,
    population: int = 200,
    tolerance: Tolerance = RELAXED,
    elites: int = ELITES,
    on_generation: Callable[[int, int], None] | None = None,
) -> AutoFront:
    """Search a model that is not separable from the front of one that is.

    evaluate : the full model, design rows (P, K) to objectives and violations ; evaluations : of the full
    model, the elites among them. The same arguments give the same result. Raises BadInput where `exact` or
    `evolve` would.
    """
    relaxed = exact_search(model, tolerance)
    apart = by_factors(relaxed.objectives, model.objectives)
    picked = relaxed.rows[spread(apart, count=min(elites, evaluations))]
    evolved = evolve(
        [len(parameter.choices) for parameter in model.space.parameters],
        evaluate,
        Evolution(evaluations, population),
        seed=seed,
        seeds=picked,
        on_generation=on_generation,
    )
    return AutoFront(relaxed, picked, evolved)


def by_factors(objectives: FloatArray, names: Sequence[str]) -> FloatArray:
    """(P, M) with the logarithm of every objective but the loss, which is one already.

    >>> by_factors(np.array([[100.0, 0.5]]), ["cycles", "quality_loss_db"]).tolist()
    [[2.0, 0.5]]
    """
    columns = [
        column if name == LOSS else np.log10(np.maximum(column, np.finfo(np.float64).tiny))
        for name, column in zip(names, objectives.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def spread(objectives: FloatArray, *, count: int) -> NDArray[np.int64]:
    """Indices of up to `count` points that leave no other far away: the best of each objective, then always
    the point that is farthest from those taken (Gonzalez 1985, k-center).

    objectives : (P, M) float; distances over objectives scaled to 0..1. Returned in the order of taking.

    >>> spread(np.array([[0.0, 1.0], [0.1, 0.9], [0.6, 0.4], [1.0, 0.0]]), count=3).tolist()
    [0, 3, 2]
    """
    if len(objectives) == 0 or count < 1:
        return np.zeros(0, np.int64)
    points = scaled(objectives)
    taken = list(dict.fromkeys(points.argmin(axis=0).tolist()))[:count]
    nearest = np.min([_distance(points, points[index]) for index in taken], axis=0)
    while len(taken) < count and nearest.max() > 0.0:
        taken.append(int(np.argmax(nearest)))
        np.minimum(nearest, _distance(points, points[taken[-1]]), out=nearest)
    return np.array(taken, np.int64)


def _distance(points: FloatArray, point: FloatArray) -> NDArray[np.float64]:
    return np.asarray(((points - point) ** 2).sum(axis=1), np.float64)
