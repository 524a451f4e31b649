"""Optuna's distributions as genes: every parameter a number of choices, a design one index for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from math import log, prod
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from npuexplore.errors import UsageError

GRID = 1001
"""Values that stand for a range without steps."""

Genome = tuple[int, ...]


class Genes:
    """The genes of a search space, in the order of its names."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(space)
        self.choices = [choices_of(distribution) for distribution in space.values()]
        self.sizes = np.array([len(choices) for choices in self.choices], np.int64)

    @property
    def designs(self) -> int:
        """How many different designs there are."""
        return prod(map(int, self.sizes))

    def params(self, genome: Sequence[int]) -> dict[str, Any]:
        """The values that a genome stands for."""
        named = zip(self.distributions, self.choices, genome, strict=True)
        return {name: choices[int(gene)] for name, choices, gene in named}

    def genome(self, params: Mapping[str, Any]) -> Genome | None:
        """The genome nearest to some values; None where one is missing or outside."""
        genes = []
        for (name, distribution), choices in zip(self.distributions.items(), self.choices, strict=True):
            if name not in params:
                return None
            internal = _internal(distribution, params[name])
            if internal is None:
                return None
            categorical = isinstance(distribution, CategoricalDistribution)
            genes.append(int(internal) if categorical else nearest(choices, internal))
        return tuple(genes)


def _internal(distribution: BaseDistribution, value: Any) -> float | None:
    """Optuna's own number for a value; None where the distribution does not hold it."""
    try:
        internal = distribution.to_internal_repr(value)
    except ValueError:
        return None
    return internal if distribution._contains(internal) else None


def choices_of(distribution: BaseDistribution) -> Sequence[Any]:
    """Every value of a distribution, rising where it is a number; a grid where it has no steps.

    Raises UsageError for a kind of distribution that Optuna did not have in version 5.

    >>> list(choices_of(IntDistribution(2, 8, step=3)))
    [2, 5, 8]
    >>> choices_of(FloatDistribution(0.0, 0.5, step=0.25))
    (0.0, 0.25, 0.5)
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        if not distribution.log:
            return range(distribution.low, distribution.high + 1, distribution.step)
        grid = np.geomspace(distribution.low, distribution.high, GRID)
        return tuple(int(value) for value in np.unique(np.rint(grid)))
    if isinstance(distribution, FloatDistribution):
        return _float_grid(distribution)
    raise UsageError(f"EvolveSampler: a {type(distribution).__name__} is no choice, integer or float")


def _float_grid(distribution: FloatDistribution) -> tuple[float, ...]:
    low, high = distribution.low, distribution.high
    if distribution.step is not None:
        count = round((high - low) / distribution.step) + 1
        return tuple(min(low + index * distribution.step, high) for index in range(count))
    if distribution.log:
        grid = np.exp(np.linspace(log(low), log(high), GRID))
    else:
        grid = np.linspace(low, high, GRID)
    return tuple(float(value) for value in np.clip(grid, low, high))


def nearest(rising: Sequence[float], value: float) -> int:
    """Index of the nearest of rising values, the lower of two.

    >>> nearest((0.0, 1.0, 4.0), 2.6)
    2
    """
    above = bisect_left(rising, value)
    if above == 0 or (above < len(rising) and rising[above] - value < value - rising[above - 1]):
        return above
    return above - 1
