"""A network on a part in one memory mode: everything that does not depend on the plans."""

from __future__ import annotations

from dataclasses import dataclass

from npuexplore.cost.compute import TERMS
from npuexplore.cost.front_end import FrontEndCosts, front_end_costs
from npuexplore.cost.traffic import Route, route_of
from npuexplore.errors import UsageError
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
