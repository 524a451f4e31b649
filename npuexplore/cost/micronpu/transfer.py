"""How reading weights and working on them share a layer's time: all at once, tile by tile, or in turn."""

from __future__ import annotations

import numpy as np

from npuexplore.cost.compute import whole_cycles
from npuexplore.cost.traffic import Route, region_bytes, region_cycles
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts


def moved_bytes(route: Route, *, stored_bytes: Counts, moved_activations: Counts) -> dict[str, Counts]:
    """(P, L) traffic of each memory; staged weights are written to their buffer and read from it."""
    moved = region_bytes(route, weights=stored_bytes, activations=moved_activations)
    if route.staging is not None and route.staging != route.weights:
        moved[route.staging] = moved.get(route.staging, 0) + 2 * stored_bytes
    return moved


def memory_cycles(
    engine: MicroNpu, route: Route, *, stored_bytes: Counts, moved_activations: Counts
) -> dict[str, Counts]:
    """(P, L) cycles of each memory; every tile of weights waits for its first access anew."""
    moved = moved_bytes(route, stored_bytes=stored_bytes, moved_activations=moved_activations)
    cycles = region_cycles(route, moved)
    if engine.weight_tile_bytes is not None and not _beside(route):
        more = np.maximum(ceil_div(stored_bytes, engine.weight_tile_bytes) - 1, 0)
        cycles[route.weights] = cycles[route.weights] + more * route.weight_memory.read_latency_cycles
    return cycles


def busy_cycles(
    engine: MicroNpu, route: Route, *, work: Counts, memories: dict[str, Counts], stored_bytes: Counts
) -> Counts:
    """(P, L) cycles of products, their decoding and their memories together.

    work : (P, L) cycles of array and decoder. Double-buffered: the first tile is read before work starts,
    the last one is worked on after reading ends; in between the slower of the two counts.
    """
    streamed = np.asarray(np.maximum.reduce([work, *memories.values()]))
    if engine.weight_transfer == "streamed" or _beside(route):
        return streamed
    others = [cycles for name, cycles in memories.items() if name != route.weights]
    work = np.maximum.reduce([work, *others])
    reading = memories[route.weights]
    if engine.weight_transfer == "before_use" or engine.weight_tile_bytes is None:
        return np.asarray(reading + work)
    tile_frac = np.minimum(engine.weight_tile_bytes / np.maximum(stored_bytes, 1), 1.0)
    in_turn = np.maximum(reading * tile_frac + work, reading + work * tile_frac)
    return np.asarray(np.maximum(whole_cycles(in_turn), streamed))


def _beside(route: Route) -> bool:
    """Weights in the activations' memory are the engine's to read at once."""
    return route.weights == route.activations
