"""The exact front of a space on a part: of a small one by looking at every design, else layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from npuexplore.errors import BadInput
from npuexplore.search.engines.chain import Chain, restricted
from npuexplore.search.engines.chained import chain_of
from npuexplore.search.engines.dynamic import Tolerance, chain_front
from npuexplore.search.engines.layers import Case, case_count, cases_of, rows_of
from npuexplore.search.engines.separable import SeparableModel, separated
from npuexplore.search.engines.shortlist import FullModel, Shortlist
from npuexplore.search.evaluation import Evaluation
from npuexplore.search.pareto import distinct, feasible_front
from npuexplore.search.space import all_choices
from npuexplore.units import FloatArray, IntArray

ENUMERATED_DESIGNS = 100_000
"""A space of so few designs is looked at whole."""
MOST_CASES = 20_000
"""Each case is a search of its own."""


@dataclass(frozen=True)
class FoundFront:
    """Designs that no other beats (or that stand for all others within the tolerance)."""

    rows: IntArray
    """(F, K) choice indices."""
    objectives: FloatArray
    """(F, M)"""
    violations: FloatArray
    """(F, C)"""
    looked_at: int
    """Designs and partial designs that were compared."""


def exact_search(
    model: SeparableModel,
    tolerance: Tolerance | None = None,
    *,
    on_case: Callable[[int, int], None] | None = None,
) -> FoundFront:
    """The front of every design that keeps the limits; empty where none does.

    For each such design one of the front keeps the limits too and is within the tolerance in every objective;
    without a tolerance the front is exactly what looking at every design would give, equal points once.
    on_case : told (finished, all) cases. Raises BadInput for a space with too many cases.
    """
    if model.space.designs <= ENUMERATED_DESIGNS:
        return _front(model, all_choices(model.space), model.space.designs)
    found: list[IntArray] = [np.zeros((0, len(model.space.parameters)), np.int64)]
    looked_at = 0
    for rows, count in _rows_of_cases(model, tolerance or Tolerance(), on_case):
        found.append(rows)
        looked_at += count
    return _front(model, np.concatenate(found), looked_at)


def exact_front(full: FullModel, tolerance: Tolerance, *, relaxed: bool = False) -> FoundFront:
    """`exact_search` of a full model; a small space is looked at whole, whether it is separable or not.

    Several parts are searched one by one. relaxed : take the front of what is separable in it. Raises
    BadInput, unless `relaxed`, for a model that is not separable.
    """
    if isinstance(full, Shortlist):
        return joined_front(full, [exact_front(own, tolerance, relaxed=relaxed) for own in full.parts])
    if full.space.designs <= ENUMERATED_DESIGNS:
        return _front(full, all_choices(full.space), full.space.designs)
    return exact_search(separated(full, relaxed=relaxed), tolerance)


def joined_front(full: Shortlist, found: Sequence[FoundFront]) -> FoundFront:
    """The designs that no other beats among the fronts of all parts, given in their order."""
    rows = [full.rows_of(part, own.rows) for part, own in enumerate(found)]
    return _front(full, np.concatenate(rows), sum(own.looked_at for own in found))


def _rows_of_cases(
    model: SeparableModel, tolerance: Tolerance, on_case: Callable[[int, int], None] | None
) -> Iterator[tuple[IntArray, int]]:
    cases, chain = case_count(model.space), chain_of(model)
    if cases > MOST_CASES:
        raise BadInput(
            f"search.engine: exact would have to search {cases:,} cases of what layers share, at most "
            f"{MOST_CASES:,} are allowed; untie the layers, shorten the grids, or choose evolve"
        )
    rates = np.arange(len(model.tables.skip_rates_frac))
    for done, case in enumerate(cases_of(model.space, model.layers), start=1):
        front = chain_front(_case_chain(chain, case), tolerance)
        picked = np.repeat(front.choices, rates.size, axis=0)
        rows = rows_of(model.space, model.layers, case, picked, np.tile(rates, len(front.choices)))
        yield rows, front.looked_at
        if on_case is not None:
            on_case(done, cases)


def _case_chain(chain: Chain, case: Case) -> Chain:
    return restricted(chain, case.allowed) if case.shared else chain


def _front(model: SeparableModel | FullModel, rows: IntArray, looked_at: int) -> FoundFront:
    evaluation: Evaluation = model.evaluate(rows)
    front = feasible_front(evaluation.objectives, evaluation.feasible)
    kept = front[distinct(evaluation.objectives[front])]
    return FoundFront(rows[kept], evaluation.objectives[kept], evaluation.violations[kept], looked_at)
