"""What `exact`, `evolve` and `auto` find for a study: the front, and the front of each structure alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from npuexplore.errors import LimitsNotMet
from npuexplore.search.engines.auto import by_factors, spread
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import exact_front
from npuexplore.search.engines.look_up import LookUp
from npuexplore.search.engines.ranking import excess_of
from npuexplore.search.evaluation import Evaluate, Evaluation
from npuexplore.search.feasibility import preflight
from npuexplore.search.result import Found, front_of
from npuexplore.search.space import Space, dominant_structures, only_structure, plan_keys, plans_from
from npuexplore.search.spec import SearchSpec
from npuexplore.search.uniform import uniform_choices
from npuexplore.units import FloatArray, IntArray

Modelled = Callable[[Space], LookUp]
Told = Callable[[int, int], None]

STRUCTURES_SHARE = 4
"""One evaluation in so many is spent on the single structures."""
SAME = 1e-9
"""Relative difference of figures that rounding alone explains."""


@dataclass(frozen=True)
class _Part:
    """A space that is searched: the whole one, or what a single structure leaves of it."""

    full: LookUp
    to_whole: IntArray
    """(K, most choices) the whole space's index of each choice."""

    def whole(self, rows: IntArray) -> IntArray:
        """(P, K) the whole space's rows of rows of this part."""
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

    evaluate : the full model, which has the last word ; modelled : the same by look-up, of a part of the
    space ; on_part : told (fronts made, all) ; on_evaluations : told (evaluations so far, planned). The
    same arguments give the same candidates. Raises BadInput where `exact` refuses, LimitsNotMet (naming the
    nearest plan) where nothing keeps the limits.
    """
    parts = _parts(space, modelled)
    looked_at, evaluations = 0, 0
    fronts: list[IntArray] = [np.zeros((0, len(space.parameters)), np.int64) for _ in parts]
    if spec.engine != "evolve":
        fronts, looked_at = _apart(parts, spec, on_part)
    if spec.engine != "exact":
        starts = [_elites(part.full, rows, spec.elites) for part, rows in zip(parts, fronts, strict=True)]
        fronts, evaluations = _evolved(parts, starts, spec, seed, on_evaluations)
    chosen = [parts[0].whole(fronts[0])]
    for part, name, rows in zip(parts[1:], space.structures, fronts[1:], strict=False):
        chosen.append(part.whole(_elites(part.full, rows, spec.elites)))
        chosen.append(part.whole(_elites(part.full, _alike(part, name), spec.elites)))
    rows = np.concatenate(chosen)
    if not (len(rows) and parts[0].full.evaluate(rows).feasible.any()):
        _refuse_empty(space, evaluate, seed)
    rows = _each_plan_once(space, rows)
    return Found(rows, _agreed(parts[0].full, rows, evaluate), max(evaluations, len(rows)), looked_at)


def _apart(parts: Sequence[_Part], spec: SearchSpec, told: Told | None) -> tuple[list[IntArray], int]:
    """Fronts of all parts, layer by layer, and how many partial designs were compared."""
    fronts, looked_at = [], 0
    for done, part in enumerate(parts, start=1):
        tolerance = Tolerance(spec.eps_frac, spec.eps_db)
        found = exact_front(part.full, tolerance, relaxed=spec.engine == "auto")
        fronts.append(found.rows)
        looked_at += found.looked_at
        if told is not None:
            told(done, len(parts))
    return fronts, looked_at


def _refuse_empty(space: Space, evaluate: Evaluate, seed: int) -> NoReturn:
    """Says which limit is to blame, as before a search, now with the loss among them."""
    preflight(space, evaluate, seed=seed)
    raise LimitsNotMet(
        "no plan that the search found keeps every limit; raise a limit, allow more sparsity or search longer"
    )


def _parts(space: Space, modelled: Modelled) -> list[_Part]:
    """The whole space, then what each of several structures leaves of it."""
    names = space.structures if len(space.structures) > 1 else ()
    spaces = [space, *(only_structure(space, name) for name in names)]
    return [_Part(modelled(part), _to_whole(space, part)) for part in spaces]


def _to_whole(space: Space, part: Space) -> IntArray:
    most = max(len(parameter.choices) for parameter in space.parameters)
    table = np.zeros((len(space.parameters), most), np.int64)
    for row, (own, whole) in enumerate(zip(part.parameters, space.parameters, strict=True)):
        table[row, : len(own.choices)] = [whole.choices.index(choice) for choice in own.choices]
    return table


def _elites(full: LookUp, rows: IntArray, count: int) -> IntArray:
    """Up to `count` designs of a front, spread over it."""
    if len(rows) <= count:
        return rows
    return rows[spread(by_factors(full.evaluate(rows).objectives, full.objectives), count=count)]


def _alike(part: _Part, structure: str) -> IntArray:
    """The best plans that give all layers the same sparsity of a structure, or the one nearest to the limits.

    Where a structure never pays, its own front is the dense network alone.
    """
    space = part.full.space
    rows = uniform_choices(space)
    own = np.array(dominant_structures(plans_from(space, rows), space.network)) == structure
    rows = np.asarray(rows[own], np.int64)
    if not len(rows):
        return rows
    evaluation = part.full.evaluate(rows)
    best = front_of(evaluation)
    if not best.size:
        best = np.argmin(excess_of(evaluation.violations), keepdims=True)
    return np.asarray(rows[best], np.int64)


def _evolved(
    parts: Sequence[_Part], starts: Sequence[IntArray], spec: SearchSpec, seed: int, told: Told | None
) -> tuple[list[IntArray], int]:
    """Fronts of all parts, that of the whole space from the others' too, and the evaluations they took."""
    singles = len(parts) - 1
    share = spec.evaluations // (STRUCTURES_SHARE * singles) if singles else 0
    fronts: list[IntArray] = []
    spent = 0
    for number in range(1, len(parts)):
        rows, took = _evolve(parts[number], starts[number], share, spec, [seed, number], told, spent)
        fronts.append(rows)
        spent += took
    seeds = [starts[0]]
    for part, rows in zip(parts[1:], fronts, strict=True):
        seeds.append(part.whole(_elites(part.full, rows, max(spec.elites // singles, 1))))
    start = np.concatenate(seeds)
    rows, took = _evolve(parts[0], start, spec.evaluations - spent, spec, [seed, 0], told, spent)
    return [rows, *fronts], spent + took


def _evolve(
    part: _Part,
    start: IntArray,
    evaluations: int,
    spec: SearchSpec,
    seed: Sequence[int],
    told: Told | None,
    spent: int,
) -> tuple[IntArray, int]:
    full = part.full

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


def _agreed(full: LookUp, rows: IntArray, evaluate: Evaluate) -> Evaluation:
    """What the full model says of the candidates, which must be what the look-up said."""
    said, evaluation = full.evaluate(rows), evaluate(plans_from(full.space, rows))
    if not np.allclose(said.objectives, evaluation.objectives, rtol=SAME, atol=SAME):
        raise AssertionError("the estimator and its tables disagree about plans of this space")
    return evaluation
