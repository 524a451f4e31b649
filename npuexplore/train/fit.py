"""Training and retraining: a run that can be stopped after any step and goes on bit by bit the same."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.plan import CompressionPlan, check_plan
from npuexplore.compression.sparsity import Masks, Params
from npuexplore.errors import BadInput
from npuexplore.train.model import Treatment, treat_weights
from npuexplore.train.params import copy_params
from npuexplore.train.pruning import treatment_at
from npuexplore.train.recipe import FitRecipe
from npuexplore.train.run import FitState, Run, Task, continued_run, fresh_run, train_step
from npuexplore.train.skipping import gated, refuse_unskippable
from npuexplore.train.trainable import refuse_untrainable
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

__all__ = ["FitRecipe", "FitResult", "FitState", "fit"]


@dataclass(frozen=True)
class FitResult:
    """Trained parameters; with a plan they are pruned and lie on the integer grid."""

    params: Params
    masks: Masks | None
    losses: FloatArray
    """(steps,) float32, dB."""
    skip_rate_frac: float = 0.0
    """Share of the frames that were skipped in the last batches."""


def fit(
    network: Network,
    params: Mapping[str, Mapping[str, FloatArray]],
    batch_at: Callable[[int], SpectralBatch],
    recipe: FitRecipe,
    *,
    synthesis: FloatArray,
    feature_scale: FloatArray,
    plan: CompressionPlan | None = None,
    state: FitState | None = None,
    on_checkpoint: Callable[[FitState], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> FitResult:
    """Train `params`, or retrain them under a plan: pruned gradually, rounded in the loop.

    batch_at gives the batch of a step and depends on nothing else; it runs one step ahead in a thread.
    synthesis : (F, K) spreads mask bands over bins ; feature_scale : (F,) deviation of each feature.
    `state` continues a stopped run. on_checkpoint gets a FitState every recipe.checkpoint_steps and
    at the end; on_step gets the number of finished steps and the loss in dB.
    Raises BadInput for a plan that cannot be trained or a state of another network, NpuexploreError when
    the loss is not finite.
    """
    _check(network, plan, feature_scale)
    params = params if plan is None else gated(params, network, plan)
    task = Task(network, recipe, synthesis, (1.0 / feature_scale).astype(np.float32))
    run = fresh_run(params, network) if state is None else continued_run(state, params, network)
    batches = _prefetched(batch_at, run.step, recipe.steps)
    with threadpool_limits(1, "blas"), _team(recipe) as pool, closing(batches):
        for batch in batches:
            loss = train_step(run, task, batch, _treatment(run, task, plan), pool=pool)
            if on_step is not None:
                on_step(run.step, loss)
            if on_checkpoint is not None and _checkpoint_due(run.step, recipe):
                on_checkpoint(run.state())
    skip_rate_frac = 0.0 if run.skip is None else run.skip.rate_frac
    losses = np.array(run.losses, np.float32)
    return FitResult(_finished(run, network, plan), run.masks, losses, skip_rate_frac)


def _check(network: Network, plan: CompressionPlan | None, feature_scale: FloatArray) -> None:
    refuse_untrainable(network)
    if not (np.isfinite(feature_scale).all() and (feature_scale > 0).all()):
        raise BadInput(
            f"feature_scale: got values from {feature_scale.min()} to {feature_scale.max()}; every deviation "
            "must be positive and finite; measure it on audio that is not silent"
        )
    if plan is None:
        return
    check_plan(plan, network)
    refuse_unskippable(plan, network)


def _team(recipe: FitRecipe) -> AbstractContextManager[Executor | None]:
    """Threads that share each batch, where the recipe asks for more than one."""
    return ThreadPoolExecutor(recipe.blas_threads) if recipe.blas_threads > 1 else nullcontext()


def _treatment(run: Run, task: Task, plan: CompressionPlan | None) -> Treatment | None:
    if plan is None:
        return None
    return treatment_at(
        run.step,
        task.recipe.steps,
        params=run.params,
        masks=run.masks,
        network=task.network,
        plan=plan,
    )


def _prefetched(
    batch_at: Callable[[int], SpectralBatch], start: int, stop: int
) -> Generator[SpectralBatch, None, None]:
    """Batches of the steps start .. stop-1, each made while the step before is computed."""
    if start >= stop:
        return
    pool = ThreadPoolExecutor(1)
    try:
        pending = pool.submit(batch_at, start)
        for step in range(start, stop):
            batch = pending.result()
            if step + 1 < stop:
                pending = pool.submit(batch_at, step + 1)
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _checkpoint_due(step: int, recipe: FitRecipe) -> bool:
    return step % recipe.checkpoint_steps == 0 or step == recipe.steps


def _finished(run: Run, network: Network, plan: CompressionPlan | None) -> Params:
    if plan is None or run.masks is None:
        return copy_params(run.params)
    treatment = Treatment(plan, run.masks, frozen=True)
    return copy_params(
        {layer.name: treat_weights(run.params[layer.name], layer, treatment) for layer in network.layers}
    )
