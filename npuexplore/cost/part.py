"""A network on a part in one memory mode: everything that does not depend on the plans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.compute import TERMS
from npuexplore.cost.front_end import FrontEndCosts, front_end_costs
from npuexplore.cost.traffic import Route, route_of
from npuexplore.errors import UsageError
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import NetworkTables, network_tables
from npuexplore.workload.network import Network


@dataclass(frozen=True)
class Part:
    """What plans are costed for."""

    profile: HardwareProfile
    network: Network
    memory_mode: str
    tables: NetworkTables
    route: Route
    front_end: FrontEndCosts

    @property
    def bound_names(self) -> tuple[str, ...]:
        """What can bind a layer, in the order of `bound_by`."""
        return (*TERMS, *(f"memory:{name}" for name in self.route.regions))

    @property
    def weight_capacity_bytes(self) -> int | None:
        """Room in a memory that holds the engine's weights only; None where flash or SRAM holds them."""
        if self.route.weights in (self.route.storage, self.route.activations):
            return None
        return self.route.weight_memory.capacity_bytes

    @property
    def on_engine(self) -> NDArray[np.bool_]:
        """(L,) layers whose weights the engine reads; a CPU reads those of the others from storage."""
        engine = self.profile.engine
        return np.array(
            [not isinstance(engine, MicroNpu) or kind in engine.runs for kind in self.tables.kinds]
        )


def part_of(profile: HardwareProfile, network: Network, *, memory_mode: str | None = None) -> Part:
    """A network on a part; the profile's default memory mode where none is named.

    Raises UsageError for an unknown memory mode.
    """
    mode = profile.default_memory_mode if memory_mode is None else memory_mode
    if mode not in profile.memory_modes:
        raise UsageError(
            f"memory mode: got {mode!r}; profile {profile.name} has {', '.join(profile.memory_modes)}; "
            "name one of those"
        )
    return Part(
        profile=profile,
        network=network,
        memory_mode=mode,
        tables=network_tables(network),
        route=route_of(profile, mode),
        front_end=front_end_costs(network, profile.front_end),
    )
