"""A search that several processes work on, over one database: opened by one of them, joined by the others.

All that a process needs to join travels in the database, as attributes of Optuna's study.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import npuexplore
from npuexplore.errors import BadInput, UsageError
from npuexplore.search.driver import elites_of
from npuexplore.search.evaluation import Evaluate, Evaluation, check_finite
from npuexplore.search.islands import islands_of
from npuexplore.search.pareto import feasible_front
from npuexplore.search.record import Record, Trial, open_record
from npuexplore.search.result import Found, SearchResult
from npuexplore.search.seeds import screened_plans, uniform_plans
from npuexplore.search.shared_stale import one_writer, quiet_heartbeats
from npuexplore.search.shared_work import OnTrials, Task, trial_of, work
from npuexplore.search.space import (
    Params,
    Space,
    choice_row,
    keys_of,
    params_of,
    plans_from,
)
from npuexplore.search.spec import SearchSpec
from npuexplore.search.storage import Heartbeat, open_storage
from npuexplore.search.storage_faults import MEMORY, is_url, masked
from npuexplore.search.suggest import distributions
from npuexplore.units import IntArray

if TYPE_CHECKING:
    from npuexplore.search.shared_sampler import Decided

SCHEME = "npuexplore.shared-search/1"
"""Changes whenever a process of another version could not take part."""
START = "start"
"""The island of plans that a search starts from."""
INVITATION, FINISHED = "npuexplore:shared", "npuexplore:finished"
HEARTBEAT_S = 10
FIRST_ROUND = "search"
"""What a study calls its first search; that of round 2 is `search-2`."""


@dataclass(frozen=True)
class Place:
    """Where a shared search lies."""

    storage: str
    """URL of a database."""
    study_name: str
    heartbeat_s: int = HEARTBEAT_S
    """Seconds between two signs of life of a running trial."""

    @property
    def grace_s(self) -> float:
        """Seconds without a sign after which a trial is stale and run again."""
        return 2.0 * self.heartbeat_s


@dataclass(frozen=True)
class Gathered:
    """What the processes of a search have finished."""

    rows: IntArray
    """(P, K) choice indices, in the order of trials; where an engine's elites started the search, without
    those."""
    recorded: int
    """Finished trials, all of them."""


@dataclass(frozen=True)
class Invitation:
    """What a study in a database says to those who would join its search."""

    place: Place
    target: int
    """Finished trials of all processes together."""
    finished: bool
    document: Mapping[str, Any]
    """What `search_together` was given to be passed on."""


class NotSharedYet(UsageError):
    """No search is shared in a storage; one may be later."""


def search_together(
    space: Space,
    spec: SearchSpec,
    evaluate: Evaluate,
    *,
    place: Place,
    seed: int,
    context: str = "",
    found: Found | None = None,
    document: Mapping[str, Any],
    fresh: bool = False,
    on_trials: OnTrials | None = None,
) -> Gathered:
    """Opens a search for others to join, works on it until it is finished, and gathers what all have found.

    space, spec, evaluate, seed, context, found : as `run_search` takes them. Without `found` the search
    starts from plans that treat all layers alike and from the best of random ones, with it from its elites.
    document : JSON that reaches those who join. fresh : forget an earlier search of this name.
    on_trials : told (finished by all, target).

    Goes on with a search of the same name that was stopped. Raises UsageError when it is another search,
    BadInput or EnvironmentLacking when the storage cannot be used.
    """
    if fresh:
        forget(place)
    elites = None if found is None else [params_of(space, found.rows[i]) for i in elites_of(found, spec)]
    target = spec.trials if elites is None else len(elites)
    target += spec.trials if spec.engine == "auto" else 0
    task = Task(space, spec, evaluate, seed, target, context)
    with _joined(task, place) as (record, decided):
        if INVITATION not in record.study.user_attrs:
            _add_starts(record, task, start_plans(task) if elites is None else elites)
        record.set_attributes({INVITATION: _said(task, place, document)})
        with one_writer(record), quiet_heartbeats():
            work(record, task, decided=decided, grace_s=place.grace_s, on_trials=on_trials)
        record.set_attributes({FINISHED: True})
        trials = _finished(record)
    own = [trial.params for trial in trials if found is None or trial.island != START]
    return Gathered(_rows(task, own), recorded=len(trials))


def _said(task: Task, place: Place, document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "scheme": SCHEME,
        "npuexplore": npuexplore.__version__,
        "target": task.target,
        "heartbeat_s": place.heartbeat_s,
        "document": dict(document),
    }


def join(task: Task, place: Place, *, limit: int | None, on_trials: OnTrials | None = None) -> int:
    """Works on an open search until it is finished, or until this process has finished `limit` trials.

    Returns how many trials this process finished. Raises UsageError when `task` is not the search that was
    opened, as when part, study or sensitivities differ.
    """
    with _joined(task, place) as (record, decided), one_writer(record), quiet_heartbeats():
        return work(record, task, decided=decided, grace_s=place.grace_s, limit=limit, on_trials=on_trials)


def describe_together(place: Place, spec: SearchSpec, *, facts: Mapping[str, Any]) -> None:
    """Keeps facts about a finished search as attributes of its study. Raises as `search_together` does."""
    with open_record(
        place.storage,
        study_name=place.study_name,
        directions=["minimize"] * len(spec.objectives),
        fingerprint=None,
    ) as record:
        record.set_attributes({f"npuexplore:{name}": value for name, value in facts.items()})


@contextmanager
def _joined(task: Task, place: Place) -> Iterator[tuple[Record, Decided]]:
    from npuexplore.search.shared_sampler import Decided

    refuse_unshared(place.storage)
    decided = Decided()
    with open_record(
        place.storage,
        study_name=place.study_name,
        directions=["minimize"] * len(task.spec.objectives),
        metric_names=task.spec.objectives,
        fingerprint=_fingerprint(task),
        heartbeat=Heartbeat(place.heartbeat_s),
        sampler=decided,
    ) as record:
        yield record, decided


def refuse_unshared(storage: str) -> None:
    """Raises UsageError for a storage that only one process can use."""
    if not is_url(storage) or storage == MEMORY:
        raise UsageError(
            f"{masked(storage)}: several processes need a database; give sqlite:///FILE (on one machine) or "
            "postgresql+psycopg://USER@HOST/DATABASE"
        )


def refuse_unusable(storage: str) -> None:
    """Raises what a search in this storage would raise on opening it."""
    refuse_unshared(storage)
    with open_storage(storage):
        return


def _fingerprint(task: Task) -> str:
    space = task.space
    parts = [
        SCHEME,
        space.network.model_dump_json(by_alias=True),
        [[p.name, list(p.choices)] for p in space.parameters],
        {name: plan.model_dump_json() for name, plan in sorted(space.fixed.items())},
        task.spec.model_dump_json(),
        [task.seed, task.target, task.context],
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def start_plans(task: Task) -> list[Params]:
    """Plans of each island and of the whole space: some treat all layers alike, some are the best of random
    ones. At most half of the target."""
    space, spec = task.space, task.spec
    islands = [*islands_of(space).values(), space]
    count = min(spec.population, task.target // (2 * len(islands)))
    plans: list[Params] = []
    seen: set[bytes] = set()
    for index, island in enumerate(islands):
        alike = uniform_plans(island, count=count // 2, seen=seen)
        seen.update(keys_of(space, alike))
        best = screened_plans(
            island,
            task.evaluate,
            screened=spec.screened_plans,
            count=count - len(alike),
            seed=[task.seed, index],
            seen=seen,
        )
        seen.update(keys_of(space, best))
        plans += [*alike, *best]
    return plans


def _add_starts(record: Record, task: Task, plans: Sequence[Params]) -> None:
    """Finished trials of those plans that are not there yet."""
    there = set(keys_of(task.space, [trial.params for trial in _finished(record)]))
    keys = keys_of(task.space, plans)
    missing = [params for params, key in zip(plans, keys, strict=True) if key not in there]
    if not missing:
        return
    evaluation = task.evaluate(plans_from(task.space, _rows(task, missing)))
    check_finite(evaluation, task.spec.objectives)
    record.store(
        [_start_trial(number, params, evaluation) for number, params in enumerate(missing)],
        distributions=distributions(task.space),
        constraint_names=[constraint.name for constraint in evaluation.constraints],
    )


def _start_trial(number: int, params: Params, evaluation: Evaluation) -> Trial:
    return Trial(
        number=number,
        island=START,
        generation=0,
        params=params,
        objectives=tuple(evaluation.objectives[number].tolist()),
        violations=tuple(evaluation.violations[number].tolist()),
    )


def _finished(record: Record) -> list[Trial]:
    from optuna.trial import TrialState

    complete = record.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial_of(trial) for trial in complete]


def _rows(task: Task, params: Sequence[Params]) -> IntArray:
    rows = np.array([choice_row(task.space, each) for each in params], np.int64)
    return rows.reshape(len(params), len(task.space.parameters))


def result_of(
    space: Space, spec: SearchSpec, evaluate: Evaluate, gathered: Gathered, found: Found | None = None
) -> SearchResult:
    """What another engine has found, if anything, and the trials that were suggested."""
    suggested = evaluate(plans_from(space, gathered.rows))
    rows, objectives, violations = gathered.rows, suggested.objectives, suggested.violations
    if found is not None:
        rows = np.concatenate([found.rows, rows])
        objectives = np.concatenate([found.evaluation.objectives, objectives])
        violations = np.concatenate([found.evaluation.violations, violations])
    return SearchResult(
        plans=plans_from(space, rows),
        objectives=objectives,
        violations=violations,
        objective_names=tuple(spec.objectives),
        front=feasible_front(objectives, np.asarray((violations <= 0.0).all(axis=1))),
        evaluations=len(gathered.rows) + (0 if found is None else found.evaluations),
        recorded=gathered.recorded,
        suggested_from=len(rows) - len(gathered.rows),
    )


def forget(place: Place) -> None:
    """Removes the shared search of this name, if there is one. Raises as `search_together` does."""
    import optuna

    refuse_unshared(place.storage)
    with open_storage(place.storage) as opened:
        if any(
            study.study_name == place.study_name and INVITATION in study.user_attrs
            for study in opened.backend.get_all_studies()
        ):
            optuna.delete_study(study_name=place.study_name, storage=opened.backend)


def find_invitation(storage: str, study_name: str | None = None) -> Invitation:
    """The shared search of a database, by name where there are several.

    Raises UsageError (none there, or which one?), BadInput (of another version, or no such storage),
    EnvironmentLacking (cannot be reached).
    """
    refuse_unshared(storage)
    where = masked(storage)
    _refuse_absent_file(storage, where)
    with open_storage(storage) as opened:
        studies = {study.study_name: dict(study.user_attrs) for study in opened.backend.get_all_studies()}
    shared = {name: attributes for name, attributes in studies.items() if INVITATION in attributes}
    name = _chosen(shared, study_name, where)
    return _invitation(shared[name], Place(storage, name), where)


def _refuse_absent_file(storage: str, where: str) -> None:
    """SQLite would make an empty database of a mistyped name."""
    path = storage.removeprefix("sqlite:///").partition("?")[0]
    if storage.startswith("sqlite:///") and not Path(path).is_file():
        raise BadInput(f"{where}: no such file; give the storage that `npuexplore study run` was given")


def _chosen(shared: Mapping[str, Mapping[str, Any]], name: str | None, where: str) -> str:
    """The study that is asked for, in its latest round; without a name the only one that is not finished."""
    names = ", ".join(sorted(shared)) or "none"
    if not shared:
        raise NotSharedYet(
            f"{where}: no search is shared here yet; it is when `npuexplore study run STUDY.yaml --storage` "
            "has trained its baseline and measured sensitivities"
        )
    if name is not None and name not in shared:
        raise UsageError(f"{where}: no search named {name!r} is shared here (there: {names}); check --study")
    later = f"{name}-{FIRST_ROUND}-"
    asked = [each for each in shared if name in (None, each) or each.startswith(later)]
    candidates = [each for each in asked if not shared[each].get(FINISHED)] or asked[-1:]
    if len(candidates) > 1:
        raise UsageError(f"{where}: several searches are shared here ({names}); name one with --study")
    return candidates[0]


def _invitation(attributes: Mapping[str, Any], place: Place, where: str) -> Invitation:
    said = attributes[INVITATION]
    version = said.get("npuexplore") if isinstance(said, Mapping) else None
    if version != npuexplore.__version__ or said.get("scheme") != SCHEME:
        raise BadInput(
            f"{where}: search {place.study_name!r} was opened by npuexplore {version}, and this is "
            f"{npuexplore.__version__}; install the same version on all machines"
        )
    return Invitation(
        place=Place(place.storage, place.study_name, int(said["heartbeat_s"])),
        target=int(said["target"]),
        finished=bool(attributes.get(FINISHED)),
        document=said["document"],
    )
