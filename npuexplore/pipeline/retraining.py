"""The stages that train: the float baseline, and the picks from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from npuexplore.compression.plan import CompressionPlan, plan_at
from npuexplore.documents.atomic import write_bytes
from npuexplore.pipeline.data import credits_of
from npuexplore.pipeline.jobs import TrainingJob, run_jobs
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.segments import prepare_segments, prepare_validation
from npuexplore.pipeline.study_file import StudyFile
from npuexplore.pipeline.study_job import Sound, StudyJob
from npuexplore.search.picks import Pick
from npuexplore.search.result import SearchResult


def baseline_stage(job: StudyJob, sound: Sound) -> Path:
    """Trains the float baseline where it is not there yet; returns its path."""
    if not job.run.baseline.exists():
        with job.timed("data"):
            segments = _segments(job, sound)
        with job.timed("baseline"):
            _run_trainings(job, "baseline", [_training(job, sound, segments, "baseline")])
    return job.run.baseline


def _places(job: StudyJob) -> RunDirectory:
    """The run directory by its whole path, which means the same to every process."""
    return RunDirectory(job.run.folder.absolute())


def _segments(job: StudyJob, sound: Sound) -> Path:
    return prepare_segments(
        _places(job),
        job.problem.study,
        job.problem.network,
        sound.read(),
        workers=job.request.workers,
        on_progress=lambda done, total: job.tell("segments", done, total, ""),
    )


def _training(
    job: StudyJob, sound: Sound, segments: Path, name: str, plan: CompressionPlan | None = None
) -> TrainingJob:
    study, run = job.problem.study, _places(job)
    return TrainingJob(
        name=name,
        network=job.problem.network,
        recipe=study.baseline if plan is None else study.retrain,
        mixtures=study.mixtures,
        pool_folder=segments,
        state=run.training_state(name),
        output=run.baseline if plan is None else run.pick(name),
        seed=study.seed if plan is None else study.seed + 1,
        start=_starts_from(study, run, plan),
        plan=plan,
        credits=credits_of(sound.read()),
        validation=prepare_validation(run, study, job.problem.network, sound.read()),
        curve=run.curve(name),
    )


def _starts_from(study: StudyFile, run: RunDirectory, plan: CompressionPlan | None) -> Path | None:
    if plan is not None:
        return run.baseline
    return None if study.baseline.start is None else run.start


def _run_trainings(job: StudyJob, stage: str, jobs: Sequence[TrainingJob]) -> None:
    steps = {each.name: 0 for each in jobs}
    total = sum(each.recipe.steps for each in jobs)

    def on_progress(name: str, step: int, _: int, loss: float) -> None:
        steps[name] = step
        job.tell(stage, sum(steps.values()), total, f"{name} {loss:+.1f} dB")

    run_jobs(jobs, executor=job.executor, on_progress=on_progress)


def retraining_stage(job: StudyJob, sound: Sound, found: SearchResult, picks: Sequence[Pick]) -> None:
    """Retrains the picks whose checkpoints are not there yet, several at a time; equal plans once."""
    if all(job.run.pick(pick.name).exists() for pick in picks):
        return
    with job.timed("retraining"):
        trainings = list(pick_trainings(job, sound, found, picks).values())
        first: dict[str, TrainingJob] = {}
        for each in trainings:
            first.setdefault(_plan_text(each), each)
        _run_trainings(job, "retraining", list(first.values()))
        for each in trainings:
            _share(first[_plan_text(each)], each)


def _plan_text(training: TrainingJob) -> str:
    return "" if training.plan is None else training.plan.model_dump_json()


def _share(trained: TrainingJob, twin: TrainingJob) -> None:
    """Gives the network of a training to a pick that has the same plan, for another part."""
    if twin.output.exists():
        return
    if trained.curve is not None and twin.curve is not None:
        write_bytes(twin.curve, trained.curve.read_bytes())
    write_bytes(twin.output, trained.output.read_bytes())


def pick_trainings(
    job: StudyJob, sound: Sound, found: SearchResult, picks: Sequence[Pick]
) -> dict[str, TrainingJob]:
    """The retraining of each pick, by name; makes the segments that they learn from."""
    segments = _segments(job, sound)
    plans = {pick.name: plan_at(found.plans, pick.index, job.problem.network) for pick in picks}
    return {name: _training(job, sound, segments, name, plan) for name, plan in plans.items()}
