"""What a search leaves, whoever searched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch
from npuexplore.search.evaluation import Evaluation
from npuexplore.search.pareto import feasible_front, hypervolume_frac
from npuexplore.search.space import plan_keys
from npuexplore.units import FloatArray, IntArray


@dataclass(frozen=True)
class Found:
    """Designs that an engine found before Optuna's record is written."""

    rows: IntArray
    """(P, K) choice indices, each plan once: its front, then the fronts of plans of one structure each."""
    evaluation: Evaluation
    """Of these P plans, by the full model."""
    evaluations: int
    """Plans that the full model was asked about on the way."""
    looked_at: int
    """Designs and partial designs that were compared by sums over layers."""


@dataclass(frozen=True)
class SearchResult:
    """What a search evaluated and kept: of Optuna every trial, of other engines their fronts."""

    plans: PlanBatch
    """P plans."""
    objectives: FloatArray
    """(P, M) float64, minimised, in the order of `objective_names`."""
    violations: FloatArray
    """(P, C) float64, at most 0 where the limit is kept."""
    objective_names: tuple[str, ...]
    front: NDArray[np.int64]
    """(F,) indices of the non-dominated feasible plans, rising."""
    evaluations: int
    """Plans that the full model was asked about, those included that were forgotten."""
    recorded: int
    """Finished trials in Optuna's record."""
    suggested_from: int = 0
    """Plans from this one on were suggested by Optuna."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Who searched and how good the front is: `search` in results.json."""

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(P,) bool: within every limit."""
        return np.asarray((self.violations <= 0.0).all(axis=1))

    @property
    def hypervolume_frac(self) -> float:
        """Share of the box between the best and worst feasible objectives that the front dominates."""
        return hypervolume_frac(self.objectives, self.feasible)

    @property
    def front_sha256(self) -> str:
        """Digest of the front's plans and objectives, whatever their order."""
        keys = plan_keys(self.plans.take(self.front)) if self.front.size else []
        rows = [key + row.tobytes() for key, row in zip(keys, self.objectives[self.front], strict=True)]
        return hashlib.sha256(b"".join(sorted(rows))).hexdigest()


def front_of(evaluation: Evaluation) -> NDArray[np.int64]:
    """Indices of the feasible plans that no other feasible one beats, rising."""
    return feasible_front(evaluation.objectives, evaluation.feasible)
