"""Resident bytes: what flash holds, what SRAM holds at its fullest."""

from __future__ import annotations

import numpy as np

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.front_end import FrontEndCosts
from npuexplore.hardware.engines import Engine
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.profile import Runtime
from npuexplore.units import round_up
from npuexplore.workload.counts import Counts, NetworkTables

ARENA_ALIGNMENT_BYTES = 16
"""Tensors start on 16 bytes in TensorFlow Lite Micro and in Vela."""


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


def state_bytes(tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P,) h of every recurrent layer and c of every LSTM, alive all the time."""
    width = shapes.activation_bits // 8
    hidden = round_up(shapes.units * width, ARENA_ALIGNMENT_BYTES) * tables.recurrent
    cell = round_up(shapes.units * 2, ARENA_ALIGNMENT_BYTES) * np.array(
        [kind == "lstm" for kind in tables.kinds]
    )
    total: Counts = (hidden + cell).sum(axis=1)
    return total


def arena_bytes(tables: NetworkTables, shapes: PlanShapes, *, engine: Engine) -> Counts:
    """(P,) greatest sum of a layer's input, scratch and output; layers run one after the other."""
    scratch = np.array([_scratch_bytes_per_unit(engine, kind) for kind in tables.kinds])
    width = shapes.activation_bits // 8
    alive = (
        round_up(shapes.inputs * width, ARENA_ALIGNMENT_BYTES)
        + round_up(shapes.units * width, ARENA_ALIGNMENT_BYTES)
        + scratch * round_up(shapes.units, ARENA_ALIGNMENT_BYTES)
    )
    peak: Counts = alive.max(axis=1)
    return peak


def _scratch_bytes_per_unit(engine: Engine, kind: str) -> int:
    if kind == "dense":
        return 0
    if isinstance(engine, EthosU):
        return (engine.lstm if kind == "lstm" else engine.gru).scratch_bytes_per_unit
    return engine.lstm_scratch_bytes_per_unit if kind == "lstm" else engine.gru_scratch_bytes_per_unit
