"""Training and retraining: a run that can be stopped after any step and goes on bit by bit the same."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.plan import CompressionPlan, check_plan
from npuexplore.compression.reach import refuse_unreachable
from npuexplore.compression.sparsity import Masks, Params
from npuexplore.errors import BadInput
from npuexplore.train.best import Best, Diverged, has_diverged, validations_since_best
from npuexplore.train.distillation import Teacher
from npuexplore.train.methods import treatment_at
from npuexplore.train.model import Treatment, treat_weights
from npuexplore.train.params import copy_params
from npuexplore.train.pruning import last_choice
from npuexplore.train.recipe import FitRecipe, RetrainRecipe
from npuexplore.train.run import FitState, Run, Task, continued_run, fresh_run, train_step
from npuexplore.train.skipping import gated, refuse_unskippable
from npuexplore.train.team import team_of
from npuexplore.train.thresholds import achieved_plan, learning_of
from npuexplore.train.trainable import refuse_untrainable
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

__all__ = ["FitRecipe", "FitResult", "FitState", "RetrainRecipe", "fit"]


@dataclass(frozen=True)
class FitResult:
    """Trained parameters; with a plan they are pruned and lie on the integer grid."""

    params: Params
    masks: Masks | None
    losses: FloatArray
    """(steps,) float32, dB."""
    skip_rate_frac: float = 0.0
    """Share of the frames that were skipped in the last batches."""
    plan: CompressionPlan | None = None
    """The plan with what each layer really keeps, where the network's layers share a budget."""
    best_step: int = 0
    """Finished steps after which the network was as it is here."""
    validation_db: float | None = None
    """Its loss on what it did not learn from."""


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
    until: int | None = None,
    on_checkpoint: Callable[[FitState], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
    validate: Callable[[Params], float] | None = None,
) -> FitResult:
    """Train `params`, or retrain them under a plan: pruned as the recipe says, rounded in the loop.

    batch_at gives the batch of a step and depends on nothing else; it runs one step ahead in a thread.
    synthesis : (F, K) spreads mask bands over bins ; feature_scale : (F,) deviation of each feature.
    `state` continues a stopped run, and `until` stops one after so many steps of its recipe, for later.
    on_checkpoint gets a FitState every recipe.checkpoint_steps and at the end; on_step gets the number of
    finished steps and the loss in dB. `validate` gives the loss in dB of a network on what it does not learn
    from; with it, the best network is what comes back.
    Raises BadInput for a plan that cannot be trained or a state of another network, Diverged when the loss
    is not finite or a network that was good is no longer.
    """
    _check(network, plan, feature_scale)
    params = params if plan is None else gated(params, network, plan)
    task = _task(network, params, recipe, plan, synthesis=synthesis, feature_scale=feature_scale)
    if state is None:
        run = fresh_run(params, network, task.learning, ranges=task.learns_ranges)
    else:
        run = continued_run(state, params, network, task.learning, ranges=task.learns_ranges)
    last = recipe.steps if until is None else min(until, recipe.steps)
    batches = _prefetched(batch_at, run.step, last)
    with threadpool_limits(1, "blas"), team_of(task) as team, closing(batches):
        for batch in batches:
            if not _patient(run, recipe):
                if on_checkpoint is not None:
                    on_checkpoint(run.state())
                break
            loss = train_step(run, task, batch, treatment_at(run, task), team=team)
            if validate is not None and _due(run.step, recipe.validation_steps, recipe):
                _validate(run, task, validate)
            if on_step is not None:
                on_step(run.step, loss)
            if on_checkpoint is not None and (
                run.step == last or _due(run.step, recipe.checkpoint_steps, recipe)
            ):
                on_checkpoint(run.state())
    return _result(run, task)


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
    refuse_unreachable(plan, network)


def _task(
    network: Network,
    params: Mapping[str, Mapping[str, FloatArray]],
    recipe: FitRecipe,
    plan: CompressionPlan | None,
    *,
    synthesis: FloatArray,
    feature_scale: FloatArray,
) -> Task:
    """What is trained: under a plain recipe, plans are pruned gradually."""
    task = Task(network, recipe, synthesis, (1.0 / feature_scale).astype(np.float32), plan)
    if plan is None or not isinstance(recipe, RetrainRecipe):
        return task
    learning, teacher = None, None
    if recipe.method == "learned":
        learning = learning_of(plan, network, params, budget=recipe.budget)
    if recipe.distillation is not None:
        never_skipping = gated(params, network, CompressionPlan())
        teacher = Teacher(never_skipping, recipe.distillation)
    return replace(task, method=recipe.method, learning=learning, teacher=teacher)


def _validate(run: Run, task: Task, validate: Callable[[Params], float]) -> None:
    """Tries the network on what it does not learn from, and keeps it if it is the best one so far.

    While masks move, a network has more weights than it will have, and is not compared; nor is one that skips
    fewer frames of late than it is to.
    """
    if not _is_what_it_will_be(run, task):
        return
    params = _finished(run, task)
    loss_db = float(np.float32(validate(params)))
    if has_diverged(loss_db, run.best):
        before = "" if run.best is None else f", after {run.best.loss_db:.2f} dB at step {run.best.step}"
        raise Diverged(
            f"training: step {run.step}: a validation loss of {loss_db:.2f} dB is no better than silence"
            f"{before}; lower peak_rate",
            run.best,
        )
    if run.best is None or loss_db < run.best.loss_db:
        run.best = Best(params, run.step, loss_db)
    run.validation.append((run.step, loss_db))


def _is_what_it_will_be(run: Run, task: Task) -> bool:
    """Whether the network is as small, and skips as much, as its plan asks."""
    if task.plan is None:
        return True
    reached = run.skip is None or run.skip.has_reached(task.plan.skip_rate_frac)
    return reached and run.step > last_choice(task.recipe.steps)


def _patient(run: Run, recipe: FitRecipe) -> bool:
    return recipe.patience is None or validations_since_best(run.validation) < recipe.patience


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


def _due(step: int, every: int, recipe: FitRecipe) -> bool:
    return step % every == 0 or step == recipe.steps


def _result(run: Run, task: Task) -> FitResult:
    plan = task.plan
    if plan is not None and task.learning is not None and task.learning.budget == "network" and run.masks:
        plan = achieved_plan(plan, task.network, run.masks)
    return FitResult(
        _finished(run, task) if run.best is None else run.best.params,
        run.masks,
        np.array(run.losses, np.float32),
        skip_rate_frac=0.0 if run.skip is None else run.skip.rate_frac,
        plan=plan,
        best_step=run.step if run.best is None else run.best.step,
        validation_db=None if run.best is None else run.best.loss_db,
    )


def _finished(run: Run, task: Task) -> Params:
    if task.plan is None or run.masks is None:
        return copy_params(run.params)
    treatment = Treatment(task.plan, run.masks, frozen=True)
    return copy_params(
        {layer.name: treat_weights(run.params[layer.name], layer, treatment) for layer in task.network.layers}
    )
