"""The main job: data, baseline, sensitivity, search, retraining, evaluation, report; each stage resumable."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from npuexplore.audio.sources import Pair
from npuexplore.documents.atomic import write_json, write_text
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.data import (
    data_document,
    evaluation_sets,
)
from npuexplore.pipeline.halving import halving_document
from npuexplore.pipeline.listening import score_network, skipped_share
from npuexplore.pipeline.objectives import evaluator
from npuexplore.pipeline.problem import problem_document, space_of
from npuexplore.pipeline.results import Outcome, assemble
from npuexplore.pipeline.retraining import baseline_stage
from npuexplore.pipeline.rounds import run_rounds
from npuexplore.pipeline.run_directory import (
    RunDirectory,
    claim,
    is_new,
    read_stage,
    sole_writer,
    write_stage,
)
from npuexplore.pipeline.sensing import sensitivity_stage
from npuexplore.pipeline.start import keep_start, refuse_own_start
from npuexplore.pipeline.study_job import Request, Sound, StudyJob, Tell
from npuexplore.pipeline.timings import add_seconds
from npuexplore.report.page import render_page
from npuexplore.search.feasibility import preflight
from npuexplore.search.picks import Pick
from npuexplore.search.shared_search import refuse_unusable

BLAS_THREADS = 1
"""More would change the last bits of sensitivities and scores."""


def run_study(request: Request, *, tell: Tell, clock: Callable[[], float] = time.monotonic) -> RunDirectory:
    """Runs a study to its end, or goes on where it was stopped; returns its run directory.

    Raises LimitsNotMet when nothing fits, UsageError when the directory belongs to another study,
    BadInput for data that cannot be used, EnvironmentLacking for a missing extra or a full disk.
    """
    job = _prepare(request, tell, clock)
    sound, executor = Sound(job), job.executor
    with sole_writer(job.run), threadpool_limits(BLAS_THREADS, "blas"):
        if request.fresh or not job.is_finished:
            executor.check()
        _claim(job, sound)
        if not job.is_finished:
            _run_stages(job, sound)
        _tidy(job)
    return job.run


def _prepare(request: Request, tell: Tell, clock: Callable[[], float]) -> StudyJob:
    """All that can be refused before anything is written."""
    problem = request.problem
    if request.fresh:
        refuse_own_start(problem.start, request.folder)
    space = space_of(problem)
    inputs = {**problem_document(problem), "data": data_document(problem.study, request.data)}
    preflight(space, evaluator(problem, None), seed=problem.study.seed)
    run = RunDirectory(request.folder)
    if request.storage is not None and (request.fresh or not run.manifest.exists()):
        refuse_unusable(request.storage)
    return StudyJob(request, run, space, inputs, tell, clock)


def _claim(job: StudyJob, sound: Sound) -> None:
    """Makes the run directory this study's; a new one only when its data can be read."""
    started, begins = job.clock(), is_new(job.run) or job.request.fresh
    if begins:
        sound.read()
    claim(job.run, job.inputs, fresh=job.request.fresh)
    if keep_start(job.run, job.problem.study.baseline, job.problem.start):
        job.tell("start", 1, 1, "a trained network")
    if begins:
        add_seconds(job.run, "data", job.clock() - started)


def _run_stages(job: StudyJob, sound: Sound) -> None:
    until = job.request.until
    baseline = baseline_stage(job, sound)
    if until == "baseline":
        return
    rows = sensitivity_stage(job, sound, baseline)
    rounds = run_rounds(job, sound, rows)
    if rounds is None or until == "retraining":
        return
    outcome = Outcome(
        problem=job.problem,
        space=job.space,
        sensitivity=rows,
        rounds=rounds,
        qualities=_evaluate_all(job, sound, rounds.picks),
        data=job.inputs["data"],
    )
    _publish(job, outcome)


def _evaluate_all(job: StudyJob, sound: Sound, picks: Sequence[Pick]) -> dict[str, dict[str, Any]]:
    """Quality on every set of the baseline and of every pick, by name."""
    names = ["baseline", *(pick.name for pick in picks)]
    qualities = {}
    for done, name in enumerate(names):
        job.tell("evaluation", done, len(names), name)
        stored = read_stage(job.run, f"evaluation-{name}")
        if stored is None:
            path = job.run.baseline if name == "baseline" else job.run.pick(name)
            with job.timed("evaluation"):
                sets = evaluation_sets(job.problem.study, job.problem.network, sound.read())
                stored = {key: _quality(path, pairs) for key, pairs in sets.items()}
            write_stage(job.run, f"evaluation-{name}", stored)
        qualities[name] = stored
    job.tell("evaluation", len(names), len(names), "")
    return qualities


def _quality(path: Path, pairs: Sequence[Pair]) -> dict[str, Any]:
    trained = read_network(path)
    quality, skipped_frac = score_network(trained, pairs), skipped_share(trained, pairs)
    return {
        "items": len(quality.files),
        "mean": {name: round(value, 3) for name, value in quality.mean.items()},
        "files": [
            {"name": item.name, **{name: round(value, 3) for name, value in item.scores.items()}}
            for item in quality.files
        ],
        **({} if skipped_frac is None else {"skipped_frac": round(skipped_frac, 4)}),
    }


def _publish(job: StudyJob, outcome: Outcome) -> None:
    results = {**assemble(outcome, job.run), **halving_document(job.run, job.problem.study.rounds)}
    page = render_page(json.loads(json.dumps(results)))
    write_text(job.run.report, page)
    write_json(job.run.results, results)


def _tidy(job: StudyJob) -> None:
    """Removes from a finished run what only unfinished ones need."""
    if job.run.results.is_file() and job.run.report.is_file():
        shutil.rmtree(job.run.cache, ignore_errors=True)
        shutil.rmtree(job.run.folder / "training", ignore_errors=True)
        job.run.start.unlink(missing_ok=True)
