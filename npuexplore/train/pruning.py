"""Gradual magnitude pruning: when masks are chosen anew, and how sparse they are by then."""

from __future__ import annotations

import math

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Masks, Params, layer_masks
from npuexplore.train.model import Treatment
from npuexplore.workload.network import Network

PRUNING_FRAC = 0.6
"""Share of the steps in which the masks move towards the plan's sparsity; then they stay."""
REFRESHES = 64
"""About how often a run chooses its masks anew, but at least every MOST_STEPS_APART steps."""
MOST_STEPS_APART = 16


def pruning_ramp(step: int, steps: int) -> float:
    """Share of the plan's sparsity to have at a step: cubic (Zhu 2017, eq. 1), 1 for the last 40 %.

    >>> pruning_ramp(0, 10) < 0.5, pruning_ramp(5, 10), pruning_ramp(9, 10)
    (True, 1.0, 1.0)
    """
    return 1.0 - (1.0 - min(1.0, (step + 1) / _pruning_steps(steps))) ** 3


def treatment_at(
    step: int,
    steps: int,
    *,
    params: Params,
    masks: Masks | None,
    network: Network,
    plan: CompressionPlan,
) -> Treatment:
    """What compression does at a step: masks chosen from `params` when they are due, else `masks`."""
    last = _pruning_steps(steps) - 1
    apart = min(MOST_STEPS_APART, max(1, steps // REFRESHES))
    if masks is None or step == last or (step < last and step % apart == 0):
        masks = layer_masks(params, plan, network, ramp_frac=pruning_ramp(step, steps))
    return Treatment(plan, masks, frozen=step >= last)


def _pruning_steps(steps: int) -> int:
    return max(1, math.ceil(PRUNING_FRAC * steps))
