"""The schedule of pruning: when masks are chosen anew, and how sparse they are to be by then."""

from __future__ import annotations

import math

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
    return 1.0 - (1.0 - min(1.0, (step + 1) / pruning_steps(steps))) ** 3


def last_choice(steps: int) -> int:
    """The step at which masks are chosen for the last time.

    >>> last_choice(10)
    5
    """
    return pruning_steps(steps) - 1


def masks_are_due(step: int, steps: int) -> bool:
    """Whether gradual pruning chooses its masks anew at a step."""
    last = last_choice(steps)
    apart = min(MOST_STEPS_APART, max(1, steps // REFRESHES))
    return step == last or (step < last and step % apart == 0)


def pruning_steps(steps: int) -> int:
    """Steps in which masks move."""
    return max(1, math.ceil(PRUNING_FRAC * steps))
