"""The search itself: islands of generations, suggested by Optuna, evaluated in batches, kept in a journal.

Each sparse structure, and each of several parts, first gets a search of its own, so that they can be
compared; the search over all plans then starts from the best of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.search.engines.auto import by_factors, spread
from npuexplore.search.evaluation import Evaluate, Evaluation, check_finite
from npuexplore.search.islands import islands_of
from npuexplore.search.pareto import feasible_front
from npuexplore.search.record import Record, Trial, open_record
from npuexplore.search.result import Found, SearchResult, front_of
from npuexplore.search.seeds import screened_plans, uniform_plans
from npuexplore.search.space import (
    Params,
    Space,
    choice_row,
    keys_of,
    params_of,
    plans_from,
)
from npuexplore.search.spec import SearchSpec
from npuexplore.search.suggest import distributions, propose, select_parents

SCHEME = "npuexplore.search/1"
"""Changes whenever equal inputs would give other trials."""

MIXED, ELITES = "mixed", "elites"


@dataclass(frozen=True)
class _Island:
    """A sub-search: its part of the space and how many trials it gets."""

    name: str
    index: int
    space: Space
    trials: int


@dataclass(frozen=True)
class _Search:
    """A search on its way: what was asked for, the journal, and what is finished so far."""

    space: Space
    spec: SearchSpec
    evaluate: Evaluate
    seed: int
    record: Record
    stored: Mapping[tuple[str, int], list[Trial]]
    """What the journal held on opening, by island and generation."""
    on_trials: Callable[[int, int], None] | None
    planned: int
    """Trials in all."""
    finished: list[Trial] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)


def run_search(
    space: Space,
    spec: SearchSpec,
    evaluate: Evaluate,
    *,
    journal: Path,
    seed: int,
    context: str = "",
    found: Found | None = None,
    on_trials: Callable[[int, int], None] | None = None,
) -> SearchResult:
    """Search a space; go on where the journal stops.

    evaluate : objectives (in the order of `spec.objectives`) and violations of a batch of plans; each
    row must depend on its own plan only. context : names what else it depends on (part, limits,
    sensitivities); a journal made in another context is refused. found : what another engine has found;
    its elites are recorded first, and under `auto` Optuna goes on from them. on_trials : told (finished,
    planned).

    The same arguments give the same result, whether or not the search was killed on the way: finished
    trials are kept and not evaluated again. Raises UsageError for the journal of another search or
    one in use, BadInput for a damaged one and for objectives that are not finite,
    EnvironmentLacking when it cannot be written.
    """
    fingerprint = _fingerprint(space, spec, seed, context)
    names = spec.objectives
    with open_record(
        journal, directions=["minimize"] * len(names), metric_names=names, fingerprint=fingerprint
    ) as record:
        stored: dict[tuple[str, int], list[Trial]] = {}
        for trial in record.finished_trials():
            stored.setdefault((trial.island, trial.generation), []).append(trial)
        elites = [] if found is None else elites_of(found, spec)
        suggested = 0 if spec.engine in ("exact", "evolve") else spec.trials
        planned = len(elites) + suggested
        search = _Search(space, spec, evaluate, seed, record, stored, on_trials, planned)
        if found is not None:
            _record_elites(found, elites, search)
        for island in _islands(space, spec):
            _run_island(island, search)
    return _result(search, found)


def describe_search(
    space: Space,
    spec: SearchSpec,
    *,
    journal: Path,
    seed: int,
    context: str = "",
    facts: Mapping[str, Any],
) -> None:
    """Keep facts about a finished search as attributes of its study. Raises as `run_search` does."""
    names = spec.objectives
    with open_record(
        journal,
        directions=["minimize"] * len(names),
        metric_names=names,
        fingerprint=_fingerprint(space, spec, seed, context),
    ) as record:
        record.set_attributes({f"npuexplore:{name}": value for name, value in facts.items()})


def _fingerprint(space: Space, spec: SearchSpec, seed: int, context: str) -> str:
    parts = [
        SCHEME,
        space.network.model_dump_json(by_alias=True),
        [[p.name, list(p.choices)] for p in space.parameters],
        {name: plan.model_dump_json() for name, plan in sorted(space.fixed.items())},
        spec.model_dump_json(),
        seed,
        context,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _islands(space: Space, spec: SearchSpec) -> list[_Island]:
    """Half of the trials for the single structures and parts in equal shares, the rest for all plans.

    Other engines have searched these before: `auto` has one island, `exact` and `evolve` none.
    """
    if spec.engine != "optuna":
        return [_Island(MIXED, 0, space, spec.trials)] if spec.engine == "auto" else []
    single = islands_of(space)
    share = spec.trials // (2 * len(single)) if single else 0
    islands = [_Island(name, index, own, share) for index, (name, own) in enumerate(single.items())]
    return [*islands, _Island(MIXED, len(single), space, spec.trials - share * len(single))]


def elites_of(found: Found, spec: SearchSpec) -> list[int]:
    """Plans of a front that are recorded: all, or as many as the study allows, spread over it."""
    front = front_of(found.evaluation)
    apart = by_factors(found.evaluation.objectives[front], spec.objectives)
    return [int(index) for index in front[spread(apart, count=spec.elites)]]


def _record_elites(found: Found, elites: Sequence[int], search: _Search) -> None:
    """Finished trials of the elites, those apart that the journal holds already."""
    place = (ELITES, 0)
    stored = search.stored.get(place, [])[: len(elites)]
    trials = [
        _trial(place, number, params_of(search.space, found.rows[index]), found.evaluation, index)
        for number, index in enumerate(elites[len(stored) :], start=len(stored))
    ]
    _store(search, trials, found.evaluation)
    _finish(search, [*stored, *trials])


def _run_island(island: _Island, search: _Search) -> None:
    """Generation after generation until the island's trials are used, or its space is."""
    population = search.spec.population
    history = list(search.finished) if island.name == MIXED else []
    parents = select_parents(history, search.space, population=population)
    generation, done = 0, 0
    while done < island.trials:
        count = min(population, island.trials - done)
        ancestors = parents if search.spec.sampler == "nsga2" else history
        trials = _run_generation(island, generation, search, count=count, ancestors=ancestors)
        if len(trials) < count:
            return
        history += trials
        parents = select_parents([*parents, *trials], search.space, population=population)
        generation, done = generation + 1, done + count


def _run_generation(
    island: _Island, generation: int, search: _Search, *, count: int, ancestors: Sequence[Trial]
) -> list[Trial]:
    """The trials of a generation: those in the journal, and the rest evaluated now."""
    trials = search.stored.get((island.name, generation), [])[:count]
    if len(trials) < count:
        proposed = _proposals(island, generation, search, count=count, ancestors=ancestors)
        trials = trials + _evaluate(island, generation, search, proposed[len(trials) :], len(trials))
    _finish(search, trials)
    return trials


def _finish(search: _Search, trials: Sequence[Trial]) -> None:
    search.finished.extend(trials)
    search.seen.update(keys_of(search.space, [trial.params for trial in trials]))
    if search.on_trials is not None:
        search.on_trials(len(search.finished), search.planned)


def _proposals(
    island: _Island, generation: int, search: _Search, *, count: int, ancestors: Sequence[Trial]
) -> list[Params]:
    """Up to `count` new plans: seeds where an island starts, what Optuna suggests after that."""
    seed = [search.seed, island.index, generation]
    seen = set(search.seen)
    first: list[Params] = []
    if generation == 0:
        if not ancestors:
            first += uniform_plans(island.space, count=count // 2, seen=seen)
            seen.update(keys_of(island.space, first))
        first += screened_plans(
            island.space,
            search.evaluate,
            screened=search.spec.screened_plans,
            count=count - len(first),
            seed=[*seed, 1],
            seen=seen,
        )
        seen.update(keys_of(island.space, first))
    return first + propose(
        island.space,
        sampler=search.spec.sampler,
        history=ancestors,
        count=count - len(first),
        population=search.spec.population,
        seed=seed,
        seen=seen,
    )


def _evaluate(
    island: _Island, generation: int, search: _Search, params: Sequence[Params], before: int
) -> list[Trial]:
    """Evaluate plans as one batch and append them to the journal; `before` of their generation exist."""
    if not params:
        return []
    rows = np.array([choice_row(search.space, each) for each in params])
    evaluation = search.evaluate(plans_from(search.space, rows))
    check_finite(evaluation, search.spec.objectives)
    place, first = (island.name, generation), len(search.finished) + before
    trials = [_trial(place, first + index, each, evaluation, index) for index, each in enumerate(params)]
    _store(search, trials, evaluation)
    return trials


def _trial(place: tuple[str, int], number: int, params: Params, evaluation: Evaluation, index: int) -> Trial:
    """The finished trial of one plan of an evaluation. place : island and generation"""
    return Trial(
        number=number,
        island=place[0],
        generation=place[1],
        params=params,
        objectives=tuple(evaluation.objectives[index].tolist()),
        violations=tuple(evaluation.violations[index].tolist()),
    )


def _store(search: _Search, trials: Sequence[Trial], evaluation: Evaluation) -> None:
    if trials:
        search.record.store(
            trials,
            distributions=distributions(search.space),
            constraint_names=[constraint.name for constraint in evaluation.constraints],
        )


def _result(search: _Search, found: Found | None) -> SearchResult:
    """The candidates of another engine, and the trials that Optuna suggested."""
    suggested = [trial for trial in search.finished if trial.island != ELITES]
    rows = np.array([choice_row(search.space, trial.params) for trial in suggested], np.int64)
    objectives = np.array([trial.objectives for trial in suggested], np.float64)
    violations = np.array([trial.violations for trial in suggested], np.float64)
    evaluations = len(suggested)
    if found is None:
        evaluations += search.spec.screened_plans * len(_islands(search.space, search.spec))
        violations = violations.reshape(len(suggested), -1)
    else:
        evaluations += found.evaluations
        rows = _below(found.rows, rows)
        objectives = _below(found.evaluation.objectives, objectives)
        violations = _below(found.evaluation.violations, violations)
    feasible = np.asarray((violations <= 0.0).all(axis=1))
    return SearchResult(
        plans=plans_from(search.space, rows),
        objectives=objectives,
        violations=violations,
        objective_names=tuple(search.spec.objectives),
        front=feasible_front(objectives, feasible),
        evaluations=evaluations,
        recorded=len(search.finished),
        suggested_from=len(rows) - len(suggested),
    )


def _below(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """(P + Q, N) of (P, N) and (Q, N), where Q may be 0."""
    return np.concatenate([first, second.reshape(len(second), first.shape[1])])
