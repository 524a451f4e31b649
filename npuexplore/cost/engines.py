"""The engine families: which module costs each, loaded when a profile of the family is first costed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.waterfall import Waterfall

COSTS: Mapping[str, str] = {
    "ethos_u": "npuexplore.cost.ethos_u.layers",
    "ethos_u85": "npuexplore.cost.ethos_u.layers",
    "micronpu": "npuexplore.cost.micronpu.layers",
    "cortex_m": "npuexplore.cost.cortex_m.layers",
}
"""Modules with a `layer_costs(engine, route, tables, shapes)`."""
WATERFALLS: Mapping[str, str] = {
    "ethos_u": "npuexplore.cost.ethos_u.purposes",
    "ethos_u85": "npuexplore.cost.ethos_u.purposes",
    "micronpu": "npuexplore.cost.micronpu.waterfall",
    "cortex_m": "npuexplore.cost.cortex_m.waterfall",
}
"""Modules with a `waterfall(engine, route, tables, shapes)`."""


def layer_costs_of(family: str) -> Callable[..., EngineCosts]:
    """The cost model of a family."""
    return cast(Callable[..., EngineCosts], import_module(COSTS[family]).layer_costs)


def waterfall_of(family: str) -> Callable[..., Waterfall]:
    """What tells the cycles of a family by purpose."""
    return cast(Callable[..., Waterfall], import_module(WATERFALLS[family]).waterfall)
