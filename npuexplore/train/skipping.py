"""Skipped frames in training: whose state decides, and a penalty steered to the plan's rate.

The first recurrent layer decides one frame ahead, from its own state; in a skipped frame every recurrent
layer holds its state, so that the mask is the last one and no layer needs to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Params
from npuexplore.errors import BadInput
from npuexplore.train.params import GATE_BIAS, GATE_WEIGHTS, copy_params
from npuexplore.units import FloatArray, ceil_div
from npuexplore.workload.network import DenseLayer, Network, is_recurrent, unit_count

INTEGRAL_DB = 0.1
"""By how many dB per unit of the rate the penalty grows in a step in which the rate is too low by 1."""
PROPORTIONAL_DB = 8.0
"""Penalty in dB per unit of the rate while it is too low by 1: damps the integral."""
RATE_MEMORY = 0.95
"""How slowly the reported rate follows the batches."""
RATE_SLACK_FRAC = 0.02
"""By how much a rate may be below the plan's and still count as reached."""
SHARES = 10_000
"""Rates are told apart in steps of one part in so many."""


@dataclass
class SkipControl:
    """The penalty on updates, steered as a run goes on."""

    integral_db: float = 0.0
    excess_frac: float = 0.0
    """Share of the last batch's frames that were updated above the target."""
    rate_frac: float = 0.0
    """Share of frames skipped of late."""

    @property
    def price_db(self) -> float:
        """What updating all frames rather than none is to cost."""
        return self.integral_db + PROPORTIONAL_DB * self.excess_frac

    def steer(self, skipped_frac: float, target_frac: float) -> None:
        """Take note of a batch of which `skipped_frac` was skipped.

        Everything is rounded to what a saved state holds, so that a continued run is the same one.
        """
        self.excess_frac = float(np.float32(target_frac - skipped_frac))
        self.integral_db = float(np.float32(self.integral_db + INTEGRAL_DB * self.excess_frac))
        rate_frac = RATE_MEMORY * self.rate_frac + (1.0 - RATE_MEMORY) * skipped_frac
        self.rate_frac = float(np.float32(rate_frac))

    def has_reached(self, target_frac: float) -> bool:
        """Whether so many frames have been skipped of late as are to be.

        >>> SkipControl(rate_frac=0.39).has_reached(0.4), SkipControl(rate_frac=0.3).has_reached(0.4)
        (True, False)
        """
        return self.rate_frac >= target_frac - RATE_SLACK_FRAC


def evenly_updated(frames: int, skip_rate_frac: float) -> NDArray[np.bool_]:
    """(frames,) which of them update the state when `skip_rate_frac` of them, evenly spread, do not.

    The first one does, as nothing could be held there.

    >>> evenly_updated(10, 0.4).astype(int)
    array([1, 1, 0, 1, 0, 1, 1, 0, 1, 0])
    """
    kept = SHARES - round(skip_rate_frac * SHARES)
    made = ceil_div(kept * np.arange(frames + 1, dtype=np.int64), SHARES)
    return np.asarray(np.diff(made) > 0)


def gate_layer(network: Network) -> str | None:
    """The layer whose state decides about skipping: the first recurrent one."""
    return next((layer.name for layer in network.layers if is_recurrent(layer)), None)


def is_gated(params: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the network skips frames."""
    return any(GATE_WEIGHTS in entry for entry in params.values())


def refuse_unskippable(plan: CompressionPlan, network: Network) -> None:
    """Raise BadInput for a plan that skips in a network that keeps no state."""
    if plan.skip_rate_frac > 0 and gate_layer(network) is None:
        raise BadInput(
            f"plan: skip_rate_frac: got {plan.skip_rate_frac}; network {network.name} has no lstm or gru "
            "layer whose state could be held; leave it out"
        )


def gated(params: Mapping[str, Mapping[str, FloatArray]], network: Network, plan: CompressionPlan) -> Params:
    """A copy of `params` with a gate where the plan skips, without one where it does not.

    A new gate's weights are drawn so that frames differ, and its bias so that about every tenth is skipped.
    """
    copied, name = copy_params(params), gate_layer(network)
    if plan.skip_rate_frac == 0 or name is None:
        for entry in copied.values():
            entry.pop(GATE_WEIGHTS, None)
            entry.pop(GATE_BIAS, None)
        return copied
    layer = next(layer for layer in network.layers if layer.name == name)
    assert not isinstance(layer, DenseLayer)
    if GATE_WEIGHTS not in copied[name]:
        units = unit_count(layer)
        drawn = np.random.default_rng(units).standard_normal(units)
        copied[name][GATE_WEIGHTS] = (2.0 / np.sqrt(units) * drawn).astype(np.float32)
        copied[name][GATE_BIAS] = np.ones((), np.float32)
    return copied
