"""What the layers of P plans take: the engine's costs, and the bytes and energy that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.energy import network_energy_uj, unknown_energy_keys
from npuexplore.cost.engines import layer_costs_of
from npuexplore.cost.footprint import always_bytes, flash_bytes, own_bytes
from npuexplore.cost.part import Part
from npuexplore.cost.states import States, distinct_states, joined, merged, spread
from npuexplore.workload.counts import Counts

COSTED_PLANS = 16_384
"""Plans costed at once; their arrays stay in the cache."""


@dataclass(frozen=True)
class LayerFigures:
    """What a search or an estimate needs of the layers of P plans; every array is (P, L)."""

    kept_macs: Counts
    compute_cycles: Counts
    cycles: Counts
    weight_bytes: Counts
    bound_by: NDArray[np.int8]
    """Index into `Part.bound_names`."""
    weight_format: NDArray[np.int8]
    """Index into `formats`."""
    memory_cycles: Mapping[str, Counts]
    flash_bytes: Counts
    """Weights, biases and scales."""
    always_bytes: Counts
    """Of the activations' memory, all the time."""
    own_bytes: Counts
    """Of the activations' memory while the layer runs."""
    energy_uj: NDArray[np.float64] | None
    """Of one run; None where the profile does not source it."""
    formats: tuple[str, ...]
    edges_in_own: bool
    """Whether `own_bytes` holds the layer's input and output too."""


def layer_figures(part: Part, shapes: PlanShapes) -> LayerFigures:
    """Figures of every layer of every plan; layers in the same state are costed once."""
    return next(figures_of_runs(part, [shapes]))


def figures_of_runs(part: Part, runs: Iterable[PlanShapes]) -> Iterator[LayerFigures]:
    """Figures of several runs of plans, run by run; a state that runs share is costed once.

    Keeps of every run its states only, or its figures where states hardly repeat.
    """
    met = [distinct_states(shapes, part.tables) or _figures_in_pieces(part, shapes) for shapes in runs]
    repeating = [each for each in met if isinstance(each, States)]
    shared = iter(merged(repeating, part.tables) if repeating else [])
    known: LayerFigures | None = None
    for each in met:
        if isinstance(each, LayerFigures):
            yield each
            continue
        states = next(shared)
        known = known or _figures_in_pieces(part, states.shapes)
        yield spread(known, states.index)


def engine_costs(part: Part, shapes: PlanShapes) -> EngineCosts:
    """What the part's engine says of the layers of P plans."""
    engine = part.profile.engine
    return layer_costs_of(engine.family)(engine, part.route, part.tables, shapes)


def _figures_in_pieces(part: Part, shapes: PlanShapes) -> LayerFigures:
    plans = max(shapes.units.shape[0], 1)
    pieces = [slice(start, start + COSTED_PLANS) for start in range(0, plans, COSTED_PLANS)]
    return joined([_figures(part, shapes.take(piece)) for piece in pieces])


def _figures(part: Part, shapes: PlanShapes) -> LayerFigures:
    profile, tables, route = part.profile, part.tables, part.route
    costs = engine_costs(part, shapes)
    unknown = unknown_energy_keys(profile, route.regions, kinds=tables.kinds)
    return LayerFigures(
        kept_macs=shapes.kept_macs,
        compute_cycles=costs.compute_cycles,
        cycles=costs.cycles,
        weight_bytes=costs.weight_bytes,
        bound_by=_bound_by(part, costs),
        weight_format=costs.weight_format,
        memory_cycles=costs.memory_cycles,
        flash_bytes=flash_bytes(tables, shapes, profile.runtime, weight_bytes=costs.weight_bytes),
        always_bytes=always_bytes(profile, route, tables, shapes, costs=costs),
        own_bytes=own_bytes(profile.engine, tables, shapes, costs=costs),
        energy_uj=None if unknown else network_energy_uj(profile, tables, costs),
        formats=costs.formats,
        edges_in_own=costs.arena_bytes is not None,
    )


def _bound_by(part: Part, costs: EngineCosts) -> NDArray[np.int8]:
    """(P, L) index of the greatest term or memory; the earlier one among equals."""
    values = {**costs.terms, **{f"memory:{name}": value for name, value in costs.memory_cycles.items()}}
    greatest = np.full_like(costs.cycles, -1)
    code = np.zeros(greatest.shape, np.int8, order="F")
    for index, name in enumerate(part.bound_names):
        if name in values:
            code[values[name] > greatest] = index
            greatest = np.maximum(greatest, values[name])
    return code
