"""Why a plan costs what it costs: cycles by purpose, memory over time, what a change would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost import footprint, front_end
from npuexplore.cost.battery import all_battery_hours
from npuexplore.cost.engines import waterfall_of
from npuexplore.cost.part import Part, part_of
from npuexplore.cost.result import Estimate
from npuexplore.cost.sensitivity import Sensitivity, Which, sensitivities
from npuexplore.cost.waterfall import PARTS, Waterfall


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


def explain(result: Estimate, index: int, *, which: Which = "all") -> Explanation:
    """Everything that explains plan `index` of an estimate.

    which : the sensitivities; all of them take a dozen estimates more
    """
    part = part_of(result.profile, result.network, memory_mode=result.memory_mode)
    shapes = plan_shapes(part.tables, result.plans.take(slice(index, index + 1)))
    power_mw = None if result.average_power_mw is None else float(result.average_power_mw[index])
    steps = footprint.step_names(layer.name for layer in part.network.layers)
    found: tuple[Sensitivity, ...] = ()
    if which != "none":
        bound_by = {result.bound_names[code] for code in result.layers.bound_by[index]}
        found = tuple(
            sensitivities(
                part,
                shapes,
                network_cycles=int(result.layers.cycles[index, 1:].sum()),
                bound_by=None if which == "all" else bound_by,
            )
        )
    return Explanation(
        waterfall=waterfall(part, shapes),
        arena=tuple(zip(steps, result.layers.live_bytes[index].tolist(), strict=True)),
        sensitivities=found,
        battery_hours=all_battery_hours(power_mw),
    )


def waterfall(part: Part, shapes: PlanShapes) -> Waterfall:
    """(P, 1 + L) cycles by purpose, the front end first; they add up to every layer's cycles."""
    before = front_end.waterfall(part.front_end)
    engine = part.profile.engine
    layers = waterfall_of(engine.family)(engine, part.route, part.tables, shapes)
    plans = shapes.units.shape[0]
    return {name: np.hstack([np.broadcast_to(before[name], (plans, 1)), layers[name]]) for name in PARTS}
