"""Trainings as jobs: each resumable, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.audio.mixtures import MixtureRecipe, feature_deviation, training_batches
from npuexplore.audio.pool import SegmentPool
from npuexplore.audio.stft import front_end
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Params
from npuexplore.errors import BadInput
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network, write_network
from npuexplore.pipeline.workers import Send, Task, run_tasks
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint
from npuexplore.train.fit import FitRecipe, FitState, fit
from npuexplore.train.model import init_params
from npuexplore.workload.network import Network

Progress = Callable[[str, int, int, float], None]
"""(job, step, steps, loss in dB)"""
REPORT_STEPS = 10


@dataclass(frozen=True)
class TrainingJob:
    """All that one training needs; crosses to another process."""

    name: str
    network: Network
    recipe: FitRecipe
    mixtures: MixtureRecipe
    pool_folder: Path
    state: Path
    """Where the training keeps its state while it runs."""
    output: Path
    """Where the finished network goes."""
    seed: int
    start: Path | None = None
    """Checkpoint to start from; None starts from random weights."""
    plan: CompressionPlan | None = None
    credits: tuple[str, ...] = ()
    """Licences of the audio it learns from."""


def run_jobs(jobs: Sequence[TrainingJob], *, workers: int, on_progress: Progress) -> None:
    """Runs the jobs whose output is not there yet, `workers` at a time.

    Raises what a job raised; the others keep their state and go on next time.
    """
    tasks = [Task(job.name, _train_in_worker, job) for job in jobs if not job.output.exists()]
    run_tasks(tasks, workers=workers, on_message=lambda _, message: on_progress(*message))


def _train_in_worker(job: TrainingJob, send: Send) -> None:
    train(job, on_progress=lambda *message: send(message))


def train(job: TrainingJob, *, on_progress: Progress | None = None) -> TrainedNetwork:
    """Trains one network, from its saved state if there is one, and writes `job.output`."""
    geometry = front_end(job.network)
    pool = SegmentPool(
        np.load(job.pool_folder / "speech.npy", mmap_mode="r"),
        np.load(job.pool_folder / "noise.npy", mmap_mode="r"),
    )
    batch_at = training_batches(pool, job.mixtures, geometry, batch=job.recipe.batch, seed=job.seed)
    params, feature_scale = _starting_point(job, batch_at)

    def keep(state: FitState) -> None:
        save_checkpoint(job.state, state.arrays, {"step": state.step, "job": job.name})

    def tell(step: int, loss: float) -> None:
        if on_progress and (step % REPORT_STEPS == 0 or step == job.recipe.steps):
            on_progress(job.name, step, job.recipe.steps, loss)

    result = fit(
        job.network,
        params,
        batch_at,
        job.recipe,
        synthesis=geometry.synthesis,
        feature_scale=feature_scale,
        plan=job.plan,
        state=_saved_state(job),
        on_checkpoint=keep,
        on_step=tell,
    )
    trained = TrainedNetwork(
        network=job.network,
        params=result.params,
        feature_scale=feature_scale,
        plan=job.plan,
        training={
            "seed": job.seed,
            "steps": job.recipe.steps,
            "frames": job.recipe.steps * job.recipe.batch * job.mixtures.segment_frames,
            "credits": list(job.credits),
        },
    )
    write_network(job.output, trained)
    job.state.unlink(missing_ok=True)
    return trained


def _starting_point(job: TrainingJob, batch_at: Callable[[int], Any]) -> tuple[Params, np.ndarray[Any, Any]]:
    if job.start is None:
        return init_params(job.network, rng=np.random.default_rng([job.seed, 5])), feature_deviation(batch_at)
    start = read_network(job.start)
    return start.params, start.feature_scale


def _saved_state(job: TrainingJob) -> FitState | None:
    """The state of an interrupted training; an unreadable one is as good as none."""
    try:
        arrays, manifest = load_checkpoint(job.state)
    except BadInput:
        return None
    return FitState(step=int(manifest["step"]), arrays=dict(arrays))
