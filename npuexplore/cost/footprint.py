"""Resident bytes: what flash holds, and what SRAM holds at every step of a frame.

The steps are `analysis` (the front end up to the bands), the layers in order, and `synthesis` (mask,
inverse FFT, overlap-add). Every tensor is alive from the step that writes it to the last one that reads
it; tensors that are never alive together share memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.front_end import FrontEndCosts
from npuexplore.cost.traffic import Route
from npuexplore.hardware.engines import Engine
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.profile import HardwareProfile, Runtime
from npuexplore.units import round_up
from npuexplore.workload.counts import Counts, NetworkTables

ARENA_ALIGNMENT_BYTES = 16
"""Tensors start on 16 bytes in TensorFlow Lite Micro and in Vela."""
CELL_BYTES = 2
"""The cell state c of an LSTM has 16 bits at any activation width."""


@dataclass(frozen=True)
class Tensor:
    """A stretch of memory and the steps, both included, in which it is alive."""

    name: str
    size_bytes: Counts | int
    """(P,), or one size for all plans."""
    first_step: int
    last_step: int


def flash_bytes(
    *, weight_bytes: Counts, bias_bytes: Counts, matrices: int, runtime: Runtime, front_end: FrontEndCosts
) -> Counts:
    """(P,) weights as stored, biases, scales, tables and code.

    weight_bytes : (P, L) ; bias_bytes : (P,)
    """
    fixed = runtime.code_bytes + runtime.lut_bytes + front_end.table_bytes
    total: Counts = weight_bytes.sum(axis=1) + bias_bytes + matrices * runtime.scale_bytes_per_matrix + fixed
    return total


def bias_bytes(tables: NetworkTables, shapes: PlanShapes, *, bytes_per_output: int) -> Counts:
    """(P,) biases and scales of all matrix-vector products."""
    total: Counts = (tables.matrix_gates * shapes.rows).sum(axis=1) * bytes_per_output
    return total


def step_names(layers: Iterable[str]) -> tuple[str, ...]:
    """The steps of a frame.

    >>> step_names(["fc_1"])
    ('analysis', 'fc_1', 'synthesis')
    """
    return ("analysis", *layers, "synthesis")


def arena_over_time(
    profile: HardwareProfile,
    route: Route,
    tables: NetworkTables,
    shapes: PlanShapes,
    *,
    costs: EngineCosts,
    front_end: FrontEndCosts,
) -> Counts:
    """(S, P) bytes alive in the activations' memory at each step; the greatest is what SRAM must hold."""
    tensors = [
        *fixed_tensors(front_end, profile.runtime, steps=len(tables.kinds) + 2),
        *resident_weights(profile, route, tables, shapes, costs=costs),
    ]
    if costs.arena_bytes is None:
        tensors += network_tensors(profile.engine, route, tables, shapes)
    else:
        tensors += engine_tensors(route, tables, shapes, arena_bytes=costs.arena_bytes)
    return live_bytes(tensors, steps=len(tables.kinds) + 2, plans=shapes.units.shape[0])


def live_bytes(tensors: Iterable[Tensor], *, steps: int, plans: int) -> Counts:
    """(S, P) sum of the tensors alive at each step.

    >>> live_bytes([Tensor("x", 16, 0, 1), Tensor("y", 48, 1, 1)], steps=3, plans=1).T
    array([[16, 64,  0]])
    """
    live = np.zeros((steps, plans), np.int64)
    always = np.zeros(plans, np.int64)
    for tensor in tensors:
        if (tensor.first_step, tensor.last_step) == (0, steps - 1):
            always += tensor.size_bytes
        else:
            live[tensor.first_step : tensor.last_step + 1] += tensor.size_bytes
    live += always
    return live


def fixed_tensors(front_end: FrontEndCosts, runtime: Runtime, *, steps: int) -> Iterator[Tensor]:
    """The front end's buffers and the runtime's stack."""
    last = steps - 1
    yield Tensor("runtime", runtime.stack_bytes, 0, last)
    yield Tensor("front_end.resident", front_end.resident_bytes, 0, last)
    yield Tensor("front_end.spectrum", front_end.spectrum_bytes, 0, last)
    yield Tensor("front_end.work", front_end.work_bytes, 0, 0)
    yield Tensor("front_end.work", front_end.work_bytes, last, last)


def resident_weights(
    profile: HardwareProfile, route: Route, tables: NetworkTables, shapes: PlanShapes, *, costs: EngineCosts
) -> Iterator[Tensor]:
    """Weights and biases that lie in the activations' memory for good; none where they are streamed."""
    if route.weights == route.activations:
        biases = bias_bytes(tables, shapes, bytes_per_output=profile.runtime.bias_bytes_per_output)
        yield Tensor("weights", costs.weight_bytes.sum(axis=1) + biases, 0, len(tables.kinds) + 1)


def network_tensors(
    engine: Engine, route: Route, tables: NetworkTables, shapes: PlanShapes
) -> Iterator[Tensor]:
    """State, scratch and the tensors between layers, as TensorFlow Lite Micro keeps them."""
    layers = len(tables.kinds)
    width = shapes.activation_bits // 8
    outputs = _aligned(shapes.units * width)
    yield from _state_tensors(tables, shapes)
    for layer, kind in enumerate(tables.kinds):
        per_unit = scratch_bytes_per_unit(engine, kind)
        if per_unit:
            scratch = per_unit * _aligned(shapes.units[:, layer])
            yield Tensor(f"{layer}.scratch", scratch, layer + 1, layer + 1)
    for layer in range(layers - 1):
        as_read = _aligned(shapes.inputs[:, layer + 1] * width[:, layer + 1])
        # Where two layers differ in width, the wider of both copies is kept.
        yield Tensor(f"{layer}.output", np.maximum(outputs[:, layer], as_read), layer + 1, layer + 2)
    if route.network_io == route.activations:
        yield Tensor("bands", _aligned(shapes.inputs[:, 0] * width[:, 0]), 0, 1)
        yield Tensor("mask", outputs[:, -1], layers, layers + 1)


def engine_tensors(
    route: Route, tables: NetworkTables, shapes: PlanShapes, *, arena_bytes: Counts
) -> Iterator[Tensor]:
    """The engine's own arena while layers run; state all the time; bands and mask beside the front end."""
    last = len(tables.kinds) + 1
    for layer in range(last - 1):
        yield Tensor(f"{layer}.arena", arena_bytes[:, layer], layer + 1, layer + 1)
    yield from _state_tensors(tables, shapes)
    if route.network_io == route.activations:
        width = shapes.activation_bits // 8
        yield Tensor("bands", _aligned(shapes.inputs[:, 0] * width[:, 0]), 0, 0)
        yield Tensor("mask", _aligned(shapes.units[:, -1] * width[:, -1]), last, last)


def _state_tensors(tables: NetworkTables, shapes: PlanShapes) -> Iterator[Tensor]:
    """h of every recurrent layer and c of every LSTM, alive all the time."""
    last = len(tables.kinds) + 1
    for layer, kind in enumerate(tables.kinds):
        units = shapes.units[:, layer]
        if tables.recurrent[layer]:
            yield Tensor(f"{layer}.h", _aligned(units * (shapes.activation_bits[:, layer] // 8)), 0, last)
        if kind == "lstm":
            yield Tensor(f"{layer}.c", _aligned(units * CELL_BYTES), 0, last)


def scratch_bytes_per_unit(engine: Engine, kind: str) -> int:
    """Gate values of a recurrent step that are alive at once."""
    if kind not in ("lstm", "gru"):
        return 0
    if isinstance(engine, EthosU):
        return (engine.lstm if kind == "lstm" else engine.gru).scratch_bytes_per_unit
    return engine.lstm_scratch_bytes_per_unit if kind == "lstm" else engine.gru_scratch_bytes_per_unit


def _aligned(size_bytes: Counts) -> Counts:
    return np.asarray(round_up(size_bytes, ARENA_ALIGNMENT_BYTES))
