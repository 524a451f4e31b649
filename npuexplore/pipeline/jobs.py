"""Trainings as jobs in processes of their own: one BLAS thread each, resumable, stopped with their parent."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
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


def run_jobs(jobs: Sequence[TrainingJob], *, workers: int, on_progress: Progress | None = None) -> None:
    """Runs the jobs whose output is not there yet, `workers` at a time.

    Raises what a job raised; the others keep their state and go on next time.
    """
    waiting = [job for job in jobs if not job.output.exists()]
    if not waiting:
        return
    context = multiprocessing.get_context("spawn")
    messages: SimpleQueue[tuple[str, int, int, float] | None] = context.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(messages, on_progress), daemon=True)
    listener.start()
    environment = _single_threaded_blas()
    executor = ProcessPoolExecutor(
        max_workers=min(workers, len(waiting)),
        mp_context=context,
        initializer=_prepare_worker,
        initargs=(messages, os.getpid()),
    )
    try:
        futures = [executor.submit(_run_in_worker, job) for job in waiting]
        for future in futures:
            future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        messages.put(None)
        listener.join()
        os.environ.update(environment)


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


_worker: dict[str, Any] = {}


def _prepare_worker(messages: SimpleQueue[tuple[str, int, int, float] | None], parent: int) -> None:
    _worker.update(messages=messages, parent=parent)


def _run_in_worker(job: TrainingJob) -> None:
    def send(name: str, step: int, steps: int, loss: float) -> None:
        if os.getppid() != _worker["parent"]:
            os._exit(1)
        _worker["messages"].put((name, step, steps, loss))

    train(job, on_progress=send)


def _listen(messages: SimpleQueue[tuple[str, int, int, float] | None], on_progress: Progress | None) -> None:
    while (message := messages.get()) is not None:
        if on_progress:
            on_progress(*message)


def _single_threaded_blas() -> Mapping[str, str]:
    """Sets what a child's BLAS reads at import; returns what to put back."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ[name] for name in names if name in os.environ}
    os.environ.update(dict.fromkeys(names, "1"))
    return before
