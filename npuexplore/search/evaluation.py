"""What the search minimises and what it must keep, as arrays over a batch of plans."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch
from npuexplore.errors import BadInput
from npuexplore.units import FloatArray


@dataclass(frozen=True)
class Constraint:
    """An upper limit on one quantity."""

    name: str
    """Quantity with its unit, as in the estimate's totals: `flash_bytes`."""
    limit: float
    """Largest allowed value, above 0."""


@dataclass(frozen=True)
class Evaluation:
    """Objectives and constraints of P plans. Each row depends on its own plan only."""

    objectives: FloatArray
    """(P, M) float, minimised, in the order of the search's objectives."""
    violations: FloatArray
    """(P, C) float: value / limit - 1, so that at most 0 is feasible and limits compare."""
    constraints: tuple[Constraint, ...]

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(P,) bool: within every limit."""
        return np.asarray((self.violations <= 0.0).all(axis=1))


Evaluate = Callable[[PlanBatch], Evaluation]


def violations_of(values: FloatArray, constraints: tuple[Constraint, ...]) -> FloatArray:
    """How far each value lies above its limit, as a share of the limit.

    values : (P, C) float; returns (P, C) float64, at most 0 where the limit is kept.

    >>> violations_of(np.array([[60.0]]), (Constraint("flash_bytes", 40.0),)).tolist()
    [[0.5]]
    """
    limits = np.array([constraint.limit for constraint in constraints], np.float64)
    return np.asarray(values / limits - 1.0)


def evaluate_parts(evaluators: Sequence[Evaluate]) -> Evaluate:
    """One function over batches of plans for several parts (`PlanBatch.part`) from one function per part.

    Limits are put together as `of_several_parts` says. What limits a part has is learnt from the first plan
    of all, so each function must take the plans of every part. One function alone is returned as it is.
    """
    if len(evaluators) == 1:
        return evaluators[0]
    limits: list[tuple[Constraint, ...]] = []

    def evaluate(plans: PlanBatch) -> Evaluation:
        assert plans.part is not None, "these plans name no part"
        if not limits:
            limits.extend(of_one(plans.take(slice(0, 1))).constraints for of_one in evaluators)
        return of_several_parts(plans.part, limits, lambda part, index: evaluators[part](plans.take(index)))

    return evaluate


def of_several_parts(
    parts: NDArray[np.integer],
    limits: Sequence[tuple[Constraint, ...]],
    evaluate: Callable[[int, NDArray[np.intp]], Evaluation],
) -> Evaluation:
    """The evaluation of P plans of which each is for one of several parts.

    parts : (P,) the part of each; limits : of every part; evaluate : the plans at some indices, all of one
    part. Its limits are those of the first plan's part (`joined_limits`), and a limit that a plan's part does
    not have is kept (-1).
    """
    columns = joined_limits(limits, of=int(parts[0]) if len(parts) else 0)
    names = [limit.name for limit in columns]
    violations = np.full((len(parts), len(names)), -1.0)
    objectives: FloatArray | None = None
    for part in np.unique(parts).tolist() or [0]:
        index = np.flatnonzero(parts == part)
        found = evaluate(part, index)
        if objectives is None:
            objectives = np.zeros((len(parts), found.objectives.shape[1]))
        objectives[index] = found.objectives
        for limit, column in zip(found.constraints, found.violations.T, strict=True):
            violations[index, names.index(limit.name)] = column
    assert objectives is not None
    return Evaluation(objectives, violations, columns)


def joined_limits(limits: Sequence[tuple[Constraint, ...]], *, of: int) -> tuple[Constraint, ...]:
    """Every limit that some part has, in order of first appearance, as part `of` has it; infinite where it
    has none.

    >>> joined_limits([(Constraint("latency_ms", 8.0),), (Constraint("flash_bytes", 9.0),)], of=0)
    (Constraint(name='latency_ms', limit=8.0), Constraint(name='flash_bytes', limit=inf))
    """
    own = {limit.name: limit for limit in limits[of]}
    names = dict.fromkeys(limit.name for each in limits for limit in each)
    return tuple(own.get(name, Constraint(name, math.inf)) for name in names)


def check_finite(evaluation: Evaluation, objectives: Sequence[str]) -> None:
    """Raises BadInput that names the objectives, or the limits, of which some value is not finite."""
    finite = np.isfinite(evaluation.objectives)
    if not finite.all():
        names = [name for name, column in zip(objectives, finite.T, strict=True) if not column.all()]
        raise BadInput(
            f"search.objectives: {', '.join(names)} is not a finite number for some plans on this part; "
            "choose other objectives or complete the profile"
        )
    if not np.isfinite(evaluation.violations).all():
        limits = ", ".join(limit.name for limit in evaluation.constraints)
        raise BadInput(
            f"study limits: one of {limits} is not a finite number for some plans; leave that limit out or "
            "complete the profile"
        )
