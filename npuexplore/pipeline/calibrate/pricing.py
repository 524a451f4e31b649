"""Cycles of measured cases with given coefficients, and how each coefficient moves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
        return float(self.steps * self.costs(engine).cycles.sum())

    def costs(self, engine: CortexM) -> EngineCosts:
        """Costs of one step, dense kernels out of the question where a sparse one ran."""
        return self._costs(
            with_values(engine, {PRODUCT: OUT_OF_THE_QUESTION}) if self.in_sparse_kernel else engine
        )

    def runs_sparse(self, engine: CortexM) -> bool:
        """Whether a layer runs in a sparse kernel; of a layer that did, whether it may."""
        return _formats(self.costs(engine)) != {"dense"}

    def is_estimated_dense(self, engine: CortexM) -> bool:
        """Whether an estimate takes dense kernels, as they are faster or their weights smaller."""
        return _formats(self._costs(engine)) == {"dense"}

    def _costs(self, engine: CortexM) -> EngineCosts:
        return layer_costs_of(engine.family)(engine, self.route, self.tables, self.shapes)


@dataclass(frozen=True)
class Parts:
    """What layers are made of: wait * ratios of kernels * theirs + per layer * calls, or a longer stream.

    Arrays are (S,) over the layers of all cases, all steps of a case together.
    """

    kernels: Mapping[Coefficient, Floats]
    """By their ratio, at a ratio of 1 and without waiting for memory."""
    calls: Floats
    streams: Floats
    """What the memories take, which no coefficient changes."""
    case_of: NDArray[np.intp]
    """Case of each layer."""

    def cycles(self, values: Values) -> Floats:
        """(C,) cycles with these coefficients, as long as no layer takes another kernel then."""
        return self._by_case(np.maximum(self._computed(values), self.streams))

    def effect(self, coefficient: Coefficient, values: Values) -> Floats:
        """(C,) change of cycles with the log of a ratio, or with a cycle per layer."""
        moved = self.calls if coefficient is PER_LAYER else self._waited(coefficient, values)
        return self._by_case(np.where(self._streamed(values), 0.0, moved))

    def fixed(self, values: Values) -> Floats:
        """(C,) cycles of layers that wait for a stream."""
        return self._by_case(np.where(self._streamed(values), self.streams, 0.0))

    def _computed(self, values: Values) -> Floats:
        return self._waited(MEMORY_WAIT, values) + values[PER_LAYER] * self.calls

    def _streamed(self, values: Values) -> NDArray[np.bool_]:
        return np.asarray(self._computed(values) < self.streams)

    def _waited(self, coefficient: Coefficient, values: Values) -> Floats:
        """(S,) cycles that a ratio multiplies, multiplied; the memory wait multiplies all kernels."""
        chosen = self.kernels if coefficient is MEMORY_WAIT else (coefficient,)
        return np.asarray(values[MEMORY_WAIT] * sum(values[each] * self.kernels[each] for each in chosen))

    def _by_case(self, cycles: Floats) -> Floats:
        summed: Floats = np.bincount(self.case_of, weights=cycles)  # type: ignore[assignment]
        return summed


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
        return (self.parts.fixed(values) / self.parts.cycles(values))[self.case_of]

    def near(self, values: Values) -> Bench:
        """The same bench with the parts that hold near other coefficients."""
        return replace(self, parts=_parts(self.engine, self.cases, values))


def _cycles(engine: CortexM, cases: Sequence[Priced], values: Values) -> Floats:
    """(C,) cycles."""
    edited = with_values(engine, values)
    return np.array([case.cycles(edited) for case in cases])


def _parts(engine: CortexM, cases: Sequence[Priced], values: Values) -> Parts:
    """Parts of cases, in the kernels that their layers take with some coefficients."""
    edited = with_values(engine, values)
    costs = [case.costs(edited) for case in cases]

    def joined(figure: Callable[[EngineCosts], NDArray[Any]]) -> Floats:
        return np.concatenate(
            [np.float64(case.steps) * figure(each)[0] for case, each in zip(cases, costs, strict=True)]
        )

    calls = joined(lambda each: np.ones_like(each.cycles))
    products = joined(lambda each: each.terms["cpu"])
    in_dense = joined(lambda each: each.weight_format == each.formats.index("dense")) > 0
    kernels = {
        PRODUCT: np.where(in_dense, products, 0.0),
        SPARSE: np.where(in_dense, 0.0, products),
        ELEMENTWISE: joined(lambda each: each.compute_cycles) - products - round(values[PER_LAYER]) * calls,
    }
    return Parts(
        kernels={each: cycles / (values[MEMORY_WAIT] * values[each]) for each, cycles in kernels.items()},
        calls=calls,
        streams=joined(lambda each: np.maximum.reduce([*each.memory_cycles.values()])),
        case_of=np.repeat(np.arange(len(cases)), [each.cycles.size for each in costs]),
    )


def _formats(costs: EngineCosts) -> set[str]:
    return {costs.formats[code] for code in costs.weight_format[0]}


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
