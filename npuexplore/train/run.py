"""A training under way: what moves, one step of it, and its state for going on later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.sparsity import Masks, Params
from npuexplore.errors import BadInput, NpuexploreError
from npuexplore.train.model import Treatment, forward
from npuexplore.train.optimizer import adam_step, clip_by_norm, learning_rate
from npuexplore.train.params import OBSERVED, copy_params, flatten, trained, unflatten
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.recipe import FitRecipe
from npuexplore.train.tape import value_and_gradients
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

HEAD = "mask to loss"
"""Key of the loss's workspace; no layer can bear a name with spaces."""
RANGE_MEMORY = 0.99
"""How slowly the observed range of a dense layer follows the batches."""


@dataclass(frozen=True)
class FitState:
    """Everything that a run needs to go on after `step` finished steps."""

    step: int
    arrays: dict[str, np.ndarray[Any, Any]]
    """params/, adam_m/, adam_v/, masks/ (0 or 1) by flat name, and losses (step,)."""


@dataclass(frozen=True)
class Task:
    """What is trained, and how; the same for every step."""

    network: Network
    recipe: FitRecipe
    synthesis: FloatArray
    """(F, K) spreads mask bands over bins."""
    inverse_scale: FloatArray
    """(F,) by which features are multiplied."""


@dataclass
class Run:
    """The moving parts of a training."""

    step: int
    params: Params
    mean: dict[str, FloatArray]
    """Adam's first moment of every trained array."""
    square: dict[str, FloatArray]
    """Adam's second moment of every trained array."""
    losses: list[float]
    masks: Masks | None = None
    workspaces: dict[str, Workspace] = field(default_factory=dict)

    def state(self) -> FitState:
        """A copy of everything that moves."""
        arrays = flatten(copy_params(self.params), "params/")
        arrays |= {f"adam_m/{name}": array.copy() for name, array in self.mean.items()}
        arrays |= {f"adam_v/{name}": array.copy() for name, array in self.square.items()}
        if self.masks is not None:
            arrays |= flatten(copy_params(self.masks), "masks/")
        return FitState(self.step, arrays | {"losses": np.array(self.losses, np.float32)})


def fresh_run(params: Mapping[str, Mapping[str, FloatArray]], network: Network) -> Run:
    """A run before its first step, on copies of `params`.

    Its arrays come in one order whatever that of `params`: sums over them depend on it in the last bit.
    """
    start = copy_params({layer.name: dict(sorted(params[layer.name].items())) for layer in network.layers})
    mean, square = ({name: np.zeros_like(array) for name, array in trained(start).items()} for _ in range(2))
    return Run(0, start, mean, square, [], workspaces=_workspaces(network))


def continued_run(state: FitState, params: Mapping[str, Mapping[str, FloatArray]], network: Network) -> Run:
    """The run that `state` was taken of; BadInput when it was not one of parameters like `params`."""
    expected = fresh_run(params, network)
    order = expected.state().arrays
    for name, array in order.items():
        found = state.arrays.get(name)
        if found is None or (found.shape != array.shape and name != "losses"):
            got = "nothing" if found is None else f"shape {found.shape}"
            raise BadInput(
                f"training state: {name}: got {got}; network {network.name} needs shape {array.shape}; "
                "remove the state to start over"
            )
    masks = unflatten(state.arrays, "masks/")
    ordered = {name: state.arrays[name] for name in order}
    return Run(
        state.step,
        copy_params(unflatten(ordered, "params/")),
        flatten(copy_params(unflatten(ordered, "adam_m/"))),
        flatten(copy_params(unflatten(ordered, "adam_v/"))),
        [float(loss) for loss in ordered["losses"]],
        {layer: {name: mask != 0 for name, mask in entry.items()} for layer, entry in masks.items()} or None,
        expected.workspaces,
    )


def _workspaces(network: Network) -> dict[str, Workspace]:
    return {name: Workspace() for name in (*(layer.name for layer in network.layers), HEAD)}


def train_step(run: Run, task: Task, batch: SpectralBatch, treatment: Treatment | None) -> float:
    """Move the run by one step; returns the loss before it, in dB.

    Raises NpuexploreError when loss or gradient are not finite; the run is then as it was.
    """
    observed: dict[str, float] = {}
    with np.errstate(all="ignore"):
        loss, gradients = _loss_and_gradients(run, task, batch, treatment, observed)
        norm = clip_by_norm(gradients, task.recipe.clip_norm)
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise NpuexploreError(
            f"training: step {run.step}: loss {loss} and gradient norm {norm} must be finite; "
            "look for silent or broken audio in that batch, or lower peak_rate"
        )
    _descend(run, task.recipe, gradients)
    if treatment is None or not treatment.frozen:
        _follow_ranges(run.params, observed)
    run.masks = None if treatment is None else treatment.masks
    run.losses.append(loss)
    run.step += 1
    return loss


def _loss_and_gradients(
    run: Run, task: Task, batch: SpectralBatch, treatment: Treatment | None, observed: dict[str, float]
) -> tuple[float, dict[str, FloatArray]]:
    features = batch.features * task.inverse_scale
    ranges = {layer: {OBSERVED: entry[OBSERVED]} for layer, entry in run.params.items() if OBSERVED in entry}

    def loss_of(arrays: dict[str, Any]) -> Any:
        nested = unflatten(arrays)
        for layer, entry in ranges.items():
            nested[layer] |= entry
        mask = forward(
            nested, features, task.network, treatment, workspaces=run.workspaces, observed=observed
        )
        return head_loss(
            mask,
            synthesis=task.synthesis,
            noisy_power=batch.noisy_power,
            cross=batch.cross,
            clean_power=batch.clean_power,
            workspace=run.workspaces[HEAD],
        )

    return value_and_gradients(loss_of, trained(run.params))


def _descend(run: Run, recipe: FitRecipe, gradients: Mapping[str, FloatArray]) -> None:
    rate = learning_rate(
        run.step,
        steps=recipe.steps,
        warmup_steps=recipe.warmup_steps,
        peak_rate=recipe.peak_rate,
        final_rate=recipe.final_rate,
    )
    for name, parameter in trained(run.params).items():
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


def _follow_ranges(params: Params, observed: Mapping[str, float]) -> None:
    """Move each observed range towards what this batch showed; the first batch sets it."""
    for layer, largest in observed.items():
        before = float(params[layer][OBSERVED])
        after = largest if before == 0.0 else RANGE_MEMORY * before + (1.0 - RANGE_MEMORY) * largest
        params[layer][OBSERVED] = np.array(after, np.float32)
