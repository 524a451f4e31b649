"""A training under way: what moves, one step of it, and its state for going on later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Masks, Params
from npuexplore.errors import BadInput
from npuexplore.train.best import Best, Diverged
from npuexplore.train.distillation import Teacher
from npuexplore.train.model import Treatment
from npuexplore.train.optimizer import adam_step, clip_by_norm, learning_rate
from npuexplore.train.params import OBSERVED, copy_params, flatten, trained, unflatten
from npuexplore.train.primitives.workspace import Workspace, aligned_zeros
from npuexplore.train.pruning import pruning_ramp, pruning_steps
from npuexplore.train.recipe import FitRecipe, Method, RetrainRecipe
from npuexplore.train.share import Given, part_of_batch, workspaces_of
from npuexplore.train.skipping import SkipControl, is_gated
from npuexplore.train.thresholds import Learning, Thresholds, learned, learning_rate_of, start_thresholds
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

if TYPE_CHECKING:
    from npuexplore.train.team import Team

GROWING = ("losses", "curve", "validation")
"""Arrays of a state that grow with the steps."""
RANGE_MEMORY = 0.99
"""How slowly the observed range of a dense layer follows the batches."""
SMALLEST_RANGE = 1e-3
"""A learned range does not come closer to 0, where its grid would have no room."""


@dataclass(frozen=True)
class FitState:
    """Everything that a run needs to go on after `step` finished steps."""

    step: int
    arrays: dict[str, np.ndarray[Any, Any]]
    """params/, adam_m/, adam_v/, masks/ (0 or 1) by flat name, losses (step,), and what methods add:

    thresholds/ and what steers them, skip/, curve (step, 2): share of weights kept, penalty in dB;
    validation (V, 2): step, dB; best/ the best network so far."""


@dataclass(frozen=True)
class Task:
    """What is trained, and how; the same for every step."""

    network: Network
    recipe: FitRecipe
    synthesis: FloatArray
    """(F, K) spreads mask bands over bins."""
    inverse_scale: FloatArray
    """(F,) by which features are multiplied."""
    plan: CompressionPlan | None = None
    method: Method = "gradual"
    learning: Learning | None = None
    """What thresholds are learned for, where they are."""
    teacher: Teacher | None = None

    @property
    def learns_ranges(self) -> bool:
        """Whether the ranges of outputs without bounds are trained."""
        return (
            self.plan is not None
            and isinstance(self.recipe, RetrainRecipe)
            and self.recipe.ranges == "learned"
        )


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
    skip: SkipControl | None = None
    """Where the network has a gate."""
    thresholds: Thresholds | None = None
    curve: list[tuple[float, float]] = field(default_factory=list)
    """Share of the weights kept and penalty in dB, step by step."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    """Finished steps and loss in dB, of every validation."""
    best: Best | None = None

    def state(self) -> FitState:
        """A copy of everything that moves."""
        arrays = flatten(copy_params(self.params), "params/")
        arrays |= {f"adam_m/{name}": array.copy() for name, array in self.mean.items()}
        arrays |= {f"adam_v/{name}": array.copy() for name, array in self.square.items()}
        if self.masks is not None:
            arrays |= flatten(copy_params(self.masks), "masks/")
        if self.skip is not None:
            arrays |= {f"skip/{name}": np.array(value) for name, value in vars(self.skip).items()}
        if self.thresholds is not None:
            arrays |= {f"thresholds/{name}": array for name, array in vars(self.thresholds).items()}
        if self.best is not None:
            arrays |= flatten(copy_params(self.best.params), "best/")
        arrays |= {
            "curve": np.array(self.curve, np.float32).reshape(-1, 2),
            "validation": np.array(self.validation, np.float32).reshape(-1, 2),
        }
        return FitState(self.step, arrays | {"losses": np.array(self.losses, np.float32)})


def fresh_run(
    params: Mapping[str, Mapping[str, FloatArray]],
    network: Network,
    learning: Learning | None = None,
    *,
    ranges: bool = False,
) -> Run:
    """A run before its first step, on copies of `params`; `ranges` of outputs are trained or not.

    Its arrays come in one order whatever that of `params`: sums over them depend on it in the last bit.
    """
    start = copy_params({layer.name: dict(sorted(params[layer.name].items())) for layer in network.layers})
    mean, square = (
        {
            name: aligned_zeros(array.shape, array.dtype)
            for name, array in trained(start, ranges=ranges).items()
        }
        for _ in range(2)
    )
    skip = SkipControl() if is_gated(start) else None
    thresholds = None if learning is None else start_thresholds(learning, start)
    workspaces = workspaces_of(network)
    return Run(0, start, mean, square, [], workspaces=workspaces, skip=skip, thresholds=thresholds)


def continued_run(
    state: FitState,
    params: Mapping[str, Mapping[str, FloatArray]],
    network: Network,
    learning: Learning | None = None,
    *,
    ranges: bool = False,
) -> Run:
    """The run that `state` was taken of; BadInput when it was not one of parameters like `params`."""
    expected = fresh_run(params, network, learning, ranges=ranges)
    order = expected.state().arrays
    for name, array in order.items():
        found = state.arrays.get(name)
        if found is None or (found.shape != array.shape and name not in GROWING):
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
        expected.skip
        and SkipControl(**{name: float(ordered[f"skip/{name}"]) for name in vars(expected.skip)}),
        expected.thresholds
        and Thresholds(**{name: ordered[f"thresholds/{name}"] for name in vars(expected.thresholds)}),
        [(float(kept_frac), float(penalty_db)) for kept_frac, penalty_db in ordered["curve"]],
        [(int(step), float(loss)) for step, loss in ordered["validation"]],
        Best.of(unflatten(state.arrays, "best/"), ordered["validation"]),
    )


def train_step(
    run: Run, task: Task, batch: SpectralBatch, treatment: Treatment | None, *, team: Team | None = None
) -> float:
    """Move the run by one step; returns the loss before it, in dB.

    With a team, each member computes a share of the batch.
    Raises Diverged when loss or gradient are not finite; the run is then as it was.
    """
    price_db = None if run.skip is None else run.skip.price_db
    given = Given(run.params, treatment, price_db, batch.features.shape[1])
    if team is None:
        whole = part_of_batch(task, given, batch, run.workspaces)
    else:
        whole = team.whole_batch(given, batch)
    with np.errstate(all="ignore"):
        norm = clip_by_norm(whole.gradients, task.recipe.clip_norm)
    if not (math.isfinite(whole.loss) and math.isfinite(norm)):
        raise Diverged(
            f"training: step {run.step}: loss {whole.loss} and gradient norm {norm} must be finite; "
            "look for silent or broken audio in that batch, or lower peak_rate",
            run.best,
        )
    _learn_thresholds(run, task, treatment, whole.gradients)
    _descend(run, task, whole.gradients)
    if task.learns_ranges:
        _keep_ranges(run.params, whole.observed)
    elif treatment is None or not treatment.frozen:
        _follow_ranges(run.params, whole.observed)
    if run.skip is not None and treatment is not None:
        target = treatment.plan.skip_rate_frac * pruning_ramp(run.step, task.recipe.steps)
        run.skip.steer(whole.skipped_frac, target)
    run.masks = None if treatment is None else treatment.masks
    run.losses.append(whole.loss)
    run.curve.append((1.0 if treatment is None else _kept_frac(treatment), _penalty_db(run.thresholds)))
    run.step += 1
    return whole.loss


def _learn_thresholds(
    run: Run, task: Task, treatment: Treatment | None, gradients: Mapping[str, FloatArray]
) -> None:
    """One step of the thresholds, as long as masks move."""
    if run.thresholds is None or task.learning is None or treatment is None:
        return
    if treatment.frozen or treatment.masks is None:
        return
    run.thresholds = learned(
        run.thresholds,
        task.learning,
        params=run.params,
        gradients=gradients,
        masks=treatment.masks,
        ramp_frac=pruning_ramp(run.step + 1, task.recipe.steps),
        rate=learning_rate_of(pruning_steps(task.recipe.steps)),
    )


def _kept_frac(treatment: Treatment) -> float:
    """Share of the weights that the masks leave."""
    matrices = [
        mask
        for entry in (treatment.masks or {}).values()
        for name, mask in entry.items()
        if name.startswith("w")
    ]
    return sum(np.count_nonzero(mask) for mask in matrices) / max(1, sum(mask.size for mask in matrices))


def _penalty_db(thresholds: Thresholds | None) -> float:
    """Mean strength of the penalties; 0 without any."""
    if thresholds is None or not thresholds.strength.size:
        return 0.0
    return float(thresholds.strength.mean())


def _descend(run: Run, task: Task, gradients: Mapping[str, FloatArray]) -> None:
    recipe = task.recipe
    rate = learning_rate(
        run.step,
        steps=recipe.steps,
        warmup_steps=recipe.warmup_steps,
        peak_rate=recipe.peak_rate,
        final_rate=recipe.final_rate,
    )
    for name, parameter in trained(run.params, ranges=task.learns_ranges).items():
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


def _keep_ranges(params: Params, observed: Mapping[str, float]) -> None:
    """Learned ranges begin with what the first batch showed where nothing was tracked, and stay positive."""
    for layer, largest in observed.items():
        before = float(params[layer][OBSERVED])
        if before == 0.0:
            params[layer][OBSERVED] = np.array(largest, np.float32)
        elif before < SMALLEST_RANGE:
            params[layer][OBSERVED] = np.array(SMALLEST_RANGE, np.float32)
