"""Measurements that are no measurements of these cases in this unit: one sentence with row and column."""

from __future__ import annotations

from collections.abc import Sequence

from npuexplore.hardware.cortex_m import CortexM
from npuexplore.pipeline.calibrate.columns import MS_OF
from npuexplore.pipeline.calibrate.measurements import Measurement
from npuexplore.pipeline.calibrate.pricing import Bench, Floats

FURTHEST = 30.0
"""Factor between measurement and estimate beyond which a unit, a clock or a shape is wrong: reference kernels
in plain C take up to ten times what CMSIS-NN takes."""
CLOSE = 6.0
"""Factor within which another unit would fit."""


def refuse_other_cores(measurements: Sequence[Measurement], engine: CortexM) -> None:
    """Raises BadInput for a row that says it is of another core than the profile's."""
    for each in measurements:
        said = each.row.get("core")
        if said is None:
            continue
        core = said.lower().replace("arm", "").replace("cortex", "").strip(" -_").replace("+", "plus")
        if core != engine.core:
            each.row.refuse(
                "core",
                f"got {said!r}, but the profile's core is {engine.core}; select rows with --where "
                f"{each.row.headers['core']}=... or name another profile",
            )


def refuse_implausible(bench: Bench, measurements: Sequence[Measurement], estimated: Floats) -> None:
    """Raises BadInput for a row that is many times its estimate, with the unit that it may have."""
    for each, cycles in zip(measurements, estimated, strict=True):
        factor = each.cycles / cycles
        if 1 / FURTHEST <= factor <= FURTHEST:
            continue
        times = f"{factor:,.0f} times" if factor > 1 else f"1/{1 / factor:,.0f} of"
        fitting = _other_unit(each, cycles)
        hint = (
            f"it would fit in {fitting}, so correct the unit in the header or this cell"
            if fitting
            else "check its unit, clock, shape and steps"
        )
        expected = _in_unit(cycles, each.unit, each.clock_hz)
        shown = f"{expected:,.0f}" if each.unit == "cycles" else f"{expected:.4g}"
        each.row.refuse(
            each.unit,
            f"got {each.row.get(each.unit)}, {times} the {shown} {each.unit} estimated for {each.what}; "
            f"{hint}",
        )


def _in_unit(cycles: float, unit: str, clock_hz: float) -> float:
    return cycles if unit == "cycles" else cycles / clock_hz * 1e3 / MS_OF[unit]


def _other_unit(measurement: Measurement, estimated: float) -> str | None:
    """The unit in which the same number would be near the estimate."""
    number = _in_unit(measurement.cycles, measurement.unit, measurement.clock_hz)
    for unit in ("cycles", "us", "ms"):
        near = number / _in_unit(estimated, unit, measurement.clock_hz)
        if unit != measurement.unit and 1 / CLOSE <= near <= CLOSE:
            return unit
    return None
