"""The main job: data, baseline, sensitivity, search, retraining, evaluation, report; each stage resumable."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from npuexplore.audio.sources import Corpus, Pair
from npuexplore.audio.stft import front_end
from npuexplore.compression.plan import CompressionPlan, plan_at
from npuexplore.cost.estimate import block_shapes
from npuexplore.documents.atomic import write_json, write_text
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.data import (
    calibration_set,
    credits_of,
    data_document,
    evaluation_sets,
    gather,
)
from npuexplore.pipeline.jobs import TrainingJob, run_jobs
from npuexplore.pipeline.listening import score_network, skipped_share
from npuexplore.pipeline.objectives import evaluator, refuse_lossy
from npuexplore.pipeline.problem import Problem, problem_document
from npuexplore.pipeline.quality import (
    SensitivityModel,
    calibration_batch,
    measure_sensitivity,
    sensitivity_model,
)
from npuexplore.pipeline.results import Outcome, assemble
from npuexplore.pipeline.run_directory import (
    RunDirectory,
    claim,
    digest,
    is_new,
    read_stage,
    sole_writer,
    write_stage,
)
from npuexplore.pipeline.segments import prepare_segments, prepare_validation
from npuexplore.pipeline.start import keep_start, refuse_own_start
from npuexplore.pipeline.timings import add_seconds
from npuexplore.report.page import render_page
from npuexplore.search.driver import SearchResult, run_search
from npuexplore.search.feasibility import preflight
from npuexplore.search.picks import Pick, PickList, choose_picks
from npuexplore.search.space import Space, dominant_structures, single_structure, space_for

BLAS_THREADS = 1
"""More would change the last bits of sensitivities and scores."""

Tell = Callable[[str, int, int, str], None]
"""(stage, done, total, detail): what progress bars show."""


@dataclass(frozen=True)
class Request:
    """What a user asks of `study run`."""

    problem: Problem
    folder: Path
    """The run directory."""
    data: Path | None = None
    fresh: bool = False
    workers: int = 2
    until: str = "report"
    """Last stage to run: baseline, search, retraining or report."""


@dataclass(frozen=True)
class _Job:
    """A study under way."""

    request: Request
    run: RunDirectory
    space: Space
    inputs: Mapping[str, Any]
    """Everything that decides the results."""
    tell: Tell
    clock: Callable[[], float]

    @property
    def problem(self) -> Problem:
        return self.request.problem

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the seconds of a stage to timings.json, also when the stage is stopped by an error."""
        started = self.clock()
        try:
            yield
        finally:
            add_seconds(self.run, stage, self.clock() - started)


class _Sound:
    """The study's audio, read when first needed: a finished stage does not need it again."""

    def __init__(self, job: _Job) -> None:
        self.job = job
        self._corpus: Corpus | None = None

    def read(self) -> Corpus:
        """The corpus. Raises BadInput, or EnvironmentLacking without the demo voices."""
        if self._corpus is None:
            self._corpus = gather(
                self.job.problem.study,
                self.job.problem.network,
                self.job.request.data,
                on_progress=lambda done, total: self.job.tell("data", done, total, ""),
            )
        return self._corpus


def run_study(request: Request, *, tell: Tell, clock: Callable[[], float] = time.monotonic) -> RunDirectory:
    """Runs a study to its end, or goes on where it was stopped; returns its run directory.

    Raises LimitsNotMet when nothing fits, UsageError when the directory belongs to another study,
    BadInput for data that cannot be used, EnvironmentLacking for a missing extra or a full disk.
    """
    job = _prepare(request, tell, clock)
    sound = _Sound(job)
    with sole_writer(job.run), threadpool_limits(BLAS_THREADS, "blas"):
        _claim(job, sound)
        if not (job.run.results.is_file() and job.run.report.is_file()):
            _run_stages(job, sound)
        _tidy(job)
    return job.run


def _prepare(request: Request, tell: Tell, clock: Callable[[], float]) -> _Job:
    """All that can be refused before anything is written."""
    problem = request.problem
    if request.fresh:
        refuse_own_start(problem.start, request.folder)
    space = space_for(problem.study.space, problem.network, block_shapes(problem.profile))
    inputs = {**problem_document(problem), "data": data_document(problem.study, request.data)}
    preflight(space, evaluator(problem, None), seed=problem.study.seed)
    return _Job(request, RunDirectory(request.folder), space, inputs, tell, clock)


def _claim(job: _Job, sound: _Sound) -> None:
    """Makes the run directory this study's; a new one only when its data can be read."""
    started, begins = job.clock(), is_new(job.run) or job.request.fresh
    if begins:
        sound.read()
    claim(job.run, job.inputs, fresh=job.request.fresh)
    if keep_start(job.run, job.problem.study.baseline, job.problem.start):
        job.tell("start", 1, 1, "a trained network")
    if begins:
        add_seconds(job.run, "data", job.clock() - started)


def _run_stages(job: _Job, sound: _Sound) -> None:
    until = job.request.until
    baseline = _train_baseline(job, sound)
    if until == "baseline":
        return
    rows = _sensitivity(job, sound, baseline)
    recovery_frac = job.problem.study.picks.recovery_frac
    model = sensitivity_model(rows, job.problem.network, recovery_frac=recovery_frac)
    found = _search(job, model, rows)
    if until == "search":
        return
    chosen = _choose(job, found)
    _retrain(job, sound, found, chosen.picks)
    if until == "retraining":
        return
    outcome = Outcome(
        problem=job.problem,
        space=job.space,
        sensitivity=rows,
        model=model,
        found=found,
        picks=chosen.picks,
        missing=chosen.missing,
        qualities=_evaluate_all(job, sound, chosen.picks),
        data=job.inputs["data"],
    )
    _publish(job, outcome)


def _train_baseline(job: _Job, sound: _Sound) -> Path:
    if not job.run.baseline.exists():
        with job.timed("data"):
            segments = _segments(job, sound)
        with job.timed("baseline"):
            _run_trainings(job, "baseline", [_training(job, sound, segments, "baseline")])
    return job.run.baseline


def _segments(job: _Job, sound: _Sound) -> Path:
    return prepare_segments(
        job.run,
        job.problem.study,
        job.problem.network,
        sound.read(),
        workers=job.request.workers,
        on_progress=lambda done, total: job.tell("segments", done, total, ""),
    )


def _training(
    job: _Job, sound: _Sound, segments: Path, name: str, plan: CompressionPlan | None = None
) -> TrainingJob:
    study, run = job.problem.study, job.run
    return TrainingJob(
        name=name,
        network=job.problem.network,
        recipe=study.baseline if plan is None else study.retrain,
        mixtures=study.mixtures,
        pool_folder=segments,
        state=run.training_state(name),
        output=run.baseline if plan is None else run.pick(name),
        seed=study.seed if plan is None else study.seed + 1,
        start=_starts_from(job, plan),
        plan=plan,
        credits=credits_of(sound.read()),
        validation=prepare_validation(run, study, job.problem.network, sound.read()),
        curve=run.curve(name),
    )


def _starts_from(job: _Job, plan: CompressionPlan | None) -> Path | None:
    if plan is not None:
        return job.run.baseline
    return None if job.problem.study.baseline.start is None else job.run.start


def _run_trainings(job: _Job, stage: str, jobs: Sequence[TrainingJob]) -> None:
    steps = {each.name: 0 for each in jobs}
    total = sum(each.recipe.steps for each in jobs)

    def on_progress(name: str, step: int, _: int, loss: float) -> None:
        steps[name] = step
        job.tell(stage, sum(steps.values()), total, f"{name} {loss:+.1f} dB")

    run_jobs(jobs, workers=job.request.workers, on_progress=on_progress)


def _sensitivity(job: _Job, sound: _Sound, baseline: Path) -> list[dict[str, Any]]:
    if stored := read_stage(job.run, "sensitivity"):
        return list(stored["rows"])
    problem = job.problem
    geometry = front_end(problem.network)
    batch = calibration_batch(calibration_set(problem.study, problem.network, sound.read()), geometry)
    with job.timed("sensitivity"):
        rows = measure_sensitivity(
            read_network(baseline),
            job.space,
            batch,
            geometry,
            loss=problem.study.baseline.loss,
            on_progress=lambda done, total: job.tell("sensitivity", done, total, ""),
        )
    write_stage(job.run, "sensitivity", {"rows": rows})
    return rows


def _search(job: _Job, model: SensitivityModel, rows: Sequence[Mapping[str, Any]]) -> SearchResult:
    with job.timed("search"):
        return run_search(
            job.space,
            job.problem.study.search,
            evaluator(job.problem, model.loss_db),
            journal=job.run.journal,
            seed=job.problem.study.seed,
            context=digest([job.inputs, rows]),
            on_trials=lambda done, total: job.tell("search", done, total, ""),
        )


def _choose(job: _Job, found: SearchResult) -> PickList:
    study = job.problem.study
    loss_db = found.objectives[:, found.objective_names.index("quality_loss_db")]
    refuse_lossy(job.problem, loss_db, found.violations)
    return choose_picks(
        found.objectives,
        found.objective_names,
        feasible=found.feasible,
        structures=dominant_structures(found.plans, job.problem.network),
        single=single_structure(found.plans),
        loss_limit_db=study.limits.quality_loss_db,
        count=study.picks.count,
        required=job.space.structures,
    )


def _retrain(job: _Job, sound: _Sound, found: SearchResult, picks: Sequence[Pick]) -> None:
    if all(job.run.pick(pick.name).exists() for pick in picks):
        return
    with job.timed("retraining"):
        segments = _segments(job, sound)
        plans = {pick.name: plan_at(found.plans, pick.index, job.problem.network) for pick in picks}
        trainings = [_training(job, sound, segments, name, plan) for name, plan in plans.items()]
        _run_trainings(job, "retraining", trainings)


def _evaluate_all(job: _Job, sound: _Sound, picks: Sequence[Pick]) -> dict[str, dict[str, Any]]:
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


def _publish(job: _Job, outcome: Outcome) -> None:
    results = assemble(outcome, job.run)
    page = render_page(json.loads(json.dumps(results)))
    write_text(job.run.report, page)
    write_json(job.run.results, results)


def _tidy(job: _Job) -> None:
    """Removes from a finished run what only unfinished ones need."""
    if job.run.results.is_file() and job.run.report.is_file():
        shutil.rmtree(job.run.cache, ignore_errors=True)
        shutil.rmtree(job.run.folder / "training", ignore_errors=True)
        job.run.start.unlink(missing_ok=True)
