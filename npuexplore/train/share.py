"""A share of a batch: what its rows contribute to the mean loss and its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.sparsity import Params
from npuexplore.train.distillation import TAUGHT, taught_loss, teachers_target
from npuexplore.train.losses import LOSSES
from npuexplore.train.model import Treatment, forward
from npuexplore.train.params import OBSERVED, trained, unflatten
from npuexplore.train.primitives.skip import Updates
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.tape import value_and_gradients
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

if TYPE_CHECKING:
    from npuexplore.train.run import Task

HEAD = "mask to loss"
"""Key of the loss's workspace; no layer can bear a name with spaces."""


@dataclass(frozen=True)
class Given:
    """What a step starts from, the same for every share of its batch."""

    params: Params
    treatment: Treatment | None
    price_db: float | None
    """Of updating all frames rather than none; None for a network that never skips."""
    batch: int
    """Utterances in the whole batch."""


@dataclass
class Part:
    """What some rows of a batch contribute to the mean loss and its gradients, and what was seen in them."""

    loss: float
    gradients: dict[str, FloatArray]
    observed: dict[str, float]
    skipped_frac: float
    """Share of the whole batch's frames."""

    def add(self, other: Part) -> None:
        """Make this what both contribute."""
        self.loss += other.loss
        self.skipped_frac += other.skipped_frac
        for name, gradient in other.gradients.items():
            self.gradients[name] += gradient
        self.observed = {name: max(self.observed[name], top) for name, top in other.observed.items()}


def workspaces_of(network: Network) -> dict[str, Workspace]:
    """Buffers of every layer and of the loss."""
    return {name: Workspace() for name in (*(layer.name for layer in network.layers), HEAD, TAUGHT)}


def part_of_batch(
    task: Task, given: Given, batch: SpectralBatch, workspaces: Mapping[str, Workspace]
) -> Part:
    """What `batch`, all of a step's utterances or some, contributes."""
    features = batch.features * task.inverse_scale
    observed: dict[str, float] = {}
    updates = Updates()
    taught = None
    if task.teacher is not None:
        taught = teachers_target(
            task.teacher, features, task.network, synthesis=task.synthesis, noisy_power=batch.noisy_power
        )

    def loss_of(arrays: dict[str, Any]) -> Any:
        mask = forward(
            _with_ranges(arrays, given.params),
            features,
            task.network,
            given.treatment,
            workspaces=workspaces,
            observed=observed,
            updates=updates,
        )
        if given.price_db is not None:
            updates.pull += given.price_db / (features.shape[0] * given.batch)
        loss = LOSSES[task.recipe.loss](
            mask,
            synthesis=task.synthesis,
            noisy_power=batch.noisy_power,
            cross=batch.cross,
            clean_power=batch.clean_power,
            workspace=workspaces[HEAD],
        )
        if task.teacher is None or taught is None:
            return loss
        return taught_loss(loss, mask, task.teacher, taught, workspace=workspaces[TAUGHT])

    share = features.shape[1] / given.batch
    with np.errstate(all="ignore"):
        loss, gradients = value_and_gradients(
            loss_of, trained(given.params, ranges=task.learns_ranges), share=share
        )
    skipped_frac = 0.0
    if given.price_db is not None:
        skipped_frac = share * (1.0 - float(updates.taken.mean(dtype=np.float64)))
    return Part(loss, gradients, observed, skipped_frac)


def _with_ranges(arrays: Mapping[str, Any], params: Params) -> dict[str, dict[str, Any]]:
    """Trained arrays, nested, and beside them the ranges that are not."""
    nested = unflatten(arrays)
    for layer, entry in params.items():
        if OBSERVED in entry:
            nested[layer].setdefault(OBSERVED, entry[OBSERVED])
    return nested
