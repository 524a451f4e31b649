"""Resident bytes: what flash holds, and what SRAM holds at every step of a frame.

The steps are `analysis` (the front end up to the bands), the layers in order, and `synthesis` (mask,
inverse FFT, overlap-add). Every tensor is alive from the step that writes it to the last one that reads
it; tensors that are never alive together share memory.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from npuexplore.compression.shapes import PlanShapes, sum_layers
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.front_end import FrontEndCosts
from npuexplore.cost.traffic import Route
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.engines import Engine
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile, Runtime
from npuexplore.units import round_up
from npuexplore.workload.counts import Counts, NetworkTables

ARENA_ALIGNMENT_BYTES = 16
"""Tensors start on 16 bytes in TensorFlow Lite Micro and in Vela."""
CHANNEL_SCALE_BYTES = 8
"""An int32 multiplier and an int32 shift of each output (CMSIS-NN: cmsis_nn_per_channel_quant_params)."""
BIAS_ALONE_BYTES = 4
"""An int32 bias; what takes more with every output holds a scale of its own already, as on Ethos-U."""
CELL_BYTES = 2
"""The cell state c of an LSTM has 16 bits at any activation width."""


def flash_bytes(
    tables: NetworkTables, shapes: PlanShapes, runtime: Runtime, *, weight_bytes: Counts
) -> Counts:
    """(P, L) weights as stored, biases and scales.

    weight_bytes : (P, L)
    """
    matrices = np.bincount(tables.matrix_layer, minlength=len(tables.kinds))
    return np.asarray(
        weight_bytes + bias_bytes(tables, shapes, runtime) + matrices * runtime.scale_bytes_per_matrix
    )


def fixed_flash_bytes(front_end: FrontEndCosts, runtime: Runtime) -> int:
    """Code and tables."""
    return runtime.code_bytes + runtime.lut_bytes + front_end.table_bytes


def bias_bytes(tables: NetworkTables, shapes: PlanShapes, runtime: Runtime) -> Counts:
    """(P, L) biases of the outputs of all matrix-vector products, and scales of those that have their own."""
    outputs = sum_layers(tables.matrix_gates * shapes.rows, tables)
    stored = np.asarray(outputs * runtime.bias_bytes_per_output)
    if shapes.channel_scales is None or runtime.bias_bytes_per_output > BIAS_ALONE_BYTES:
        return stored
    return np.asarray(stored + np.where(shapes.channel_scales, outputs * CHANNEL_SCALE_BYTES, 0))


def step_names(layers: Iterable[str]) -> tuple[str, ...]:
    """The steps of a frame.

    >>> step_names(["fc_1"])
    ('analysis', 'fc_1', 'synthesis')
    """
    return ("analysis", *layers, "synthesis")


def arena_over_time(
    *,
    own: Counts,
    edges: Counts,
    always: Counts,
    edges_in_own: bool,
    front_end: FrontEndCosts,
    runtime: Runtime,
) -> Counts:
    """(S, P) bytes alive in the activations' memory at each step; the greatest is what SRAM must hold.

    own, always : (P, L) ; edges : (P, L + 1) the tensor into each layer and the mask, alive while either
    side runs

    >>> idle = FrontEndCosts(0, 0, 0, resident_bytes=8, spectrum_bytes=0, work_bytes=4, stages={})
    >>> nothing = Runtime(code_bytes=0, stack_bytes=0, lut_bytes=0, bias_bytes_per_output=0,
    ...     scale_bytes_per_matrix=0)
    >>> arena_over_time(own=np.array([[16]]), edges=np.array([[32, 48]]), always=np.array([[16]]),
    ...     edges_in_own=False, front_end=idle, runtime=nothing).T.tolist()
    [[60, 120, 76]]
    """
    plans, layers = own.shape
    live = np.empty((layers + 2, plans), np.int64)
    live[0] = edges[:, 0] + front_end.work_bytes
    live[1:-1] = own.T
    if not edges_in_own:
        live[1:-1] += edges[:, :-1].T
        live[1:-1] += edges[:, 1:].T
    live[-1] = edges[:, -1] + front_end.work_bytes
    live += always.sum(axis=1) + fixed_bytes(front_end, runtime)
    return live


def fixed_bytes(front_end: FrontEndCosts, runtime: Runtime) -> int:
    """The runtime's stack and the front end's buffers that are alive all the time."""
    return runtime.stack_bytes + front_end.resident_bytes + front_end.spectrum_bytes


def always_bytes(
    profile: HardwareProfile, route: Route, tables: NetworkTables, shapes: PlanShapes, *, costs: EngineCosts
) -> Counts:
    """(P, L) recurrent state, and weights and biases where they are not streamed from another memory."""
    state = state_bytes(tables, shapes) if costs.held_bytes is None else costs.held_bytes
    if route.weights != route.activations:
        return state
    return np.asarray(state + costs.weight_bytes + bias_bytes(tables, shapes, profile.runtime))


def own_bytes(engine: Engine, tables: NetworkTables, shapes: PlanShapes, *, costs: EngineCosts) -> Counts:
    """(P, L) gate values of recurrent steps; the whole arena where the engine's compiler makes its own."""
    if costs.arena_bytes is not None:
        return costs.arena_bytes
    per_unit = np.array([scratch_bytes_per_unit(engine, kind) for kind in tables.kinds])
    return np.asarray(per_unit * _aligned(shapes.units))


def edge_bytes(route: Route, shapes: PlanShapes) -> Counts:
    """(P, L + 1) bytes of the tensor into each layer and of the mask, as TensorFlow Lite Micro keeps them.

    Where two layers differ in width, the wider of both copies is kept.
    """
    plans, layers = shapes.units.shape
    width = shapes.activation_bits // 8
    edges = np.empty((plans, layers + 1), np.int64, order="F")
    edges[:, :-1] = shapes.inputs * width
    edges[:, -1] = shapes.units[:, -1] * width[:, -1]
    edges[:, 1:-1] = np.maximum(edges[:, 1:-1], shapes.inputs[:, 1:] * width[:, :-1])
    if route.network_io != route.activations:
        edges[:, 0] = edges[:, -1] = 0
    return _aligned(edges)


def state_bytes(tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P, L) h of every recurrent layer and c of every LSTM, alive all the time."""
    width = shapes.activation_bits // 8
    is_lstm = np.array([kind == "lstm" for kind in tables.kinds])
    hidden, cell = _aligned(shapes.units * width), _aligned(shapes.units * CELL_BYTES)
    return np.asarray(hidden * tables.recurrent + cell * is_lstm)


def scratch_bytes_per_unit(engine: Engine, kind: str) -> int:
    """Gate values of a recurrent step that are alive at once, of engines without an arena of their own."""
    assert isinstance(engine, MicroNpu | CortexM)
    if kind not in ("lstm", "gru"):
        return 0
    return engine.lstm_scratch_bytes_per_unit if kind == "lstm" else engine.gru_scratch_bytes_per_unit


def _aligned(size_bytes: Counts) -> Counts:
    return np.asarray(round_up(size_bytes, ARENA_ALIGNMENT_BYTES))
