"""Cycles of measured cases with given coefficients, and how each coefficient moves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost.engines import layer_costs_of
from npuexplore.cost.supported import refuse_unsupported
from npuexplore.cost.traffic import Route, route_of
from npuexplore.errors import BadInput
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate.coefficients import Coefficient, Values, with_values
from npuexplore.pipeline.calibrate.measurements import Case, Measurement
from npuexplore.pipeline.calibrate.shapes import layer_network
from npuexplore.workload.counts import NetworkTables, network_tables

Floats = NDArray[np.float64]
SMALL_SIDE = 64
"""Layers under this many inputs and outputs show what a call takes."""


@dataclass(frozen=True)
class Priced:
    """A case, ready to be priced again and again. The front end is left out: a layer has none."""

    tables: NetworkTables
    shapes: PlanShapes
    route: Route
    steps: int

    def cycles(self, engine: CortexM) -> float:
        """Cycles on an engine."""
        costs = layer_costs_of(engine.family)(engine, self.route, self.tables, self.shapes)
        return float(self.steps * costs.cycles.sum())

    def formats(self, engine: CortexM) -> list[str]:
        """How the engine stores each layer's weights."""
        costs = layer_costs_of(engine.family)(engine, self.route, self.tables, self.shapes)
        return [costs.formats[code] for code in costs.weight_format[0]]


@dataclass(frozen=True)
class Bench:
    """All measurements of a calibration."""

    engine: CortexM
    """As it was before."""
    cases: tuple[Priced, ...]
    """Different ones."""
    case_of: NDArray[np.intp]
    """(N,) case of each measurement."""
    measured: Floats
    """(N,) cycles."""
    small_layer_cycles: float
    """Of a fully connected layer of 64x64 on this part before the calibration."""

    def predicted(self, values: Values) -> Floats:
        """(N,) cycles with these coefficients."""
        engine = with_values(self.engine, values)
        return np.array([case.cycles(engine) for case in self.cases])[self.case_of]

    def slopes(self, values: Values, coefficients: Sequence[Coefficient]) -> Floats:
        """(N, K) change of log cycles with the log of a ratio, or with a cycle per layer.

        By differences over a wide step, as the model is linear in each coefficient where nothing switches.
        """
        base = self.predicted(values)
        columns = []
        for each in coefficients:
            here = values[each]
            there = here * each.probe if each.is_ratio else here + each.probe
            moved = (self.predicted({**values, each: there}) - base) / base
            columns.append(moved / (each.probe - 1.0) if each.is_ratio else moved / each.probe)
        return np.stack(columns, axis=1)


def bench_of(profile: HardwareProfile, engine: CortexM, measurements: Sequence[Measurement]) -> Bench:
    """Measurements of a part; raises BadInput with line and column for what the part cannot run."""
    places: dict[Case, int] = {}
    priced: list[Priced] = []
    for each in measurements:
        if each.case not in places:
            places[each.case] = len(priced)
            priced.append(_priced(profile, engine, each))
    small = Case.dense(layer_network("dense", inputs=SMALL_SIDE, outputs=SMALL_SIDE))
    return Bench(
        engine=engine,
        cases=tuple(priced),
        case_of=np.array([places[each.case] for each in measurements], np.intp),
        measured=np.array([each.cycles for each in measurements]),
        small_layer_cycles=_ready(profile, small).cycles(engine),
    )


def _priced(profile: HardwareProfile, engine: CortexM, measurement: Measurement) -> Priced:
    row, case = measurement.row, measurement.case
    if case.memory_mode is not None and case.memory_mode not in profile.memory_modes:
        row.refuse(
            "memory_mode",
            f"got {case.memory_mode!r}; profile {profile.name} has {', '.join(profile.memory_modes)}",
        )
    try:
        ready = _ready(profile, case)
    except BadInput as error:
        row.refuse("weight_bits", str(error))
    if case.sparse and set(ready.formats(engine)) == {"dense"}:
        row.refuse(
            "structure",
            f"{case.choice.structure} at {100 * case.choice.sparsity_frac:g} % zeros runs the dense kernel "
            f"here, which is faster or smaller; measure one that is sparser, or write dense",
        )
    return ready


def _ready(profile: HardwareProfile, case: Case) -> Priced:
    batch = batch_plans([case.plan], case.network)
    refuse_unsupported(profile, case.network, batch)
    tables = network_tables(case.network)
    route = route_of(profile, case.memory_mode or profile.default_memory_mode)
    return Priced(tables, plan_shapes(tables, batch), route, case.steps)
