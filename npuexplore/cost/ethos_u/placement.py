"""Where tensors lie while Arm's compiler Vela plans, and where they lie in the end.

Planning sees every tensor in the memory of the network's input and output. Afterwards intermediate
tensors move to the activations' memory. States stay, as do operands that an Ethos-U85 adds in the same pass
to a product whose own input stays.
"""

from __future__ import annotations

from dataclasses import replace

from npuexplore.cost.ethos_u.lowering import Command
from npuexplore.cost.ethos_u.pricing import Placement
from npuexplore.cost.traffic import Route


def planned_placement(route: Route) -> Placement:
    """Every tensor at home."""
    home = route.network_io
    return Placement(
        memories=route.memories,
        tensors={"network": home, "state": home, "scratch": home},
        weights=route.weights,
    )


def final_placement(route: Route, *, staged: bool) -> Placement:
    """Intermediate tensors moved; `staged` for products whose weights are copied first."""
    home = route.network_io
    return Placement(
        memories=route.memories,
        tensors={"network": home, "state": home, "scratch": route.activations},
        weights=route.weights,
        staging=route.staging if staged else None,
    )


def stages_weights(route: Route) -> bool:
    """Whether weights may be copied to a faster memory before they are used."""
    return route.staging is not None and route.staging != route.weights


def with_operands_at_home(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """The commands of a layer whose input stays at home: what is added to its products stays there too.

    Commands of engines without chains are given back as they are.
    """
    chained = {command.gate for command in commands if command.chained}
    return tuple(_at_home(command, chained) for command in commands)


def _at_home(command: Command, chained: set[str]) -> Command:
    if command.kind != "product" or command.gate not in chained:
        return command
    if command.chained:
        first, *others = command.chained
        return replace(command, chained=(replace(first, place="network"), *others))
    assert command.writes is not None
    return replace(command, writes=replace(command.writes, place="network"))
