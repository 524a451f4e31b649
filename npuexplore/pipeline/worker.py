"""A study whose search several processes share: what the main process passes on, and how others join."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.objectives import evaluator
from npuexplore.pipeline.problem import Problem, problem_document, problem_of, space_of
from npuexplore.pipeline.quality import SensitivityModel, sensitivity_model
from npuexplore.pipeline.run_directory import RunDirectory, read_manifest, read_stage, write_stage
from npuexplore.pipeline.study_job import StudyJob, Tell
from npuexplore.search.result import Found, SearchResult
from npuexplore.search.shared_search import (
    FIRST_ROUND,
    Gathered,
    Invitation,
    NotSharedYet,
    Place,
    find_invitation,
    join,
    refuse_unshared,
    result_of,
    search_together,
)
from npuexplore.search.shared_work import Task
from npuexplore.search.storage_faults import MASK, masked

WORKER_SCHEMA = "npuexplore.worker/1"
STAGE = "storage"
"""Where a run says which storage its search is shared in."""
POLL_S = 0.5
"""Between two looks for a search to join."""


def shared_place(job: StudyJob, name: str = FIRST_ROUND) -> Place | None:
    """Where the search of this name is shared; None where the run keeps it to itself.

    Raises UsageError for a storage that cannot be shared, or that is not the one that the run began with.
    """
    begun = read_stage(job.run, STAGE)
    storage = job.request.storage
    if storage is None and begun is None:
        return None
    if storage is None:
        storage = _open_url(job.run, begun or {})
    refuse_unshared(storage)
    shown = masked(storage)
    if begun is not None and begun["url"] != shown:
        raise UsageError(
            f"{job.run.folder}: its search is shared in {begun['url']}, not in {shown}; give that storage, "
            "or start over with --fresh"
        )
    if begun is None:
        write_stage(job.run, STAGE, {"url": shown, "study": job.run.folder.name})
    study = job.run.folder.name if name == FIRST_ROUND else f"{job.run.folder.name}-{name}"
    return Place(storage, study, job.request.heartbeat_s)


def _open_url(run: RunDirectory, begun: Mapping[str, Any]) -> str:
    """The URL that a run was begun with, if it has no password. Raises UsageError."""
    url = str(begun["url"])
    if MASK in url:
        raise UsageError(
            f"{run.folder}: its search is shared in {url}, whose password is kept nowhere; give --storage"
        )
    return url


def search_with_others(
    job: StudyJob,
    model: SensitivityModel,
    rows: Sequence[Mapping[str, Any]],
    *,
    place: Place,
    name: str,
    context: str,
    found: Found | None = None,
) -> SearchResult:
    """What this process and all that join it find; once finished, the storage is not needed again.

    rows : what `model` is made of ; name, context : of the stage that the run keeps
    """
    study, stage = job.problem.study, f"{name}-shared"
    evaluate = evaluator(job.problem, model.loss_db)
    stored = read_stage(job.run, stage)
    if stored is None or stored["context"] != context:
        gathered = search_together(
            job.space,
            study.search,
            evaluate,
            place=place,
            seed=study.seed,
            context=context,
            found=found,
            document=_document(job, rows, context),
            fresh=job.request.fresh,
            on_trials=lambda done, target: job.tell(name, done, target, ""),
        )
        stored = {
            "context": context,
            "recorded": gathered.recorded,
            "designs": [" ".join(map(str, row)) for row in gathered.rows.tolist()],
        }
        write_stage(job.run, stage, stored)
    designs = [[int(index) for index in design.split()] for design in stored["designs"]]
    kept = np.array(designs, np.int64).reshape(len(designs), len(job.space.parameters))
    return result_of(job.space, study.search, evaluate, Gathered(kept, stored["recorded"]), found)


def _document(job: StudyJob, rows: Sequence[Mapping[str, Any]], context: str) -> dict[str, Any]:
    """All that another process needs to evaluate plans as this one does."""
    return {**problem_document(job.problem), "sensitivity": list(rows), "context": context}


def storage_of(folder: Path) -> tuple[str, str]:
    """URL and study name of the search that a run shares. Raises BadInput, UsageError."""
    run = RunDirectory(folder)
    read_manifest(run)
    begun = read_stage(run, STAGE)
    if begun is None:
        raise UsageError(
            f"{folder}: its search is not shared (or not yet); run the study with --storage, then join it"
        )
    return _open_url(run, begun), str(begun["study"])


def help_with(
    storage: str,
    *,
    study: str | None,
    trials: int | None = None,
    wait_s: float = 0.0,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Works on a shared search until it is finished, or on `trials` trials of it; says what was done.

    study : its name, where the storage has several. wait_s : how long to wait for a search to be shared.
    Raises UsageError, BadInput, EnvironmentLacking.
    """
    started = clock()
    invitation = _awaited(storage, study, until=started + wait_s, clock=clock)
    task = _task(invitation)
    started = clock()
    seen = [0]

    def told(done: int, target: int) -> None:
        seen[0] = done
        tell("search", done, target, "")

    with threadpool_limits(1, "blas"):
        own = join(task, invitation.place, limit=trials, on_trials=told)
    return {
        "schema": WORKER_SCHEMA,
        "storage": masked(storage),
        "study": invitation.place.study_name,
        "trials": own,
        "seconds": round(clock() - started, 3),
        "finished": seen[0],
        "target": invitation.target,
    }


def _awaited(storage: str, study: str | None, *, until: float, clock: Callable[[], float]) -> Invitation:
    while True:
        try:
            return find_invitation(storage, study)
        except NotSharedYet:
            if clock() >= until:
                raise
        time.sleep(POLL_S)


def _task(invitation: Invitation) -> Task:
    """The search that an invitation describes. Raises BadInput when this version cannot read it."""
    document, where = invitation.document, masked(invitation.place.storage)
    problem: Problem = problem_of(document, where=Path(where))
    try:
        rows, context = document["sensitivity"], document["context"]
        recovery_frac = problem.study.picks.recovery_frac
        model = sensitivity_model(rows, problem.network, recovery_frac=recovery_frac)
    except (KeyError, TypeError, ValueError):
        raise BadInput(
            f"{where}: search {invitation.place.study_name!r} lacks the sensitivities that it needs; start "
            "it again with `npuexplore study run --fresh`"
        ) from None
    return Task(
        space=space_of(problem),
        spec=problem.study.search,
        evaluate=evaluator(problem, model.loss_db),
        seed=problem.study.seed,
        target=invitation.target,
        context=context,
    )
