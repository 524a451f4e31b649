"""Cycles of the MAC array: dense tiles, what is left of them when groups are skipped, and uneven lanes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes, matrix_values, sum_layers
from npuexplore.cost.compute import mac_array_cycles, tile_cycles
from npuexplore.cost.micronpu.rates import at_weight_rate
from npuexplore.cost.micronpu.storage import Stored, two_four_slots
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts, NetworkTables


def array_cycles(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, stored: Stored) -> Counts:
    """(P, L) busy cycles of the array for one format, at every position and all bit-widths."""
    once = _cycles_at_one_position(engine, tables, shapes, stored)
    repeated = once * ceil_div(tables.positions, engine.positions_per_cycle)
    passes = np.where(shapes.activation_bits == 16, engine.mac_passes_16bit_activations, 1)
    return at_weight_rate(engine, repeated * passes, weight_bits=shapes.weight_bits)


def _cycles_at_one_position(
    engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, stored: Stored
) -> Counts:
    group = stored.skipped_group
    if group is None or stored.format == "two_four":
        columns = shapes.columns if group is None else two_four_slots(shapes.columns)
        tiles = tile_cycles(
            rows=shapes.rows,
            columns=columns,
            outputs=engine.outputs_per_cycle,
            inputs=engine.inputs_per_cycle,
        )
        return np.asarray(sum_layers(tables.matrix_gates * tiles, tables))
    if engine.keeps_lanes:
        return np.asarray(sum_layers(_fullest_lane_cycles(engine, tables, shapes, group), tables))
    return _even_cycles(engine, tables, shapes, stored)


def _even_cycles(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, stored: Stored) -> Counts:
    """(P, L) cycles when groups that are left keep all lanes busy, but for what no group fits into."""
    rows, columns = stored.skipped_group or (1, 1)
    work = np.maximum(sum_layers(stored.decoded, tables), shapes.kept_weights)
    fitting = (engine.outputs_per_cycle // rows) * (engine.inputs_per_cycle // columns)
    if fitting:
        return np.asarray(mac_array_cycles(work, macs_per_cycle=fitting * rows * columns))
    each = ceil_div(rows, engine.outputs_per_cycle) * ceil_div(columns, engine.inputs_per_cycle)
    return np.asarray(ceil_div(work, rows * columns) * each)


def _fullest_lane_cycles(
    engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, group: tuple[int, int]
) -> Counts:
    """(P, M) cycles when every row of groups keeps its lanes: each row of lanes waits for its fullest.

    Groups left in a row are taken as normal around their mean, and the fullest of n lanes at n normals'
    expected maximum. Groups of one zero block of the plan come and go together.
    """
    rows, columns = group
    lanes = max(engine.outputs_per_cycle // rows, 1)
    at_once = max(engine.inputs_per_cycle // columns, 1)
    each = ceil_div(rows, engine.outputs_per_cycle) * ceil_div(columns, engine.inputs_per_cycle)
    in_row = ceil_div(shapes.columns, columns)
    share = matrix_values(shapes.surviving_frac(group), tables)
    together = np.maximum(matrix_values(shapes.block_columns, tables) // columns, 1)
    alike = np.maximum(matrix_values(shapes.block_rows, tables) // rows, 1)
    spread = np.sqrt(in_row * together * share * (1.0 - share))
    spread = np.where(matrix_values(shapes.two_four, tables), 0.0, spread)
    most = in_row * share + _maxima(lanes)[np.minimum(ceil_div(lanes, alike), lanes)] * spread
    fullest = np.maximum(np.rint(np.minimum(most, in_row)).astype(np.int64), 1)
    turns = tables.matrix_gates * ceil_div(ceil_div(shapes.rows, rows), lanes)
    return np.asarray(turns * ceil_div(fullest, at_once) * each)


@lru_cache(maxsize=64)
def _maxima(count: int) -> NDArray[np.float64]:
    """(count + 1,) expected maxima of 0, 1, 2 ... standard normals."""
    return np.array([expected_maximum(n) for n in range(count + 1)])


def expected_maximum(count: int) -> float:
    """Expected greatest of `count` independent standard normals, by integrating over its distribution.

    >>> round(expected_maximum(1), 6), round(expected_maximum(2), 4), round(expected_maximum(8), 4)
    (0.0, 0.5642, 1.4236)
    """
    if count < 2:
        return 0.0
    x, below = _normal_distribution()
    return float(np.trapezoid(x, below**count))  # E max = integral of x dF^n


@lru_cache(maxsize=1)
def _normal_distribution() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and the share of a standard normal below each."""
    x = np.linspace(-9.0, 9.0, 3601)
    return x, np.array([0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in x])


def useful_cycles(engine: MicroNpu, shapes: PlanShapes) -> NDArray[np.float64]:
    """(P, L) cycles of the non-zero products alone, if they filled the array; at this width's rate."""
    passes = np.where(shapes.activation_bits == 16, engine.mac_passes_16bit_activations, 1)
    per_cycle = engine.outputs_per_cycle * engine.inputs_per_cycle * engine.positions_per_cycle
    factor = np.ones(shapes.weight_bits.shape)
    for rate in engine.weight_rates:
        factor[shapes.weight_bits == rate.weight_bits] = rate.mac_rate_factor
    return np.asarray(shapes.kept_macs * passes / (per_cycle * factor))
