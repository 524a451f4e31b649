"""What `exact`, `evolve` and `auto` find: the front, and that of each structure and each part alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from npuexplore.errors import LimitsNotMet
from npuexplore.search.engines.auto import by_factors, spread
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import FoundFront, exact_front, joined_front
from npuexplore.search.engines.ranking import excess_of
from npuexplore.search.engines.shortlist import FullModel, Shortlist
from npuexplore.search.evaluation import Evaluate, Evaluation
from npuexplore.search.feasibility import preflight
from npuexplore.search.result import Found, front_of
from npuexplore.search.space import Space, dominant_structures, only_structure, plan_keys, plans_from
from npuexplore.search.spec import SearchSpec
from npuexplore.search.uniform import uniform_choices
from npuexplore.units import FloatArray, IntArray

Modelled = Callable[[Space], FullModel]
Told = Callable[[int, int], None]

SINGLES_SHARE = 4
"""One evaluation in so many is spent on the single structures and parts."""
SAME = 1e-9
"""Relative difference of figures that rounding alone explains."""


@dataclass(frozen=True)
class _Region:
    """A space that is searched: the whole one, or what a single structure or part leaves of it."""

    full: FullModel
    to_whole: IntArray
    """(K, most choices) the whole space's index of each choice."""
    structure: str | None = None
    """The only sparse one that is left."""

    def whole(self, rows: IntArray) -> IntArray:
        """(P, K) the whole space's rows of rows of this region."""
        return self.to_whole[np.arange(rows.shape[1]), rows]


def found_by_engine(
    space: Space,
    spec: SearchSpec,
    evaluate: Evaluate,
    modelled: Modelled,
    *,
    seed: int,
    on_part: Told | None = None,
    on_evaluations: Told | None = None,
) -> Found:
    """The candidates that `spec.engine` (exact, evolve or auto) finds in a space.

    evaluate : the full model, which has the last word ; modelled : the same by look-up, of any region of
    the space ; on_part : told (fronts made, all) ; on_evaluations : told (evaluations so far, planned). The
    same arguments give the same candidates. Raises BadInput where `exact` refuses, LimitsNotMet (naming the
    nearest plan) where nothing keeps the limits.
    """
    regions = _regions(space, modelled)
    looked_at, evaluations = 0, 0
    fronts: list[IntArray] = [np.zeros((0, len(space.parameters)), np.int64) for _ in regions]
    if spec.engine != "evolve":
        fronts, looked_at = _apart(regions, spec, on_part)
    if spec.engine != "exact":
        starts = [_elites(each.full, rows, spec.elites) for each, rows in zip(regions, fronts, strict=True)]
        fronts, evaluations = _evolved(regions, starts, spec, seed, on_evaluations)
    chosen = [regions[0].whole(fronts[0])]
    for region, rows in zip(regions[1:], fronts[1:], strict=True):
        chosen.append(region.whole(_elites(region.full, rows, spec.elites)))
        chosen.append(region.whole(_elites(region.full, _alike(region), spec.elites)))
    rows = np.concatenate(chosen)
    if not (len(rows) and regions[0].full.evaluate(rows).feasible.any()):
        _refuse_empty(space, evaluate, seed)
    rows = _each_plan_once(space, rows)
    return Found(rows, _agreed(regions[0].full, rows, evaluate), max(evaluations, len(rows)), looked_at)


def _apart(regions: Sequence[_Region], spec: SearchSpec, told: Told | None) -> tuple[list[IntArray], int]:
    """Fronts of all regions, layer by layer, and how many partial designs were compared."""
    tolerance, whole = Tolerance(spec.eps_frac, spec.eps_db), regions[0].full
    several = isinstance(whole, Shortlist)
    found: list[FoundFront] = []
    for region in regions[several:]:
        found.append(exact_front(region.full, tolerance, relaxed=spec.engine == "auto"))
        if told is not None:
            told(len(found), len(regions) - several)
    looked_at = sum(each.looked_at for each in found)
    if isinstance(whole, Shortlist):
        found.insert(0, joined_front(whole, found[-len(whole.parts) :]))
    return [each.rows for each in found], looked_at


def _refuse_empty(space: Space, evaluate: Evaluate, seed: int) -> NoReturn:
    """Says which limit is to blame, as before a search, now with the loss among them."""
    preflight(space, evaluate, seed=seed)
    raise LimitsNotMet(
        "no plan that the search found keeps every limit; raise a limit, allow more sparsity or search longer"
    )


def _regions(space: Space, modelled: Modelled) -> list[_Region]:
    """The whole space, then what each of several structures leaves of it, then each of several parts."""

    def region(full: FullModel, structure: str | None = None) -> _Region:
        return _Region(full, _to_whole(space, full.space), structure)

    names = space.structures if len(space.structures) > 1 else ()
    whole = modelled(space)
    parts = whole.parts if isinstance(whole, Shortlist) else ()
    structures = [region(modelled(only_structure(space, name)), name) for name in names]
    return [region(whole), *structures, *map(region, parts)]


def _to_whole(space: Space, region: Space) -> IntArray:
    most = max(len(parameter.choices) for parameter in space.parameters)
    table = np.zeros((len(space.parameters), most), np.int64)
    for row, (own, whole) in enumerate(zip(region.parameters, space.parameters, strict=True)):
        table[row, : len(own.choices)] = [whole.choices.index(choice) for choice in own.choices]
    return table


def _elites(full: FullModel, rows: IntArray, count: int) -> IntArray:
    """Up to `count` designs of a front, spread over it."""
    if len(rows) <= count:
        return rows
    return rows[spread(by_factors(full.evaluate(rows).objectives, full.objectives), count=count)]


def _alike(region: _Region) -> IntArray:
    """The best plans that give all layers the same sparsity of a structure, or the one nearest to the limits.

    Where a structure never pays, its own front is the dense network alone.
    """
    space = region.full.space
    rows = np.asarray(uniform_choices(space), np.int64)
    if region.structure is not None:
        own = np.array(dominant_structures(plans_from(space, rows), space.network)) == region.structure
        rows = rows[own]
    if not len(rows):
        return rows
    evaluation = region.full.evaluate(rows)
    best = front_of(evaluation)
    if not best.size:
        best = np.argmin(excess_of(evaluation.violations), keepdims=True)
    return np.asarray(rows[best], np.int64)


def _evolved(
    regions: Sequence[_Region], starts: Sequence[IntArray], spec: SearchSpec, seed: int, told: Told | None
) -> tuple[list[IntArray], int]:
    """Fronts of all regions, that of the whole space from the others' too, and the evaluations they took."""
    singles = len(regions) - 1
    share = spec.evaluations // (SINGLES_SHARE * singles) if singles else 0
    fronts: list[IntArray] = []
    spent = 0
    for number in range(1, len(regions)):
        rows, took = _evolve(regions[number], starts[number], share, spec, [seed, number], told, spent)
        fronts.append(rows)
        spent += took
    seeds = [starts[0]]
    for region, rows in zip(regions[1:], fronts, strict=True):
        seeds.append(region.whole(_elites(region.full, rows, max(spec.elites // singles, 1))))
    start = np.concatenate(seeds)
    rows, took = _evolve(regions[0], start, spec.evaluations - spent, spec, [seed, 0], told, spent)
    return [rows, *fronts], spent + took


def _evolve(
    region: _Region,
    start: IntArray,
    evaluations: int,
    spec: SearchSpec,
    seed: Sequence[int],
    told: Told | None,
    spent: int,
) -> tuple[IntArray, int]:
    full = region.full

    def evaluated(rows: IntArray) -> tuple[FloatArray, FloatArray]:
        evaluation = full.evaluate(rows)
        return by_factors(evaluation.objectives, full.objectives), evaluation.violations

    found = evolve(
        [len(parameter.choices) for parameter in full.space.parameters],
        evaluated,
        Evolution(max(evaluations, 1), spec.population),
        seed=int(np.random.SeedSequence(seed).generate_state(1)[0]),
        seeds=start,
        on_generation=None if told is None else lambda done, _: told(spent + done, spec.evaluations),
    )
    return found.genomes, found.evaluations


def _each_plan_once(space: Space, rows: IntArray) -> IntArray:
    first: dict[bytes, int] = {}
    for index, key in enumerate(plan_keys(plans_from(space, rows)) if len(rows) else []):
        first.setdefault(key, index)
    return rows[np.array(list(first.values()), np.int64)]


def _agreed(full: FullModel, rows: IntArray, evaluate: Evaluate) -> Evaluation:
    """What the full model says of the candidates, which must be what the look-up said."""
    said, evaluation = full.evaluate(rows), evaluate(plans_from(full.space, rows))
    if not np.allclose(said.objectives, evaluation.objectives, rtol=SAME, atol=SAME):
        raise AssertionError("the estimator and its tables disagree about plans of this space")
    return evaluation
