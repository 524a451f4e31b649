"""What each layer of a space may choose from, once each, and the way from design rows to these and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CHOICE_FIELDS, LayerPlan, plan_at
from npuexplore.search.space import Space, plans_from
from npuexplore.units import IntArray

Index = NDArray[np.intp]


@dataclass(frozen=True)
class LayerChoices:
    """The different plans that one layer may have."""

    plans: tuple[LayerPlan, ...]
    """(C,)"""
    own: Index
    """(O,) the space's parameters that hold for this layer."""
    sizes: tuple[int, ...]
    """(O,) choices of each."""
    choice_of: NDArray[np.int32]
    """(product of sizes,) the plan that each combination of their choices means."""

    def of_rows(self, rows: IntArray) -> IntArray:
        """(P,) plans of design rows (P, K)."""
        if not self.own.size:
            return np.zeros(len(rows), np.int32)
        return np.asarray(self.choice_of[np.ravel_multi_index(tuple(rows[:, self.own].T), self.sizes)])


def layer_choices(space: Space) -> tuple[LayerChoices, ...]:
    """The choices of every layer of a space's network; a fixed layer has one."""
    return tuple(_choices_of(space, layer) for layer in range(len(space.network.layers)))


def _choices_of(space: Space, layer: int) -> LayerChoices:
    own = np.array([i for i, each in enumerate(space.parameters) if layer in each.columns], np.intp)
    sizes = tuple(len(space.parameters[i].choices) for i in own)
    combinations = _combinations(sizes)
    rows = np.zeros((len(combinations), len(space.parameters)), np.int64)
    rows[:, own] = combinations
    plans = plans_from(space, rows)
    fields = (*CHOICE_FIELDS, "activation_bits")
    columns = np.stack([np.asarray(getattr(plans, name)[:, layer], np.float64) for name in fields], axis=1)
    _, first, choice_of = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    name = space.network.layers[layer].name
    found = tuple(plan_at(plans, int(index), space.network).of(name) for index in first)
    return LayerChoices(found, own, sizes, choice_of.reshape(-1).astype(np.int32))


def _combinations(sizes: tuple[int, ...]) -> IntArray:
    """(product, O) of every choice with every other, in order."""
    return np.indices(sizes).reshape(len(sizes), -1).T if sizes else np.zeros((1, 0), np.int64)


@dataclass(frozen=True)
class Case:
    """A part of a space in which every layer chooses for itself: what layers share is fixed."""

    shared: tuple[tuple[int, int], ...]
    """(parameter, choice) of every parameter that holds for several layers."""
    allowed: tuple[Index, ...]
    """(L,) choices that each layer still has."""
    combination: tuple[Index, ...]
    """(L,) for each of these, one combination of the layer's parameters that means it."""


def cases_of(space: Space, layers: tuple[LayerChoices, ...]) -> Iterator[Case]:
    """Every case of a space; one where no two layers share a parameter."""
    shared = [i for i, each in enumerate(space.parameters) if len(each.columns) > 1]
    for picked in product(*(range(len(space.parameters[i].choices)) for i in shared)):
        fixed = tuple(zip(shared, picked, strict=True))
        own = [_left(layer, dict(fixed)) for layer in layers]
        yield Case(fixed, tuple(choices for choices, _ in own), tuple(at for _, at in own))


def case_count(space: Space) -> int:
    """How many cases a space has."""
    count = 1
    for parameter in space.parameters:
        count *= len(parameter.choices) if len(parameter.columns) > 1 else 1
    return count


def _left(layer: LayerChoices, fixed: dict[int, int]) -> tuple[Index, Index]:
    every = _combinations(layer.sizes)
    stays = np.ones(len(every), bool)
    for column, parameter in enumerate(layer.own.tolist()):
        if parameter in fixed:
            stays &= every[:, column] == fixed[parameter]
    at = np.flatnonzero(stays)
    choices, first = np.unique(layer.choice_of[at], return_index=True)
    return choices.astype(np.intp), at[first]


def rows_of(
    space: Space, layers: tuple[LayerChoices, ...], case: Case, picked: IntArray, rates: IntArray
) -> IntArray:
    """(P, K) design rows of P picks among a case's choices (P, L) and rates of skipped frames (P,)."""
    rows = np.zeros((len(picked), len(space.parameters)), np.int64)
    for layer, combination, column in zip(layers, case.combination, picked.T, strict=True):
        if layer.own.size:
            rows[:, layer.own] = np.stack(np.unravel_index(combination[column], layer.sizes), axis=1)
    rows[:, rate_column(space)] = rates
    return rows


def rate_column(space: Space) -> int:
    """The parameter that is the share of skipped frames."""
    return next(i for i, each in enumerate(space.parameters) if each.kind == "skip_rate_frac")
