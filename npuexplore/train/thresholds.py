"""Learned thresholds: a group stays while its size is above the threshold of its set.

The step [size > threshold] has no slope, so a threshold learns as if the step were a sigmoid: it feels the
loss, and a penalty on what is kept whose strength is steered until the budget is met. Sets of one budget
share the strength, so that what may be kept goes where the loss needs it most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import MATRIX_KEYS, CompressionPlan, LayerPlan
from npuexplore.compression.sparsity import (
    BoolArray,
    Choose,
    Masks,
    choose_largest,
    kept_columns,
    kept_outputs_of,
    layer_masks,
)
from npuexplore.train.group_sets import Arrays, GroupSet, SetName, group_sets, set_names
from npuexplore.train.recipe import Budget
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network, positions_of

TRAVEL = 12.0
"""How far thresholds can move while masks change, in deviations of their groups' sizes."""
WIDTH = 0.2
"""Scale of the sigmoid that stands for the step, in deviations."""
LOWEST = -3.0
"""Thresholds start at the smallest group, or here, in deviations from the mean."""
TOLERANCE_FRAC = 0.01
"""Excess of what is kept, in shares of a budget's weights, at which the penalty pulls as hard as the loss."""
INTEGRAL_GAIN, INTEGRAL_LIMIT = 0.05, 20.0
MEAN_MEMORY, SQUARE_MEMORY, PRICE_MEMORY = 0.5, 0.9, 0.9
SMALLEST = 1e-30
FAR = 30.0
"""Scales of the sigmoid beyond which its slope is taken to stay as it is: subnormal numbers are slow."""
HALVINGS = 40


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of S sets and what steers them by N budgets: float32, a part of a run's state."""

    centre: FloatArray
    """(S,) mean size of a set's groups when training began."""
    deviation: FloatArray
    """(S,) their deviation then."""
    theta: FloatArray
    """(S,) the thresholds, in deviations from the mean."""
    mean: FloatArray
    """(S,) Adam's first moment of the slopes in theta."""
    square: FloatArray
    """(S,) Adam's second moment."""
    integral: FloatArray
    """(N,) excess summed over the steps, in tolerances."""
    price: FloatArray
    """(N,) dB that the loss pays for a share of 1 of the budget's weights."""
    strength: FloatArray
    """(N,) dB that the penalty asks for it."""

    @property
    def values(self) -> FloatArray:
        """(S,) the thresholds, in units of the groups' sizes."""
        return self.centre + self.theta * self.deviation


@dataclass(frozen=True)
class Learning:
    """What thresholds are learned for; the same at every step."""

    plan: CompressionPlan
    network: Network
    names: tuple[SetName, ...]
    budgets: NDArray[np.int64]
    """(S,) budget of each set."""
    targets: NDArray[np.float64]
    """(N,) share of each budget's weights that stays in the end."""
    budget: Budget


def learning_of(plan: CompressionPlan, network: Network, params: Arrays, *, budget: Budget) -> Learning:
    """What a plan asks of thresholds: a budget for sets of a layer that are pruned alike, or one for all."""
    names = tuple(set_names(plan, network, params))
    if budget == "network":
        targets = [_kept_frac(layer_masks(params, plan, network), network)] if names else []
        return Learning(plan, network, names, np.zeros(len(names), np.int64), np.array(targets), budget)
    together = list(dict.fromkeys((name.layer, name.zeros) for name in names))
    owners = np.array([together.index((name.layer, name.zeros)) for name in names], np.int64)
    targets = [1.0 - zeros[1] for _, zeros in together]
    return Learning(plan, network, names, owners, np.array(targets), budget)


def start_thresholds(learning: Learning, params: Arrays) -> Thresholds:
    """Thresholds below (nearly) every group."""
    sizes = [each.sizes for each in group_sets(params, learning.plan, learning.network)]
    centre = np.array([size.mean() for size in sizes], np.float32)
    spread = np.array([size.std() for size in sizes], np.float32)
    deviation = np.maximum(spread, 1e-3 * centre + np.float32(SMALLEST))
    lowest = np.array([size.min() for size in sizes], np.float32)
    theta = np.maximum((lowest - centre) / deviation, np.float32(LOWEST))
    sets, budgets = (np.zeros(count, np.float32) for count in (len(sizes), learning.targets.size))
    return Thresholds(centre, deviation, theta, sets, sets, budgets, budgets, budgets)


def learning_rate_of(steps: int) -> float:
    """Largest move of a theta per step, when masks move for `steps` steps.

    >>> learning_rate_of(600)
    0.02
    """
    return TRAVEL / steps


def threshold_masks(
    thresholds: Thresholds, learning: Learning, params: Arrays, *, ramp_frac: float = 1.0
) -> Masks:
    """What lies above its threshold; the largest group of a set always stays. Two of four: `ramp_frac`."""
    values = dict(zip(_keys(learning), thresholds.values, strict=True))

    def above(
        layer: str, sizes: Mapping[str, FloatArray], _: NDArray[np.int64] | None, sparsity_frac: float
    ) -> dict[str, BoolArray]:
        if sparsity_frac == 0.0:
            return {name: np.ones(size.shape, bool) for name, size in sizes.items()}
        return {name: _above(size, values[layer, name]) for name, size in sizes.items()}

    return _masks(learning, params, above, ramp_frac)


def landed(thresholds: Thresholds, learning: Learning, params: Arrays) -> tuple[Thresholds, Masks]:
    """Masks that meet the budgets as nearly as groups allow: thresholds of a budget move by one shift."""
    if not learning.names:
        return thresholds, layer_masks(params, learning.plan, learning.network)
    if learning.budget == "network":
        shifted = _shifted_to_target(thresholds, learning, params)
        return shifted, threshold_masks(shifted, learning, params)
    places = {key: place for place, key in enumerate(_keys(learning))}

    def ranked(
        layer: str, sizes: Mapping[str, FloatArray], elems: NDArray[np.int64] | None, sparsity_frac: float
    ) -> dict[str, BoolArray]:
        if sparsity_frac == 0.0:
            return choose_largest(layer, sizes, elems, sparsity_frac)
        heights = {}
        for name, size in sizes.items():
            place = places[layer, name]
            heights[name] = (size - thresholds.centre[place]) / thresholds.deviation[place]
            heights[name] -= thresholds.theta[place]
        return choose_largest(layer, heights, elems, sparsity_frac)

    return thresholds, _masks(learning, params, ranked, 1.0)


def learned(
    thresholds: Thresholds,
    learning: Learning,
    *,
    params: Arrays,
    gradients: Mapping[str, FloatArray],
    masks: Masks,
    ramp_frac: float,
    rate: float,
) -> Thresholds:
    """Thresholds after a step: down where the loss pulls harder than the penalty, up elsewhere.

    gradients : of the loss in the weights as if none were pruned ; ramp_frac : share of the way from
    keeping everything to the targets at which what is kept ought to be ; rate : largest move of theta.
    """
    if not learning.names:
        return thresholds
    pulls, shares, kept = _slopes(thresholds, learning, params, gradients, masks)
    excess = kept - (1.0 - ramp_frac * (1.0 - learning.targets))
    errors = excess / TOLERANCE_FRAC
    price, integral, strength = _steered(thresholds, learning, pulls, shares, errors)
    slopes = pulls - strength[learning.budgets] * shares
    mean = MEAN_MEMORY * thresholds.mean + (1.0 - MEAN_MEMORY) * slopes
    square = SQUARE_MEMORY * thresholds.square + (1.0 - SQUARE_MEMORY) * slopes**2
    theta = thresholds.theta - rate * mean / (np.sqrt(square) + SMALLEST)
    moved = {"theta": theta, "mean": mean, "square": square}
    steered = {"integral": integral, "price": price, "strength": strength}
    return replace(
        thresholds, **{name: np.asarray(array, np.float32) for name, array in (moved | steered).items()}
    )


def _steered(
    thresholds: Thresholds,
    learning: Learning,
    pulls: NDArray[np.float64],
    shares: NDArray[np.float64],
    errors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(N,) price, integral and strength of every budget after a step with `errors`, in tolerances."""
    count = learning.targets.size
    shared = np.maximum(np.bincount(learning.budgets, shares, count), SMALLEST)
    paid = np.bincount(learning.budgets, np.abs(pulls), count) / shared
    price = PRICE_MEMORY * thresholds.price + (1.0 - PRICE_MEMORY) * paid
    price = np.where(thresholds.price == 0.0, paid, price)
    integral = np.clip(thresholds.integral + INTEGRAL_GAIN * errors, -INTEGRAL_LIMIT, INTEGRAL_LIMIT)
    return price, integral, price * (errors + integral)


def _slopes(
    thresholds: Thresholds,
    learning: Learning,
    params: Arrays,
    gradients: Mapping[str, FloatArray],
    masks: Masks,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(S,) slope of the loss in theta, (S,) that of what is kept with its sign turned, (N,) share kept."""
    sets = group_sets(params, learning.plan, learning.network, masks=masks, gradients=gradients)
    rows = [
        threshold_slopes(each, float(value), float(deviation))
        for each, value, deviation in zip(sets, thresholds.values, thresholds.deviation, strict=True)
    ]
    pulls, shares, kept, totals = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    if learning.budget == "network":
        total = sum(
            entry.size for layer in masks.values() for name, entry in layer.items() if _is_matrix(name)
        )
        return pulls, shares / total, np.array([_kept_frac(masks, learning.network)])
    count = learning.targets.size
    whole = np.bincount(learning.budgets, totals, count)
    return pulls, shares / whole[learning.budgets], np.bincount(learning.budgets, kept, count) / whole


def threshold_slopes(each: GroupSet, threshold: float, deviation: float) -> tuple[float, float, float, float]:
    """Of one set: slope of the loss in theta, that of the kept weights with its sign turned; kept, total.

    The step [size > threshold] counts as sigmoid((size - threshold) / (WIDTH * deviation)).
    """
    heights = each.sizes - np.float32(threshold)
    kept = heights > 0.0
    heights *= np.float32(1.0 / (WIDTH * deviation))
    np.abs(heights, out=heights)
    fallen = np.exp(-np.minimum(heights, FAR, out=heights))
    bell = fallen / np.square(1.0 + fallen)
    scale = 1.0 / WIDTH
    pull = -scale * float(np.vdot(bell, each.pull))
    if np.ndim(each.elems) == 0:
        elems = float(each.elems)
        return pull, scale * elems * float(bell.sum()), elems * float(kept.sum()), elems * kept.size
    share = scale * float((bell * each.elems).sum())
    return pull, share, float((kept * each.elems).sum()), float(each.elems.sum())


def achieved_plan(plan: CompressionPlan, network: Network, masks: Masks) -> CompressionPlan:
    """The plan with the sparsity that masks really leave, where it prunes groups by their size."""
    layers = dict(plan.layers)
    kept_inputs = np.ones(network.bands, bool)
    for layer in network.layers:
        choice, kept = plan.of(layer.name), kept_outputs_of(masks, layer)
        columns = kept_columns(layer, kept_inputs)
        if choice.structure == "unit" and choice.sparsity_frac > 0.0:
            layers[layer.name] = choice.model_copy(update={"sparsity_frac": 1.0 - kept.mean()})
        elif layer.name in plan.layers:
            layers[layer.name] = _achieved_layer(choice, masks[layer.name], columns)
        kept_inputs = np.tile(kept, positions_of(layer))
    return plan.model_copy(update={"layers": layers})


def _achieved_layer(choice: LayerPlan, masks: Mapping[str, BoolArray], columns: BoolArray) -> LayerPlan:
    """The layer's choice with the zeros of each of its matrices."""
    left = {name: m if name == "w_hh" else m[:, columns] for name, m in masks.items() if _is_matrix(name)}
    zeros = {name: 1.0 - float(mask.mean()) for name, mask in left.items()}
    sizes = {name: mask.size for name, mask in left.items()}
    together = sum(zeros[name] * sizes[name] for name in zeros) / sum(sizes.values())
    document = choice.model_dump(mode="json")
    if choice.structure in ("weight", "block") and choice.sparsity_frac > 0.0:
        document["sparsity_frac"] = together
    for name, key in MATRIX_KEYS.items():
        own = choice.of_matrix(name)
        if name in zeros and own.structure in ("weight", "block") and own.sparsity_frac > 0.0:
            document[key] = {**(document.get(key) or {}), "sparsity_frac": zeros[name]}
    return LayerPlan.model_validate(document)


def _shifted_to_target(thresholds: Thresholds, learning: Learning, params: Arrays) -> Thresholds:
    """All thetas moved by the one shift at which the network keeps nearest its target."""
    below, above = -2.0 * TRAVEL, 2.0 * TRAVEL
    best, distance = thresholds, np.inf
    for _ in range(HALVINGS):
        shift = 0.5 * (below + above)
        tried = replace(thresholds, theta=(thresholds.theta + shift).astype(np.float32))
        kept_frac = _kept_frac(threshold_masks(tried, learning, params), learning.network)
        miss = kept_frac - float(learning.targets[0])
        if abs(miss) < distance:
            best, distance = tried, abs(miss)
        below, above = (shift, above) if miss > 0 else (below, shift)
    return best


def _masks(learning: Learning, params: Arrays, choose: Choose, ramp_frac: float) -> Masks:
    return layer_masks(params, learning.plan, learning.network, ramp_frac=ramp_frac, choose=choose)


def _keys(learning: Learning) -> Sequence[tuple[str, str]]:
    return [(name.layer, name.matrix) for name in learning.names]


def _above(sizes: FloatArray, threshold: Any) -> BoolArray:
    kept: BoolArray = np.asarray(sizes > threshold)
    if not kept.any():
        kept.reshape(-1)[int(sizes.argmax())] = True
    return kept


def _is_matrix(name: str) -> bool:
    return name.startswith("w")


def _kept_frac(masks: Masks, network: Network) -> float:
    """Share of all weights of the network that masks leave."""
    matrices = [
        masks[layer.name][name] for layer in network.layers for name in masks[layer.name] if _is_matrix(name)
    ]
    return sum(int(mask.sum()) for mask in matrices) / sum(mask.size for mask in matrices)
