"""Cycles of measured cases with given coefficients, and how each coefficient moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.engines import layer_costs_of
from npuexplore.cost.supported import refuse_unsupported
from npuexplore.cost.traffic import Route, route_of
from npuexplore.errors import BadInput
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate.coefficients import (
    ALL,
    ELEMENTWISE,
    MEMORY_WAIT,
    PER_LAYER,
    PRODUCT,
    SPARSE,
    Coefficient,
    Values,
    with_values,
)
from npuexplore.pipeline.calibrate.measurements import Case, Measurement
from npuexplore.pipeline.calibrate.shapes import layer_network
from npuexplore.workload.counts import NetworkTables, network_tables

Floats = NDArray[np.float64]
SMALL_SIDE = 64
"""Layers under this many inputs and outputs show what a call takes."""


OUT_OF_THE_QUESTION = 1e6
"""A ratio of dense products at which no layer would take them."""


@dataclass(frozen=True)
class Priced:
    """A case, ready to be priced again and again. The front end is left out: a layer has none."""

    tables: NetworkTables
    shapes: PlanShapes
    route: Route
    steps: int
    in_sparse_kernel: bool
    """Whether a sparse kernel ran, be a dense one faster or not."""

    def cycles(self, engine: CortexM) -> float:
        """Cycles on an engine."""
        return float(self.steps * self._costs(self._with_the_kernel(engine)).cycles.sum())

    def runs_sparse(self, engine: CortexM) -> bool:
        """Whether a layer runs in a sparse kernel; of a layer that did, whether it may."""
        return set(self._formats(self._with_the_kernel(engine))) != {"dense"}

    def is_estimated_dense(self, engine: CortexM) -> bool:
        """Whether an estimate takes dense kernels, as they are faster or their weights smaller."""
        return set(self._formats(engine)) == {"dense"}

    def _with_the_kernel(self, engine: CortexM) -> CortexM:
        """The engine, with dense kernels out of the question where a sparse one ran."""
        return with_values(engine, {PRODUCT: OUT_OF_THE_QUESTION}) if self.in_sparse_kernel else engine

    def _formats(self, engine: CortexM) -> list[str]:
        costs = self._costs(engine)
        return [costs.formats[code] for code in costs.weight_format[0]]

    def _costs(self, engine: CortexM) -> EngineCosts:
        return layer_costs_of(engine.family)(engine, self.route, self.tables, self.shapes)


@dataclass(frozen=True)
class Parts:
    """What cases are made of: wait * (ratios of kernels * theirs + waiting) + per layer * layers + fixed.

    Arrays are (C,) over cases.
    """

    kernels: Mapping[Coefficient, Floats]
    """By their ratio, at a ratio of 1 and without waiting for memory."""
    waiting: Floats
    """What else waits for memory."""
    layers: Floats
    """Calls of a layer."""
    fixed: Floats
    """What no coefficient changes: streams that take longer than the kernels."""

    def waited(self, values: Values) -> Floats:
        """(C,) cycles that a memory wait multiplies, multiplied."""
        kernels = sum(values[each] * cycles for each, cycles in self.kernels.items())
        return np.asarray(values[MEMORY_WAIT] * (kernels + self.waiting))

    def cycles(self, values: Values) -> Floats:
        """(C,) cycles with these coefficients, as long as no layer takes another kernel or memory then."""
        return self.waited(values) + values[PER_LAYER] * self.layers + self.fixed

    def effect(self, coefficient: Coefficient, values: Values) -> Floats:
        """(C,) change of cycles with the log of a ratio, or with a cycle per layer."""
        if coefficient is PER_LAYER:
            return self.layers
        if coefficient is MEMORY_WAIT:
            return self.waited(values)
        return np.asarray(values[MEMORY_WAIT] * values[coefficient] * self.kernels[coefficient])


@dataclass(frozen=True)
class Bench:
    """All measurements of a calibration: N of them, of C cases."""

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
    parts: Parts
    """Near the coefficients that the bench is for."""

    def predicted(self, values: Values) -> Floats:
        """(N,) cycles with these coefficients, from the parts."""
        return self.parts.cycles(values)[self.case_of]

    def slopes(self, values: Values, coefficients: Sequence[Coefficient]) -> Floats:
        """(N, K) change of log cycles with the log of a ratio, or with a cycle per layer."""
        cycles = self.parts.cycles(values)
        columns = [self.parts.effect(each, values) / cycles for each in coefficients]
        return np.stack(columns, axis=1)[self.case_of]

    def estimated(self, values: Values) -> Floats:
        """(N,) cycles that an estimate with these coefficients gives."""
        return _cycles(self.engine, self.cases, values)[self.case_of]

    def better_dense(self, values: Values) -> NDArray[np.bool_]:
        """(N,) measurements of sparse kernels for which an estimate takes the dense one."""
        engine = with_values(self.engine, values)
        dense = [case.in_sparse_kernel and case.is_estimated_dense(engine) for case in self.cases]
        return np.array(dense)[self.case_of]

    def fixed_frac(self, values: Values) -> Floats:
        """(N,) share of the cycles that no coefficient changes: what memories make kernels wait."""
        return (self.parts.fixed / self.parts.cycles(values))[self.case_of]

    def near(self, values: Values) -> Bench:
        """The same bench with the parts that hold near other coefficients."""
        return replace(self, parts=_parts(self.engine, self.cases, values))


def _cycles(engine: CortexM, cases: Sequence[Priced], values: Values) -> Floats:
    """(C,) cycles."""
    edited = with_values(engine, values)
    return np.array([case.cycles(edited) for case in cases])


def _parts(engine: CortexM, cases: Sequence[Priced], values: Values) -> Parts:
    """Parts of cases by turning each coefficient: cycles are linear in each where nothing switches."""
    base = _cycles(engine, cases, values)

    def effect(each: Coefficient) -> Floats:
        here = values[each]
        there = here * each.probe if each.is_ratio else here + each.probe
        moved = _cycles(engine, cases, {**values, each: there}) - base
        return np.asarray(moved / (each.probe - 1.0 if each.is_ratio else each.probe))

    wait, waited, layers = values[MEMORY_WAIT], effect(MEMORY_WAIT), effect(PER_LAYER)
    shares = {each: effect(each) / wait for each in (PRODUCT, SPARSE, ELEMENTWISE)}
    return Parts(
        kernels={each: share / values[each] for each, share in shares.items()},
        waiting=waited / wait - sum(shares.values()),
        layers=layers,
        fixed=base - waited - values[PER_LAYER] * layers,
    )


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
        parts=_parts(engine, priced, {each: each.of(engine) for each in ALL}),
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
    if case.sparse and not ready.runs_sparse(engine):
        row.refuse(
            "structure",
            f"{case.choice.structure} at {100 * case.choice.sparsity_frac:g} % zeros is stored dense, which "
            "is smaller; measure one that is sparser, or write dense",
        )
    return ready


def _ready(profile: HardwareProfile, case: Case) -> Priced:
    batch = batch_plans([case.plan], case.network)
    refuse_unsupported(profile, case.network, batch)
    tables = network_tables(case.network)
    route = route_of(profile, case.memory_mode or profile.default_memory_mode)
    return Priced(
        tables=tables,
        shapes=plan_shapes(tables, batch),
        route=route,
        steps=case.steps,
        in_sparse_kernel=case.sparse and len(case.network.layers) == 1,
    )
