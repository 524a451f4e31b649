"""The front in `results.json`: plans with their figures; of a shortlist what each part has to offer, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch, plan_at
from npuexplore.cost.document import totals_document
from npuexplore.cost.estimate import estimate
from npuexplore.pipeline.problem import Problem
from npuexplore.pipeline.rounds import Rounds
from npuexplore.search.pareto import distinct, feasible_front, knee
from npuexplore.search.result import SearchResult


def front_document(problem: Problem, rounds: Rounds) -> dict[str, Any]:
    """`front`: the plans that no other beats; of a shortlist `beaten`, too: what only other parts beat."""
    found = rounds.found
    at_knee = int(found.front[knee(found.objectives[found.front])])
    document = {"front": _points(problem, rounds, found.front, at_knee)}
    if problem.others:
        document["beaten"] = _points(problem, rounds, _beaten_by_other_parts(found))
    return document


def _beaten_by_other_parts(found: SearchResult) -> NDArray[np.int64]:
    """Plans of each part's own front that are not on the front of all, rising; of equal ones the first."""
    assert found.plans.part is not None
    kept: list[NDArray[np.int64]] = []
    for part in np.unique(found.plans.part):
        own = feasible_front(found.objectives, found.feasible & (found.plans.part == part))
        kept.append(own[distinct(found.objectives[own])])
    return np.setdiff1d(np.concatenate(kept), found.front)


def _points(
    problem: Problem, rounds: Rounds, indices: Sequence[int] | NDArray[np.int64], at_knee: int = -1
) -> list[dict[str, Any]]:
    plans = rounds.found.plans.take(np.asarray(indices, np.int64))
    loss_db, unsure_db = rounds.model.loss_db(plans), rounds.model.uncertainty_db(plans)
    estimates, parts = _estimates(problem, plans), problem.parts_of(plans)
    named = {pick.index: pick.name for pick in rounds.picks}
    return [
        {
            "id": f"plan-{index}",
            **({} if parts is None else {"profile": parts[row]}),
            "plan": plan_at(plans, row, problem.network).model_dump(mode="json"),
            "estimates": estimates[row],
            "quality_loss_db": round(float(loss_db[row]), 4),
            "uncertainty_db": round(float(unsure_db[row]), 4),
            "feasible": True,
            "knee": int(index) == at_knee,
            "pick": named.get(int(index)),
        }
        for row, index in enumerate(indices)
    ]


def _estimates(problem: Problem, plans: PlanBatch) -> list[dict[str, Any]]:
    """Totals of each plan on its own part."""
    found: list[dict[str, Any]] = [{}] * len(plans)
    part_of = np.zeros(len(plans), np.int64) if plans.part is None else plans.part
    for number in np.unique(part_of).tolist():
        part, own = problem.parts[number], np.flatnonzero(part_of == number)
        costs = estimate(part.profile, part.network, plans.take(own), memory_mode=part.study.memory_mode)
        for row, index in enumerate(own.tolist()):
            found[index] = totals_document(costs, row)
    return found
