"""Trainings as jobs: each resumable, each in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.audio.mixtures import MixtureRecipe, feature_deviation
from npuexplore.audio.sources import Pair
from npuexplore.audio.stft import FrontEnd
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Params, layer_masks
from npuexplore.documents.atomic import write_text
from npuexplore.errors import BadInput, NpuexploreError
from npuexplore.pipeline.ahead import BatchSource, batches_ahead
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network, write_network
from npuexplore.pipeline.executors import Executor
from npuexplore.pipeline.quality import calibration_batch, spectral_quality_db
from npuexplore.pipeline.start import credits_of_network, refuse_other_network, start_document
from npuexplore.pipeline.workers import Send, Task
from npuexplore.records.checkpoint import OtherVersion, load_checkpoint, save_checkpoint
from npuexplore.train.apply import one_shot
from npuexplore.train.best import Diverged
from npuexplore.train.fit import FitRecipe, FitResult, FitState, RetrainRecipe, fit
from npuexplore.train.model import init_params
from npuexplore.train.params import unflatten
from npuexplore.units import FloatArray
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
    validation: Path | None = None
    """(2, M, N) clean and noisy mixtures on which the best network is found."""
    curve: Path | None = None
    """Where losses and sizes go, step by step, as CSV."""


def run_jobs(jobs: Sequence[TrainingJob], *, executor: Executor, on_progress: Progress) -> None:
    """Runs the jobs whose output is not there yet.

    Raises what a job raised; the others keep their state and go on next time.
    """
    tasks = [Task(job.name, _train_in_worker, job) for job in jobs if not job.output.exists()]
    executor.run(tasks, on_message=lambda _, message: on_progress(*message))


def _train_in_worker(job: TrainingJob, send: Send) -> None:
    train(job, on_progress=lambda *message: send(message))


def train(job: TrainingJob, *, on_progress: Progress | None = None) -> TrainedNetwork:
    """Trains one network, from its saved state if there is one, and writes `job.output`."""
    source = _source(job)
    params, feature_scale = _starting_point(job, source)
    try:
        result = _learned(job, source, params, feature_scale, on_progress)
    except Diverged as error:
        raise _with_best_kept(job, error, feature_scale) from None
    trained = TrainedNetwork(
        network=job.network,
        params=result.params,
        feature_scale=feature_scale,
        plan=result.plan or job.plan,
        training=_what_it_was(job, result),
    )
    write_network(job.output, trained)
    job.state.unlink(missing_ok=True)
    return trained


def train_until(job: TrainingJob, step: int, *, on_progress: Progress | None = None) -> float:
    """Trains up to a step, from the saved state if there is one, and saves the state; writes no network.

    Returns the loss in dB on the validation mixtures: of the best network so far, or while masks still move,
    of the network with all its zeros taken at once. Not a number where the training diverged.
    """
    source = _source(job)
    params, feature_scale = _starting_point(job, source)
    state = _saved_state(job)
    if state is not None and state.step > step:
        job.state.unlink()
    try:
        _learned(job, source, params, feature_scale, on_progress, until=step)
    except Diverged:
        return math.nan
    state, validate = _saved_state(job), _validator(job, feature_scale, source.geometry())
    if state is None or validate is None or job.plan is None:
        raise ValueError(f"{job.name}: without a plan, validation mixtures and steps there is no rung")
    if len(state.arrays["validation"]):
        return float(state.arrays["validation"][:, 1].min())
    return validate(one_shot(unflatten(state.arrays, "params/"), job.plan, job.network))


def _source(job: TrainingJob) -> BatchSource:
    return BatchSource(job.network, job.mixtures, job.pool_folder, job.recipe.batch, job.seed)


def _learned(
    job: TrainingJob,
    source: BatchSource,
    params: Params,
    feature_scale: FloatArray,
    on_progress: Progress | None,
    *,
    until: int | None = None,
) -> FitResult:
    """The parameters that a job ends with, or stops with for a while. Raises Diverged."""
    if job.plan is not None and is_offline(job.recipe):
        masks = layer_masks(params, job.plan, job.network)
        return FitResult(one_shot(params, job.plan, job.network), masks, np.empty(0, np.float32))

    def keep(state: FitState) -> None:
        if job.curve is not None:  # first: a run killed between the two comes by here again
            write_text(job.curve, curve_text(state))
        save_checkpoint(job.state, state.arrays, {"step": state.step, "job": job.name})

    def tell(step: int, loss: float) -> None:
        if on_progress and (step % REPORT_STEPS == 0 or step == job.recipe.steps):
            on_progress(job.name, step, job.recipe.steps, loss)

    geometry, state = source.geometry(), _saved_state(job)
    first = 0 if state is None else state.step
    with batches_ahead(source, start=first, stop=until or job.recipe.steps) as batch_at:
        return fit(
            job.network,
            params,
            batch_at,
            job.recipe,
            synthesis=geometry.synthesis,
            feature_scale=feature_scale,
            plan=job.plan,
            state=state,
            until=until,
            on_checkpoint=keep,
            on_step=tell,
            validate=_validator(job, feature_scale, geometry),
        )


def is_offline(recipe: FitRecipe) -> bool:
    """Whether nothing learns."""
    return isinstance(recipe, RetrainRecipe) and recipe.method == "offline"


def _what_it_was(job: TrainingJob, result: FitResult) -> dict[str, Any]:
    """What a checkpoint says of its training."""
    steps = len(result.losses)
    start_credits = () if job.start is None else credits_of_network(read_network(job.start))
    document: dict[str, Any] = {
        "seed": job.seed,
        "steps": steps,
        "frames": steps * job.recipe.batch * job.mixtures.segment_frames,
        "credits": sorted({*job.credits, *start_credits}),
    }
    if job.start is not None and job.plan is None:
        document["start"] = start_document(job.start)
    if job.plan is not None and isinstance(job.recipe, RetrainRecipe):
        document["method"] = job.recipe.method
    if result.validation_db is not None:
        document |= {"best_step": result.best_step, "validation_db": round(result.validation_db, 3)}
    return document


def _validator(
    job: TrainingJob, feature_scale: FloatArray, geometry: FrontEnd
) -> Callable[[Params], float] | None:
    """Loss in dB of a network on the job's validation mixtures, where there are any."""
    if job.validation is None:
        return None
    clean, noisy = np.load(job.validation)
    pairs = [Pair(str(index), *both) for index, both in enumerate(zip(clean, noisy, strict=True))]
    batch = calibration_batch(pairs, geometry)

    def validate(params: Params) -> float:
        trained = TrainedNetwork(job.network, params, feature_scale, job.plan, {})
        return -spectral_quality_db(trained, batch, geometry, loss=job.recipe.loss)

    return validate


def curve_text(state: FitState) -> str:
    """A run so far as CSV, a row per step; validation_db only where the network was tried."""
    tried = {int(step): f"{loss_db:.4f}" for step, loss_db in state.arrays["validation"]}
    lines = ["step,loss_db,kept_frac,penalty_db,validation_db"]
    rows = zip(state.arrays["losses"], state.arrays["curve"], strict=True)
    for step, (loss_db, (kept_frac, penalty_db)) in enumerate(rows, start=1):
        lines.append(f"{step},{loss_db:.4f},{kept_frac:.6f},{penalty_db:.6g},{tried.get(step, '')}")
    return "\n".join(lines) + "\n"


def _with_best_kept(job: TrainingJob, error: Diverged, feature_scale: FloatArray) -> NpuexploreError:
    """The error, which then says where the best network of the run lies."""
    if error.best is None:
        return NpuexploreError(f"{job.name}: {error}")
    kept = job.state.with_name(f"{job.name}-best.npz")
    training = {"seed": job.seed, "steps": error.best.step, "validation_db": round(error.best.loss_db, 3)}
    write_network(kept, TrainedNetwork(job.network, error.best.params, feature_scale, job.plan, training))
    return NpuexploreError(f"{job.name}: {error}; the best network so far is kept in {kept}")


def _starting_point(job: TrainingJob, source: BatchSource) -> tuple[Params, np.ndarray[Any, Any]]:
    if job.start is None:
        return init_params(job.network, rng=np.random.default_rng([job.seed, 5])), feature_deviation(
            source.batches()
        )
    start = read_network(job.start)
    refuse_other_network(job.start, start.network, job.network)
    return start.params, start.feature_scale


def _saved_state(job: TrainingJob) -> FitState | None:
    """The state of an interrupted training; a torn one is as good as none.

    Raises BadInput for a whole file that is something else, which starting over would overwrite.
    """
    try:
        arrays, manifest = load_checkpoint(job.state)
    except OtherVersion:
        raise
    except BadInput:
        return None
    if not isinstance(manifest.get("step"), int) or manifest.get("job") != job.name:
        raise BadInput(
            f"{job.state}: is not the saved state of training {job.name}; move it away to start that over"
        )
    return FitState(step=int(manifest["step"]), arrays=dict(arrays))
