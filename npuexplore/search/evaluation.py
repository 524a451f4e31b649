"""What the search minimises and what it must keep, as arrays over a batch of plans."""

from __future__ import annotations

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
