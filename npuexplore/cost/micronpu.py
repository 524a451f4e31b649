"""The generic microNPU: a MAC array, a weight decoder, a map of non-zero blocks.

cycles = max(mac, decode, each memory) + overhead + activation: the matrix-vector products overlap with
their streams; filling, draining and the element-wise work do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, matrix_values, sum_layers
from npuexplore.cost.compute import (
    EngineCosts,
    StorageOption,
    fastest_no_larger,
    mac_array_cycles,
    rate_cycles,
    tile_cycles,
)
from npuexplore.cost.traffic import Route, activation_bytes, region_bytes, region_cycles
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.units import IntArray, ceil_div
from npuexplore.workload.counts import Counts, NetworkTables


def layer_costs(engine: MicroNpu, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans; each layer takes the fastest format no larger than dense."""
    moved_activations = activation_bytes(tables, shapes)
    options = [
        _option(engine, route, tables, shapes, stored=stored, moved_activations=moved_activations)
        for stored in _stored(engine, tables, shapes)
    ]
    index, best = fastest_no_larger(options)
    mac, decode, executed = best.carried
    activation = _activation_cycles(engine, tables, shapes)
    overhead = engine.cycles_per_layer + engine.cycles_per_block_row * tables.gates * ceil_div(
        shapes.units, engine.block_row_outputs
    )
    moved = region_bytes(route, weights=best.stored_bytes, activations=moved_activations)
    return EngineCosts(
        terms={"mac": mac, "decode": decode, "activation": activation, "overhead": overhead},
        compute_cycles=np.maximum(mac, decode) + overhead + activation,
        cycles=best.busy_cycles + overhead + activation,
        memory_cycles=region_cycles(route, moved),
        memory_bytes=moved,
        weight_bytes=best.stored_bytes,
        weight_format=index,
        formats=tuple(option.format for option in options),
        executed_macs=executed,
        elementwise_ops=shapes.units * (tables.elementwise_per_unit + tables.lut_per_unit),
    )


@dataclass(frozen=True)
class _Stored:
    """One format of the matrices of P plans."""

    name: str
    bits: IntArray
    """(P, M)"""
    decoded: Counts
    """(P, M) weights that leave the decoder."""
    skips: bool
    """Whether the array skips what is not decoded."""


def _stored(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Iterator[_Stored]:
    bits, elems, kept = matrix_values(shapes.weight_bits, tables), shapes.elems, shapes.kept_elems
    yield _Stored("dense", encoding.dense_bits(elems, bits=bits), elems, skips=False)
    skips_weights = engine.sparsity_mode == "zero_skip"
    single = kept if skips_weights else elems
    if "bitmap" in engine.formats:
        size = encoding.bitmap_bits(elems, kept=kept, bits=bits)
        yield _Stored("bitmap", size, single, skips=skips_weights)
    if "csr_delta8" in engine.formats:
        size = encoding.csr_bits(kept, rows=tables.matrix_gates * shapes.rows, bits=bits)
        yield _Stored("csr_delta8", size, single, skips=skips_weights)
    if "block_bitmap" in engine.formats:
        yield _stored_blocks(engine, tables, shapes)


def _stored_blocks(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> _Stored:
    rows, columns = engine.granule
    granules = tables.matrix_gates * ceil_div(shapes.rows, rows) * ceil_div(shapes.columns, columns)
    share = encoding.surviving_frac(
        zeros_frac=shapes.zeros_frac,
        granule=engine.granule,
        block_rows=shapes.block_rows,
        block_columns=shapes.block_columns,
    )
    surviving = np.rint(granules * matrix_values(share, tables)).astype(np.int64)
    size = encoding.block_bits(
        surviving,
        blocks=granules,
        block_elems=rows * columns,
        bits=matrix_values(shapes.weight_bits, tables),
        map_bits=engine.map_bits_per_granule,
    )
    skips = engine.sparsity_mode in ("block_skip", "zero_skip")
    decoded = surviving * (rows * columns) if skips else shapes.elems
    return _Stored("block_bitmap", size, decoded, skips=skips)


def _option(
    engine: MicroNpu,
    route: Route,
    tables: NetworkTables,
    shapes: PlanShapes,
    *,
    stored: _Stored,
    moved_activations: Counts,
) -> StorageOption:
    macs_per_cycle = engine.outputs_per_cycle * engine.inputs_per_cycle
    decoded = sum_layers(stored.decoded, tables)
    if stored.skips:
        array = mac_array_cycles(np.maximum(decoded, shapes.kept_weights), macs_per_cycle=macs_per_cycle)
    else:
        tiles = tables.matrix_gates * tile_cycles(
            rows=shapes.rows,
            columns=shapes.columns,
            outputs=engine.outputs_per_cycle,
            inputs=engine.inputs_per_cycle,
        )
        array = sum_layers(tiles, tables)
    mac = array * _passes(engine, tables, shapes)
    decoded_bytes = encoding.to_bytes(decoded * shapes.weight_bits)
    decode = rate_cycles(decoded_bytes, per_cycle=engine.decoded_bytes_per_cycle)
    stored_bytes = sum_layers(encoding.to_bytes(stored.bits), tables)
    memory = region_cycles(
        route, region_bytes(route, weights=stored_bytes, activations=moved_activations)
    ).values()
    return StorageOption(
        format=stored.name,
        busy_cycles=np.maximum.reduce([mac, decode, *memory]),
        stored_bytes=stored_bytes,
        usable=None,
        carried=(mac, decode, decoded),
    )


def _passes(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P, L) passes over the array for the bit-widths of each layer."""
    wide = np.where(shapes.activation_bits == 16, engine.mac_passes_16bit_activations, 1)
    passes: Counts = wide * np.where(shapes.weight_bits == 4, engine.mac_passes_4bit_weights, 1)
    return passes


def _activation_cycles(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Counts:
    lut = rate_cycles(shapes.units * tables.lut_per_unit, per_cycle=engine.lut_elems_per_cycle)
    elementwise = rate_cycles(
        shapes.units * tables.elementwise_per_unit, per_cycle=engine.elementwise_ops_per_cycle
    )
    cycles: Counts = lut + elementwise
    return cycles
