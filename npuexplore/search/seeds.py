"""The first generation of a search: plans that treat all layers alike, and the best of a random screening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npuexplore.search.evaluation import Evaluate
from npuexplore.search.pareto import crowding, feasible_front
from npuexplore.search.space import Space, params_of, plan_keys, plans_from, random_choices
from npuexplore.search.uniform import uniform_choices
from npuexplore.units import IntArray

Params = Mapping[str, Any]


def uniform_plans(space: Space, *, count: int, seen: set[bytes]) -> list[Params]:
    """Up to `count` unseen plans that treat every layer alike, evenly spread over all of those."""
    rows = _unseen(space, uniform_choices(space), seen)
    picked = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    return [params_of(space, row) for row in rows[picked]]


def screened_plans(
    space: Space, evaluate: Evaluate, *, screened: int, count: int, seed: Sequence[int], seen: set[bytes]
) -> list[Params]:
    """Up to `count` unseen plans of the front of `screened` random ones, loneliest first.

    The others are forgotten: only what is returned becomes a trial.
    """
    if screened == 0 or count == 0:
        return []
    rows = _unseen(space, random_choices(space, np.random.default_rng(seed), screened), seen)
    if len(rows) == 0:
        return []
    evaluation = evaluate(plans_from(space, rows))
    front = feasible_front(evaluation.objectives, evaluation.feasible)
    if front.size == 0:
        return []
    order = np.argsort(-crowding(evaluation.objectives[front]), kind="stable")
    return [params_of(space, row) for row in rows[front[order[:count]]]]


def _unseen(space: Space, rows: IntArray, seen: set[bytes]) -> IntArray:
    """The first row of each plan that is not in `seen`, (P', K), in order."""
    first: dict[bytes, int] = {}
    for index, key in enumerate(plan_keys(plans_from(space, rows))):
        if key not in seen:
            first.setdefault(key, index)
    return rows[np.array(list(first.values()), np.int64)]
