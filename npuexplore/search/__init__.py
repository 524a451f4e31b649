"""The search: space, Optuna driver, front, picks. Optuna itself is imported only when a search runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npuexplore.search.driver import run_search
from npuexplore.search.evaluation import Constraint, Evaluation, violations_of
from npuexplore.search.feasibility import preflight
from npuexplore.search.pareto import hypervolume, hypervolume_frac, knee, nondominated
from npuexplore.search.picks import Pick, PickList, choose_picks
from npuexplore.search.result import SearchResult
from npuexplore.search.space import (
    Space,
    SpaceSpec,
    dominant_structures,
    plans_from,
    single_structure,
    space_for,
)
from npuexplore.search.spec import SearchSpec, refuse_unknown_objectives

if TYPE_CHECKING:
    from npuexplore.search.sampler import EvolveSampler

__all__ = [
    "Constraint",
    "Evaluation",
    "EvolveSampler",
    "Pick",
    "PickList",
    "SearchResult",
    "SearchSpec",
    "Space",
    "SpaceSpec",
    "choose_picks",
    "dominant_structures",
    "hypervolume",
    "hypervolume_frac",
    "knee",
    "nondominated",
    "plans_from",
    "preflight",
    "refuse_unknown_objectives",
    "run_search",
    "single_structure",
    "space_for",
    "violations_of",
]


def __getattr__(name: str) -> Any:
    if name != "EvolveSampler":
        raise AttributeError(f"module npuexplore.search has no attribute {name!r}")
    from npuexplore.search.sampler import EvolveSampler

    return EvolveSampler
