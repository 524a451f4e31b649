"""The best network of a run, by validation; and what a run says when it cannot go on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from npuexplore.compression.sparsity import Params
from npuexplore.errors import NpuexploreError
from npuexplore.train.params import copy_params

SILENCE_DB = 0.0
"""Loss of a network that lets nothing through."""
GOOD_DB = -1.0
"""A network that was at least so good, and then is no better than silence, has diverged."""


@dataclass(frozen=True)
class Best:
    """A network as it would be handed out, and its loss on what it did not learn from."""

    params: Params
    step: int
    loss_db: float

    @staticmethod
    def of(params: Params, validation: Any) -> Best | None:
        """The best network of a saved run; validation : (V, 2) step and loss in dB."""
        if not params or not len(validation):
            return None
        row = validation[validation[:, 1].argmin()]
        return Best(copy_params(params), int(row[0]), float(row[1]))


class Diverged(NpuexploreError):
    """A run that cannot go on; it brings the best network that it had."""

    def __init__(self, sentence: str, best: Best | None) -> None:
        super().__init__(sentence)
        self.best = best


def has_diverged(loss_db: float, best: Best | None) -> bool:
    """Whether a validation says that it is of no use to go on.

    >>> good = Best({}, 100, -5.0)
    >>> has_diverged(-4.0, good), has_diverged(0.5, good), has_diverged(0.5, None)
    (False, True, False)
    """
    if not math.isfinite(loss_db):
        return True
    return best is not None and best.loss_db <= GOOD_DB and loss_db >= SILENCE_DB


def validations_since_best(validation: Sequence[tuple[int, float]]) -> int:
    """How many validations in a row found nothing better.

    >>> validations_since_best([(100, -5.0), (200, -6.0), (300, -5.5)])
    1
    """
    if not validation:
        return 0
    losses = [loss for _, loss in validation]
    return len(losses) - 1 - losses.index(min(losses))
