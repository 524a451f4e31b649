"""Training and retraining: a run that can be stopped after any step and goes on bit by bit the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from threadpoolctl import threadpool_limits

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.plan import CompressionPlan, check_plan
from npuexplore.compression.sparsity import Masks, Params, layer_masks
from npuexplore.documents.model import Model
from npuexplore.errors import BadInput, NpuexploreError
from npuexplore.train.model import Treatment, forward, treat_weights
from npuexplore.train.optimizer import adam_step, clip_by_norm, learning_rate
from npuexplore.train.params import OBSERVED, copy_params, flatten, trained, unflatten
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.tape import value_and_gradients
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

PRUNING_FRAC = 0.6
"""Share of the steps in which the masks move towards the plan's sparsity; then they stay."""
HEAD = "mask to loss"
"""Key of the loss's workspace; no layer can bear a name with spaces."""
RANGE_MEMORY = 0.99
"""How slowly the observed range of a dense layer follows the batches."""


class FitRecipe(Model):
    """How long and how fast to train."""

    steps: PositiveInt
    batch: PositiveInt = 16
    peak_rate: PositiveFloat = 2e-3
    final_rate: PositiveFloat = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 200
    """At most a quarter of the steps are spent warming up."""
    clip_norm: PositiveFloat = 1.0
    beta_1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    beta_2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    checkpoint_steps: PositiveInt = 200
    blas_threads: PositiveInt = 1
    """Part of the recipe because the last bits of a matrix product depend on it."""


@dataclass(frozen=True)
class FitState:
    """Everything that a run needs to go on after `step` finished steps."""

    step: int
    arrays: dict[str, np.ndarray[Any, Any]]
    """params/, adam_m/, adam_v/, masks/ (0 or 1) by flat name, and losses (step,)."""


@dataclass(frozen=True)
class FitResult:
    """Trained parameters; with a plan they are pruned and lie on the integer grid."""

    params: Params
    masks: Masks | None
    losses: FloatArray
    """(steps,) float32, dB."""


@dataclass
class _Run:
    """The moving parts of a run."""

    step: int
    params: Params
    mean: dict[str, FloatArray]
    square: dict[str, FloatArray]
    losses: list[float]
    masks: Masks | None = None
    workspaces: dict[str, Workspace] = field(default_factory=dict)

    def state(self) -> FitState:
        arrays = flatten(copy_params(self.params), "params/")
        arrays |= {f"adam_m/{name}": array.copy() for name, array in self.mean.items()}
        arrays |= {f"adam_v/{name}": array.copy() for name, array in self.square.items()}
        if self.masks is not None:
            arrays |= flatten(copy_params(self.masks), "masks/")
        return FitState(self.step, arrays | {"losses": np.array(self.losses, np.float32)})


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
    Raises BadInput for a plan that cannot be trained, NpuexploreError when the loss is not finite.
    """
    _check(network, plan, feature_scale)
    run = _fresh_run(params) if state is None else _continued_run(state)
    run.workspaces = {name: Workspace() for name in (*(layer.name for layer in network.layers), HEAD)}
    inverse_scale = (1.0 / feature_scale).astype(np.float32)
    with threadpool_limits(recipe.blas_threads, "blas"):
        for batch in _prefetched(batch_at, run.step, recipe.steps):
            treatment = _treatment(run, network, plan, recipe.steps)
            loss = _train_step(run, network, batch, recipe, synthesis, inverse_scale, treatment)
            run.losses.append(loss)
            run.step += 1
            if on_step is not None:
                on_step(run.step, loss)
            if on_checkpoint is not None and _checkpoint_due(run.step, recipe):
                on_checkpoint(run.state())
    return FitResult(_finished(run, network, plan), run.masks, np.array(run.losses, np.float32))


def _check(network: Network, plan: CompressionPlan | None, feature_scale: FloatArray) -> None:
    if not (np.isfinite(feature_scale).all() and (feature_scale > 0).all()):
        raise BadInput(
            f"feature_scale: got values from {feature_scale.min()} to {feature_scale.max()}; every deviation "
            "must be positive and finite; measure it on audio that is not silent"
        )
    if plan is None:
        return
    check_plan(plan, network)
    if plan.skip_rate_frac > 0:
        raise BadInput(
            f"plan: skip_rate_frac: got {plan.skip_rate_frac}; only 0 can be trained so far; "
            "set skip_rate_frac: 0 or leave it out"
        )


def _fresh_run(params: Mapping[str, Mapping[str, FloatArray]]) -> _Run:
    start = copy_params(params)
    zeros = {name: np.zeros_like(array) for name, array in trained(start).items()}
    return _Run(0, start, zeros, {name: array.copy() for name, array in zeros.items()}, [])


def _continued_run(state: FitState) -> _Run:
    masks = unflatten(state.arrays, "masks/")
    return _Run(
        state.step,
        copy_params(unflatten(state.arrays, "params/")),
        flatten(copy_params(unflatten(state.arrays, "adam_m/"))),
        flatten(copy_params(unflatten(state.arrays, "adam_v/"))),
        [float(loss) for loss in state.arrays["losses"]],
        {layer: {name: mask != 0 for name, mask in entry.items()} for layer, entry in masks.items()} or None,
    )


@contextmanager
def _one_thread() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prefetched(batch_at: Callable[[int], SpectralBatch], start: int, stop: int) -> Iterator[SpectralBatch]:
    """Batches of the steps start .. stop-1, each made while the step before is computed."""
    if start >= stop:
        return
    with _one_thread() as pool:
        pending = pool.submit(batch_at, start)
        for step in range(start, stop):
            batch = pending.result()
            if step + 1 < stop:
                pending = pool.submit(batch_at, step + 1)
            yield batch


def _checkpoint_due(step: int, recipe: FitRecipe) -> bool:
    return step % recipe.checkpoint_steps == 0 or step == recipe.steps


def pruning_ramp(step: int, steps: int) -> float:
    """Share of the plan's sparsity to have at a step: cubic (Zhu 2017, eq. 1), 1 for the last 40 %.

    >>> pruning_ramp(0, 10) < 0.5, pruning_ramp(5, 10), pruning_ramp(9, 10)
    (True, 1.0, 1.0)
    """
    pruning = _pruning_steps(steps)
    return 1.0 - (1.0 - min(1.0, (step + 1) / pruning)) ** 3


def _pruning_steps(steps: int) -> int:
    return max(1, math.ceil(PRUNING_FRAC * steps))


def _treatment(run: _Run, network: Network, plan: CompressionPlan | None, steps: int) -> Treatment | None:
    """What compression does at this step; chooses new masks when they are due."""
    if plan is None:
        return None
    last = _pruning_steps(steps) - 1
    refresh_steps = min(16, max(1, steps // 64))
    if run.step == last or (run.step < last and run.step % refresh_steps == 0):
        run.masks = layer_masks(run.params, plan, network, ramp_frac=pruning_ramp(run.step, steps))
    return Treatment(plan, run.masks, frozen=run.step >= last)


def _train_step(
    run: _Run,
    network: Network,
    batch: SpectralBatch,
    recipe: FitRecipe,
    synthesis: FloatArray,
    inverse_scale: FloatArray,
    treatment: Treatment | None,
) -> float:
    features = batch.features * inverse_scale
    observed: dict[str, float] = {}
    ranges = {layer: {OBSERVED: entry[OBSERVED]} for layer, entry in run.params.items() if OBSERVED in entry}

    def loss_of(arrays: dict[str, Any]) -> Any:
        nested = unflatten(arrays)
        for layer, entry in ranges.items():
            nested[layer] |= entry
        mask = forward(nested, features, network, treatment, workspaces=run.workspaces, observed=observed)
        return head_loss(
            mask,
            synthesis=synthesis,
            noisy_power=batch.noisy_power,
            cross=batch.cross,
            clean_power=batch.clean_power,
            workspace=run.workspaces[HEAD],
        )

    moved = trained(run.params)
    with np.errstate(all="ignore"):
        loss, gradients = value_and_gradients(loss_of, moved)
        norm = clip_by_norm(gradients, recipe.clip_norm)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NpuexploreError(
            f"training: step {run.step}: loss {loss} and gradient norm {norm} must be finite; "
            "look for silent or broken audio in that batch, or lower peak_rate"
        )
    rate = learning_rate(
        run.step,
        steps=recipe.steps,
        warmup_steps=recipe.warmup_steps,
        peak_rate=recipe.peak_rate,
        final_rate=recipe.final_rate,
    )
    for name, parameter in moved.items():
        adam_step(
            parameter,
            gradients[name],
            run.mean[name],
            run.square[name],
            step=run.step + 1,
            rate=rate,
            beta_1=recipe.beta_1,
            beta_2=recipe.beta_2,
        )
    if treatment is None or not treatment.frozen:
        _follow_ranges(run.params, observed)
    return loss


def _follow_ranges(params: Params, observed: Mapping[str, float]) -> None:
    """Move each observed range towards what this batch showed; the first batch sets it."""
    for layer, largest in observed.items():
        before = float(params[layer][OBSERVED])
        after = largest if before == 0.0 else RANGE_MEMORY * before + (1.0 - RANGE_MEMORY) * largest
        params[layer][OBSERVED] = np.array(after, np.float32)


def _finished(run: _Run, network: Network, plan: CompressionPlan | None) -> Params:
    if plan is None or run.masks is None:
        return copy_params(run.params)
    treatment = Treatment(plan, run.masks, frozen=True)
    return copy_params(
        {layer.name: treat_weights(run.params[layer.name], layer, treatment) for layer in network.layers}
    )
