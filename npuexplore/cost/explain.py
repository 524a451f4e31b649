"""Why a plan costs what it costs: cycles by purpose, memory over time, what a change would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost import cortex_m_waterfall, ethos_u, footprint, front_end, micronpu
from npuexplore.cost.battery import all_battery_hours
from npuexplore.cost.estimate import arena as arena_over_steps
from npuexplore.cost.layers import ENGINES, layer_figures
from npuexplore.cost.part import Part, part_of
from npuexplore.cost.result import Estimate
from npuexplore.cost.sensitivity import Sensitivity, sensitivities
from npuexplore.cost.traffic import Route
from npuexplore.cost.waterfall import PARTS, Waterfall, allot
from npuexplore.workload.counts import NetworkTables


def _by_terms(engine: Any, route: Route, tables: NetworkTables, shapes: PlanShapes) -> Waterfall:
    costs = ENGINES[engine.family](engine, route, tables, shapes)
    terms = costs.terms
    mac = terms.get("mac", np.zeros_like(costs.cycles))
    stall = costs.cycles - costs.compute_cycles
    parts = {"memory_stall": stall, "activation": terms["activation"], "useful_macs": mac}
    return allot(costs.cycles, parts, rest="decode" if "decode" in terms else "overhead")


WATERFALLS: Mapping[str, Callable[..., Waterfall]] = {
    "ethos_u": getattr(ethos_u, "waterfall", _by_terms),
    "ethos_u85": getattr(ethos_u, "waterfall", _by_terms),
    "micronpu": micronpu.waterfall,
    "cortex_m": cortex_m_waterfall.waterfall,
}


@dataclass(frozen=True)
class Explanation:
    """One plan."""

    waterfall: Waterfall
    """(1, 1 + L) each; column 0 is the front end."""
    arena: tuple[tuple[str, int], ...]
    """(step of a frame, bytes alive in the activations' memory then)."""
    sensitivities: tuple[Sensitivity, ...]
    """Greatest effect first."""
    battery_hours: Mapping[str, float | None]
    """By cell; None where the power is unknown or more than the cell delivers."""

    @property
    def peak_step(self) -> str:
        """The first step at which most bytes are alive."""
        return max(self.arena, key=lambda step: step[1])[0]


def explain(result: Estimate, index: int) -> Explanation:
    """Everything that explains plan `index` of an estimate."""
    part = part_of(result.profile, result.network, memory_mode=result.memory_mode)
    shapes = plan_shapes(part.tables, result.plans.take(slice(index, index + 1)))
    network_cycles = int(result.layers.cycles[index, 1:].sum())
    power_mw = None if result.average_power_mw is None else float(result.average_power_mw[index])
    return Explanation(
        waterfall=waterfall(part, shapes),
        arena=arena(part, shapes),
        sensitivities=tuple(sensitivities(part, shapes, network_cycles=network_cycles)),
        battery_hours=all_battery_hours(power_mw),
    )


def waterfall(part: Part, shapes: PlanShapes) -> Waterfall:
    """(P, 1 + L) cycles by purpose, the front end first; they add up to every layer's cycles."""
    before = front_end.waterfall(part.front_end)
    layers = WATERFALLS[part.profile.engine.family](part.profile.engine, part.route, part.tables, shapes)
    plans = shapes.units.shape[0]
    return {name: np.hstack([np.broadcast_to(before[name], (plans, 1)), layers[name]]) for name in PARTS}


def arena(part: Part, shapes: PlanShapes) -> tuple[tuple[str, int], ...]:
    """Bytes alive at every step of a frame, of the first plan of `shapes`."""
    live = arena_over_steps(part, shapes, layer_figures(part, shapes))
    names = footprint.step_names(layer.name for layer in part.network.layers)
    return tuple(zip(names, live[:, 0].tolist(), strict=True))
