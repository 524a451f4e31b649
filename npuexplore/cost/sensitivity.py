"""What a frame would take if one thing about the part were twice or half of what it is.

A knob is a set of figures of the profile; turning it re-estimates an edited profile, so that engines know
nothing of it. Changes that a profile's own rules refuse, or that change nothing in it, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.layers import engine_costs
from npuexplore.cost.part import Part, part_of
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.units import cycles_to_ms

M = TypeVar("M", bound=BaseModel)
Factor = Literal["twice", "half"]
Which = Literal["all", "binding", "none"]
"""All knobs, those of what binds a layer, or none."""
QUICK_FAMILIES = ("micronpu", "cortex_m")
FACTORS: dict[Factor, float] = {"twice": 2.0, "half": 0.5}


@dataclass(frozen=True)
class Knob:
    """Figures that are turned together; patterns over dotted keys of the profile."""

    name: str
    """Goes on with "twice the ..."."""
    rates: tuple[str, ...] = ()
    """Figures multiplied by the factor."""
    costs: tuple[str, ...] = ()
    """Figures divided by the factor: the knob is a speed, they are cycles."""

    @property
    def sections(self) -> set[str]:
        """Sections of the profile that hold the figures."""
        return {pattern.partition(".")[0] for pattern in (*self.rates, *self.costs)}


@dataclass(frozen=True)
class Sensitivity:
    """One change and what a frame takes then."""

    change: str
    cycles: int
    cycles_change_pct: float
    latency_ms: float


ENGINE_KNOBS = (
    Knob(
        "MAC rate",
        rates=("engine.outputs_per_cycle",),
        costs=("engine.ratios.product", "engine.ratios.sparse"),
    ),
    Knob(
        "weight-decode rate",
        rates=("engine.*decoded_bytes_per_cycle", "engine.*decoded_weights_per_cycle"),
        costs=("engine.decode_cycles_per_output",),
    ),
    Knob("time to find a stored block", rates=("engine.cycles_per_index",)),
    Knob("weight buffer", rates=("engine.weight_tile_bytes",)),
    Knob(
        "activation and element-wise rate",
        rates=("engine.lut_elems_per_cycle", "engine.elementwise_ops_per_cycle"),
        costs=(
            "engine.*_cycles_per_elem",
            "engine.activation_cycles.*",
            "engine.output_cycles.*",
            "engine.ratios.elementwise",
        ),
    ),
    Knob(
        "fixed cycles",
        rates=(
            "engine.cycles_per_layer",
            "engine.cycles_per_block_row",
            "engine.*block_delay*_cycles",
        ),
    ),
    Knob("front-end cycles", rates=("front_end.memory_wait_ratio",)),
    Knob("speed of the fallback CPU", costs=("fallback_cpu.cycles_per_*",)),
)


KNOBS_OF_TERMS: Mapping[str, tuple[str, ...]] = {
    "mac": ("MAC rate",),
    "decode": ("weight-decode rate",),
    "activation": ("activation and element-wise rate",),
    "overhead": ("fixed cycles",),
    "cpu": ("MAC rate", "front-end cycles", "speed of the fallback CPU"),
}
"""What to turn where a term binds."""


def is_quick(profile: HardwareProfile) -> bool:
    """Whether all sensitivities take no longer than it takes to draw them.

    The commands of an Ethos-U are scheduled anew for every change.
    """
    return profile.engine.family in QUICK_FAMILIES


def sensitivities(
    part: Part, shapes: PlanShapes, *, network_cycles: int, bound_by: Collection[str] | None = None
) -> list[Sensitivity]:
    """Knobs at twice and half, greatest effect first; of the first plan of `shapes`.

    network_cycles : of that plan on the part as it is, the front end left out ; bound_by : what binds its
    layers, to turn the knobs of that only, and to twice only
    """
    base_cycles = part.front_end.engine_cycles + network_cycles
    words = tuple(FACTORS)[: None if bound_by is None else 1]
    found = []
    for knob in _knobs(part):
        if bound_by is not None and not _loosens(knob, bound_by):
            continue
        for word in words:
            profile = turned(part.profile, knob, word)
            if profile is None:
                continue
            other = part_of(profile, part.network, memory_mode=part.memory_mode)
            cycles = other.front_end.engine_cycles + (
                network_cycles if knob.sections == {"front_end"} else _network_cycles(other, shapes)
            )
            found.append(
                Sensitivity(
                    change=f"{word} the {knob.name}",
                    cycles=cycles,
                    cycles_change_pct=100.0 * (cycles / base_cycles - 1.0),
                    latency_ms=float(cycles_to_ms(cycles, clock_hz=profile.clock_hz)),
                )
            )
    return sorted(found, key=lambda each: (-abs(each.cycles_change_pct), each.change))


def _loosens(knob: Knob, bound_by: Collection[str]) -> bool:
    return knob.name in {name for bound in bound_by for name in _knob_names(bound)}


def _knob_names(bound: str) -> tuple[str, ...]:
    """Knobs of what binds a layer."""
    term, _, memory = bound.partition(":")
    return (f"{memory} bandwidth",) if memory else KNOBS_OF_TERMS[term]


def _network_cycles(part: Part, shapes: PlanShapes) -> int:
    return int(engine_costs(part, shapes).cycles[0].sum())


def _knobs(part: Part) -> Iterator[Knob]:
    for name in part.route.regions:
        yield Knob(f"{name} bandwidth", rates=(f"memories.{name}.bytes_per_cycle",))
    yield Knob(
        "memory latency",
        rates=tuple(f"memories.{name}.*_latency_cycles" for name in part.route.regions),
    )
    yield from ENGINE_KNOBS


def turned(profile: HardwareProfile, knob: Knob, word: Factor) -> HardwareProfile | None:
    """The profile with one knob at twice or half; None where that is not possible or changes nothing."""
    return turned_by(profile, knob, FACTORS[word])


def turned_by(profile: HardwareProfile, knob: Knob, factor: float) -> HardwareProfile | None:
    """The profile with one knob at `factor`; None where that is not possible or changes nothing."""
    sections: dict[str, Any] = {}
    for section in knob.sections:
        model = getattr(profile, section, None)
        try:
            if isinstance(model, BaseModel):
                sections[section] = _turned_model(model, section, knob, factor)
            elif model is not None:
                sections[section] = {
                    name: _turned_model(each, f"{section}.{name}", knob, factor)
                    for name, each in model.items()
                }
        except ValidationError:
            return None
    edited = profile.model_copy(update=sections)
    return None if edited == profile else edited


def _turned_model(model: M, key: str, knob: Knob, factor: float) -> M:
    if not any(pattern.startswith(key) for pattern in (*knob.rates, *knob.costs)):
        return model
    return type(model).model_validate(_turned_values(model.model_dump(), key, knob, factor))


def _turned_values(node: Any, key: str, knob: Knob, factor: float) -> Any:
    if isinstance(node, dict):
        return {name: _turned_values(child, f"{key}.{name}", knob, factor) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [_turned_values(child, f"{key}.{place}", knob, factor) for place, child in enumerate(node)]
    if isinstance(node, bool) or not isinstance(node, int | float):
        return node
    if any(fnmatchcase(key, pattern) for pattern in knob.rates):
        return _scaled(node, factor)
    if any(fnmatchcase(key, pattern) for pattern in knob.costs):
        return _scaled(node, 1.0 / factor)
    return node


def _scaled(value: float, factor: float) -> float:
    """Whole numbers stay whole: half of 5 is 3.

    >>> _scaled(5, 0.5), _scaled(5.0, 0.5)
    (3, 2.5)
    """
    return math.ceil(value * factor) if isinstance(value, int) else value * factor
