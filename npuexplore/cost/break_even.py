"""Weight, block or unit on one part: what each structure costs at equal zeros, and where it begins to pay.

Zeros are counted alike for all structures: weights that are zero or gone, over the dense network's weights.
A network is pruned by one and the same amount in all its layers; a layer is pruned alone, all others dense.
Cycles are those of the network's layers: the front end, which no structure touches, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.matrix_plan import TWO_FOUR_SPARSITY_FRAC, BlockShape
from npuexplore.compression.plan import (
    STRUCTURES,
    PlanBatch,
    Structure,
    unit_keepers,
)
from npuexplore.compression.shapes import plan_shapes
from npuexplore.cost.layers import layer_figures
from npuexplore.cost.part import Part
from npuexplore.cost.supported import refuse_unsupported
from npuexplore.hardware.engines import block_granules, skips_two_four
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.units import ceil_div, cycles_to_ms
from npuexplore.workload.counts import Counts

ZEROS_GRID = (0.25, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Shares of zeros at which structures are put side by side."""
COARSE_STEPS = 2_048
"""Amounts looked at first; the exact one is then found among those between two of them."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """One structure that a part can use."""

    structure: Structure
    block: BlockShape | None = None

    @property
    def label(self) -> str:
        """`block 1x16`, `weight`, `2:4`."""
        if self.block is not None:
            return f"block {self.block[0]}x{self.block[1]}"
        return "2:4" if self.structure == "two_four" else self.structure


@dataclass(frozen=True)
class Scope:
    """A network pruned throughout (`layer` is None) or in one layer, at fixed bit-widths."""

    part: Part
    weight_bits: int
    activation_bits: int
    layer: int | None = None

    @property
    def columns(self) -> list[int]:
        """Layers that are pruned, and whose figures count."""
        return list(range(len(self.part.network.layers))) if self.layer is None else [self.layer]


@dataclass(frozen=True)
class Figures:
    """What N plans come to within a scope; every array is (N,)."""

    zeros_frac: Floats
    cycles: Counts
    weight_bytes: Counts


@dataclass(frozen=True)
class Point:
    """A structure at one share of zeros, against dense."""

    wanted_zeros_frac: float
    zeros_frac: float
    """The nearest that the structure can have."""
    sparsity_frac: float
    """The plan's amount: the share of units removed for unit, else the share of zeros."""
    cycles: int
    latency_ms: float
    weight_bytes: int
    speed_up: float
    """Dense cycles / cycles."""
    size_ratio: float
    """Weight bytes / dense weight bytes."""


@dataclass(frozen=True)
class Curve:
    """A structure within a scope."""

    candidate: Candidate
    points: tuple[Point, ...]
    faster_from_zeros_frac: float | None
    """Fewest zeros at which cycles are below dense; None where they never are."""
    smaller_from_zeros_frac: float | None
    """Fewest zeros at which weight bytes are below dense; None where they never are."""


@dataclass(frozen=True)
class Comparison:
    """All structures within a scope, and the dense network (or layer) that they are held against."""

    dense_cycles: int
    dense_latency_ms: float
    dense_weight_bytes: int
    curves: tuple[Curve, ...]


def candidates(profile: HardwareProfile) -> list[Candidate]:
    """Structures that a part can use: single weights, blocks that suit it, units, 2:4 where it skips that."""
    blocks = [Candidate("block", block) for block in block_granules(profile.engine)]
    two_four = [Candidate("two_four")] if skips_two_four(profile.engine) else []
    return [Candidate("weight"), *blocks, Candidate("unit"), *two_four]


def compare(scope: Scope) -> Comparison:
    """Every structure at every share of zeros of the grid, and where it begins to pay.

    Raises BadInput for bit-widths or a network that the part does not run.
    """
    dense_plan = _plans(scope, Candidate("dense"), np.zeros(1))
    refuse_unsupported(scope.part.profile, scope.part.network, dense_plan)
    dense = _figures(scope, dense_plan)
    found = [each for each in candidates(scope.part.profile) if _prunable(scope, each)]
    return Comparison(
        dense_cycles=int(dense.cycles[0]),
        dense_latency_ms=_latency_ms(scope, int(dense.cycles[0])),
        dense_weight_bytes=int(dense.weight_bytes[0]),
        curves=tuple(_curve(scope, candidate, dense) for candidate in found),
    )


def _curve(scope: Scope, candidate: Candidate, dense: Figures) -> Curve:
    steps = _steps(scope, candidate)

    def at(amounts: Floats) -> Figures:
        return _figures(scope, _plans(scope, candidate, amounts))

    def first_below(values: Callable[[Figures], Counts]) -> float | None:
        limit = values(dense)[0]
        step = first_step(lambda found: values(at(steps[found])) < limit, steps.size)
        return None if step is None else float(at(steps[step : step + 1]).zeros_frac[0])

    return Curve(
        candidate=candidate,
        points=tuple(_points(scope, candidate, dense, steps)),
        faster_from_zeros_frac=first_below(lambda figures: figures.cycles),
        smaller_from_zeros_frac=first_below(lambda figures: figures.weight_bytes),
    )


def first_step(pays: Callable[[NDArray[np.intp]], NDArray[np.bool_]], count: int) -> int | None:
    """The first of `count` steps that pays, or None; what pays is taken to go on paying for a while.

    >>> first_step(lambda steps: steps >= 70_001, 100_000)
    70001
    """
    coarse = np.unique(np.linspace(0, count - 1, min(count, COARSE_STEPS)).astype(np.intp))
    paying = np.flatnonzero(pays(coarse))
    if paying.size == 0:
        return None
    last = int(coarse[paying[0]])
    start = int(coarse[paying[0] - 1]) + 1 if paying[0] else 0
    between = np.arange(start, last + 1, dtype=np.intp)
    return int(between[np.flatnonzero(pays(between))[0]])


def _points(scope: Scope, candidate: Candidate, dense: Figures, steps: Floats) -> Iterator[Point]:
    """The nearest that the structure comes to every share of zeros of the grid."""
    reached = steps
    if steps.size <= COARSE_STEPS:
        reached = _figures(scope, _plans(scope, candidate, steps)).zeros_frac
    wanted = np.array([TWO_FOUR_SPARSITY_FRAC] if candidate.structure == "two_four" else ZEROS_GRID)
    amounts = steps[np.abs(reached[None, :] - wanted[:, None]).argmin(axis=1)]
    figures = _figures(scope, _plans(scope, candidate, amounts))
    for index, target in enumerate(wanted):
        cycles, size = int(figures.cycles[index]), int(figures.weight_bytes[index])
        yield Point(
            wanted_zeros_frac=float(target),
            zeros_frac=float(figures.zeros_frac[index]),
            sparsity_frac=float(amounts[index]),
            cycles=cycles,
            latency_ms=_latency_ms(scope, cycles),
            weight_bytes=size,
            speed_up=float(dense.cycles[0]) / cycles,
            size_ratio=size / float(dense.weight_bytes[0]),
        )


def _steps(scope: Scope, candidate: Candidate) -> Floats:
    """Every amount that prunes the scope differently, rising: of a network, those of its largest layer."""
    tables = scope.part.tables
    channels = tables.units // tables.positions
    if candidate.structure == "two_four":
        return np.array([TWO_FOUR_SPARSITY_FRAC])
    if candidate.structure == "unit":
        whole = unit_keepers(scope.part.network)
        free = [c for c in scope.columns if scope.part.network.layers[c].name not in whole]
        amounts = [np.arange(1, channels[column]) / channels[column] for column in free]
        return np.unique(np.concatenate(amounts))
    rows, columns = candidate.block or (1, 1)
    shapes = plan_shapes(tables, _plans(scope, Candidate("dense"), np.zeros(1)))
    of_matrices = tables.matrix_gates * ceil_div(shapes.rows[0], rows) * ceil_div(shapes.columns[0], columns)
    groups = max(int(of_matrices[tables.matrix_layer == column].sum()) for column in scope.columns)
    return np.asarray(np.arange(1, groups) / groups)


def _prunable(scope: Scope, candidate: Candidate) -> bool:
    """Whether the scope can have the structure at all, and has more than one group of it."""
    if candidate.structure == "unit":
        whole, layers = unit_keepers(scope.part.network), scope.part.network.layers
        counts = scope.part.tables.units // scope.part.tables.positions
        return any(layers[column].name not in whole and counts[column] > 1 for column in scope.columns)
    return _steps(scope, candidate).size > 0


def _plans(scope: Scope, candidate: Candidate, amounts: Floats) -> PlanBatch:
    """One plan per amount; layers outside the scope, and those that must keep their units, stay dense."""
    network = scope.part.network
    shape = (amounts.size, len(network.layers))
    whole = unit_keepers(network) if candidate.structure == "unit" else {}
    pruned = [column for column in scope.columns if network.layers[column].name not in whole]
    rows, columns = candidate.block or (1, 1)
    plans = PlanBatch(
        structure=np.zeros(shape, np.int8),
        sparsity_frac=np.zeros(shape),
        block_rows=np.ones(shape, np.int64),
        block_columns=np.ones(shape, np.int64),
        weight_bits=np.full(shape, scope.weight_bits, np.int64),
        activation_bits=np.full(shape, scope.activation_bits, np.int64),
        skip_rate_frac=np.zeros(amounts.size),
    )
    plans.structure[:, pruned] = STRUCTURES.index(candidate.structure)
    plans.sparsity_frac[:, pruned] = amounts[:, None]
    plans.block_rows[:, pruned], plans.block_columns[:, pruned] = rows, columns
    return plans


def _figures(scope: Scope, plans: PlanBatch) -> Figures:
    part, columns = scope.part, scope.columns
    shapes = plan_shapes(part.tables, plans)
    figures = layer_figures(part, shapes)
    dense_weights = (part.tables.dense_macs // part.tables.positions)[columns].sum()
    return Figures(
        zeros_frac=1.0 - shapes.kept_weights[:, columns].sum(axis=1) / dense_weights,
        cycles=figures.cycles[:, columns].sum(axis=1),
        weight_bytes=figures.weight_bytes[:, columns].sum(axis=1),
    )


def _latency_ms(scope: Scope, cycles: int) -> float:
    return float(cycles_to_ms(cycles, clock_hz=scope.part.profile.clock_hz))


def scopes(part: Part, *, weight_bits: int, activation_bits: int) -> Sequence[Scope]:
    """The whole network, then each of its layers."""
    layers: list[int | None] = [None, *range(len(part.network.layers))]
    return [Scope(part, weight_bits, activation_bits, layer) for layer in layers]
