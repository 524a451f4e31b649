"""Bytes moved per frame and the cycles that each memory needs for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.compute import rate_cycles
from npuexplore.hardware.profile import FallbackCpu, HardwareProfile, MemoryRegion
from npuexplore.units import IntArray
from npuexplore.workload.counts import Counts, NetworkTables


@dataclass(frozen=True)
class Route:
    """The memories of one memory mode."""

    weights: str
    activations: str
    storage: str
    network_io: str
    """Memory of the graph's input and output."""
    staging: str | None
    """Memory that weights may be buffered in before they are used."""
    arena_limit_bytes: int | None
    """Most that the arena may take of its memory; None for all of it."""
    memories: Mapping[str, MemoryRegion]
    fallback_cpu: FallbackCpu | None = None
    """Takes what the engine cannot run; None where there is no such CPU."""

    @property
    def weight_memory(self) -> MemoryRegion:
        """Where weights are read from."""
        return self.memories[self.weights]

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the memories that the engine touches, activations first."""
        touched = (self.activations, self.weights, self.network_io, self.staging)
        return tuple(dict.fromkeys(name for name in touched if name is not None))


def route_of(profile: HardwareProfile, memory_mode: str) -> Route:
    """The memories of a mode of a profile."""
    mode = profile.memory_modes[memory_mode]
    return Route(
        weights=mode.weights,
        activations=mode.activations,
        storage=mode.storage,
        network_io=mode.network_io or mode.activations,
        staging=mode.staging,
        arena_limit_bytes=mode.arena_limit_bytes,
        memories=profile.memories,
        fallback_cpu=profile.fallback_cpu,
    )


def region_bytes(route: Route, *, weights: Counts, activations: Counts) -> dict[str, Counts]:
    """Traffic by memory region; one region's two streams add up."""
    if route.weights == route.activations:
        return {route.weights: weights + activations}
    return {route.activations: activations, route.weights: weights}


def transfer_cycles(moved_bytes: IntArray, *, bytes_per_cycle: float, latency_cycles: int) -> Counts:
    """Cycles of one stream: the first access, then the sustained rate.

    >>> import numpy as np
    >>> transfer_cycles(np.array([16]), bytes_per_cycle=8.0, latency_cycles=4)
    array([6])
    """
    cycles: Counts = rate_cycles(moved_bytes, per_cycle=bytes_per_cycle) + latency_cycles
    return cycles


def region_cycles(route: Route, moved: dict[str, Counts]) -> dict[str, Counts]:
    """(P, L) cycles of each memory region for its traffic."""
    return {
        name: transfer_cycles(
            amount,
            bytes_per_cycle=route.memories[name].bytes_per_cycle,
            latency_cycles=route.memories[name].read_latency_cycles,
        )
        for name, amount in moved.items()
    }


def activation_bytes(tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P, L) bytes of inputs and outputs of a layer, and of its state read and written.

    The output h is also the state; the cell state c of an LSTM has 16 bits at any activation width.
    """
    width = shapes.activation_bits // 8
    is_lstm = [kind == "lstm" for kind in tables.kinds]
    state = shapes.units * (tables.recurrent * width)
    cell = 4 * shapes.units * is_lstm
    moved: Counts = (shapes.inputs + shapes.units) * width + state + cell
    return moved
