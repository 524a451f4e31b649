"""Ethos-U55/U65 after Vela's cost model: a list of commands, each bound by its work or its memories.

An LSTM gate is two fully connected commands and element-wise ones. NPU cycles do not depend on the
weights' values; zeros and low bit-widths act through encoded bytes. `int` of Vela = `np.floor` here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes, matrix_values, sum_layers
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.traffic import Route, region_bytes
from npuexplore.hardware.ethos_u import EthosU, Lowering
from npuexplore.hardware.profile import MemoryRegion
from npuexplore.units import ceil_div, round_up
from npuexplore.workload.counts import LUT_ACTIVATIONS, Counts, NetworkTables

ENCODED_ALIGNMENT_BYTES = 16
"""Weight and scale streams end on 16 bytes."""
BRICK_ELEMS = 16
"""Depth of one brick of a feature map in memory."""
BIAS_STREAM_DIVISOR = 256
"""Vela spreads the latency of the bias stream over this many bytes."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CommandCosts:
    """One kind of command, (P, M) or (P, L)."""

    npu_cycles: Counts
    weight_bytes: Counts
    """Encoded weights and scales read."""
    activation_bytes: Counts


def layer_costs(engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans."""
    encoded = encoded_bytes(
        engine,
        rows=shapes.rows,
        columns=shapes.columns,
        kept=shapes.kept_elems / tables.matrix_gates,
        weight_bits=matrix_values(shapes.weight_bits, tables),
    )
    products = _product_costs(engine, route, tables, shapes, encoded=encoded)
    product_cycles = _bound_cycles(products, route) * tables.matrix_gates
    glue = _glue_costs(engine, route, tables, shapes)
    decode = sum_layers(products.npu_cycles * tables.matrix_gates, tables)
    activation = glue.npu_cycles
    weight_traffic = sum_layers(products.weight_bytes * tables.matrix_gates, tables)
    activation_traffic = sum_layers(products.activation_bytes * tables.matrix_gates, tables)
    activation_traffic = activation_traffic + glue.activation_bytes
    moved = region_bytes(route, weights=weight_traffic, activations=activation_traffic)
    return EngineCosts(
        terms={
            "mac": ceil_div(shapes.weights, engine.macs_per_cycle),
            "decode": decode,
            "activation": activation,
        },
        compute_cycles=decode + activation,
        cycles=sum_layers(product_cycles, tables) + activation,
        memory_cycles={name: _stream_cycles(amount, _memory(route, name)) for name, amount in moved.items()},
        memory_bytes=moved,
        weight_bytes=sum_layers(encoded * tables.matrix_gates, tables),
        weight_format=np.zeros(decode.shape, np.int8, order="F"),
        formats=("mlw",),
        executed_macs=shapes.weights,
        elementwise_ops=shapes.units * (tables.elementwise_per_unit + tables.lut_per_unit),
    )


def product_npu_cycles(
    engine: EthosU,
    *,
    inputs: Counts,
    outputs: Counts,
    input_bytes: Counts,
    output_bytes: Counts,
    cycles_per_elem: Floats | float,
    activation_memory: MemoryRegion,
    bias_latency_cycles: int,
) -> Counts:
    """NPU cycles of a fully connected command at batch 1.

    inputs, outputs : (P, M) ; input_bytes, output_bytes : (P, M) bytes of one element ;
    cycles_per_elem : (M,) of the output unit, activation included
    """
    depth = engine.ofm_ublock_depth_elems
    block = round_up(np.minimum(outputs, engine.ofm_block_max_elems), depth)
    filled = np.minimum(outputs, block)
    ublocks = ceil_div(filled, depth)
    input_limit = np.where(input_bytes == 1, engine.ifm_block_8bit_elems, engine.ifm_block_16bit_elems)
    input_block = np.minimum(inputs, round_up(np.minimum(inputs, input_limit), engine.ifm_ublock_depth_elems))
    decode = engine.ifm_block_8bit_elems * depth // engine.weights_decoded_per_cycle
    delay = np.where(ublocks == 1, engine.first_block_delay_cycles, 0)
    mac = (decode * ublocks + delay) * ceil_div(inputs, input_block) // engine.cores
    bias = engine.bias_stream_bytes * filled * bias_latency_cycles / BIAS_STREAM_DIVISOR
    output = np.maximum(np.ceil(cycles_per_elem * filled), bias)
    read = _block_cycles(input_block * input_bytes, input_block * input_bytes, activation_memory, read=True)
    written = np.minimum(BRICK_ELEMS * output_bytes * engine.cores, block * output_bytes)
    write = _block_cycles(filled * output_bytes, written, activation_memory, read=False)
    blocks = ceil_div(outputs, depth) / ublocks
    busy = _pipeline(mac, output, blocks, read, write, divisor=engine.command_overlap_divisor)
    return np.asarray((busy + read + write).astype(np.int64))


def elementwise_npu_cycles(
    engine: EthosU, *, outputs: Counts, cycles_per_elem: float, memory: MemoryRegion
) -> Counts:
    """NPU cycles of an int16 ADD or MUL over `outputs` elements (P, L)."""
    padded = round_up(outputs, BRICK_ELEMS)
    block = round_up(np.minimum(outputs, engine.ofm_block_max_elems), engine.ofm_ublock_depth_elems)
    moved = 2 * np.minimum(outputs, block)
    latency = np.maximum(
        _block_cycles(moved, moved, memory, read=True), _block_cycles(moved, moved, memory, read=False)
    )
    started = (latency / (engine.ofm_ublock_width_elems * block) + cycles_per_elem) / (
        engine.command_overlap_divisor
    )
    return np.asarray(
        np.maximum(np.ceil(cycles_per_elem * padded), np.ceil(started * padded)).astype(np.int64)
    )


def copy_npu_cycles(engine: EthosU, *, outputs: Counts, elem_bytes: int, memory: MemoryRegion) -> Counts:
    """NPU cycles of a copy, clamp or table look-up of `outputs` elements (P, L): a pooling of one."""
    depth = engine.ofm_ublock_depth_elems
    block = round_up(np.minimum(outputs, engine.ofm_block_max_elems), depth)
    filled = np.minimum(outputs, block)
    ublocks = ceil_div(filled, depth)
    mac = (4 * ublocks * 4 * elem_bytes + np.where(ublocks == 1, engine.first_block_delay_cycles, 0)) // (
        engine.cores
    )
    output = np.ceil(engine.output_cycles_per_elem * filled)
    read = _block_cycles(filled * elem_bytes, filled * elem_bytes, memory, read=True)
    write = _block_cycles(filled * elem_bytes, BRICK_ELEMS * elem_bytes, memory, read=False)
    blocks = ceil_div(outputs, depth) / ublocks
    busy = _pipeline(mac, output, blocks, read, write, divisor=engine.command_overlap_divisor)
    return np.asarray((busy + read + write).astype(np.int64))


def _pipeline(
    mac: Counts, output: Floats, blocks: Floats, read: Floats, write: Floats, *, divisor: int
) -> Floats:
    """Cycles of all blocks of a command, the shorter stage hidden behind the longer one."""
    command = (np.where(blocks > 1, np.abs(write - read), 0.0) + mac + output) / divisor
    first, second = np.maximum(mac, command), np.maximum(output, command)
    return np.asarray(
        np.where(
            first > second,
            np.floor(np.floor(first * blocks) + second),
            np.floor(second * blocks + first),
        )
    )


def _block_cycles(
    moved_bytes: Counts, access_bytes: Counts | int, memory: MemoryRegion, *, read: bool
) -> Floats:
    """First access and transfer of a block; accesses shorter than a burst waste the rest of it."""
    latency = memory.read_latency_cycles if read else memory.write_latency_cycles
    padded = np.floor(moved_bytes * memory.burst_bytes / np.minimum(memory.burst_bytes, access_bytes))
    return np.asarray(latency + np.floor(padded / memory.bytes_per_cycle))


def _product_costs(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, *, encoded: Counts
) -> CommandCosts:
    """One gate's product of each matrix: int16 results inside a recurrent step, else the activations'."""
    width = matrix_values(shapes.activation_bits // 8, tables)
    result = np.where(tables.recurrent[tables.matrix_layer], 2, width)
    looked_up = np.array([name in LUT_ACTIVATIONS for name in tables.activations])[tables.matrix_layer]
    slowest = max(engine.output_cycles_per_elem, engine.lut_cycles_per_elem)
    npu_cycles = product_npu_cycles(
        engine,
        inputs=shapes.columns,
        outputs=shapes.rows,
        input_bytes=width,
        output_bytes=result,
        cycles_per_elem=np.where(looked_up, slowest, engine.output_cycles_per_elem),
        activation_memory=route.activation_memory,
        bias_latency_cycles=route.weight_memory.read_latency_cycles,
    )
    scales = round_up(engine.bias_stream_bytes * shapes.rows, ENCODED_ALIGNMENT_BYTES)
    passes = ceil_div(shapes.rows, np.minimum(shapes.rows, engine.ofm_block_max_elems))
    return CommandCosts(
        npu_cycles=npu_cycles,
        weight_bytes=encoded + scales,
        activation_bytes=round_up(shapes.columns, BRICK_ELEMS) * width * passes
        + round_up(shapes.rows, BRICK_ELEMS) * result,
    )


def _bound_cycles(commands: CommandCosts, route: Route) -> Counts:
    """(P, M) cycles of one command: its work or its slowest memory."""
    moved = region_bytes(route, weights=commands.weight_bytes, activations=commands.activation_bytes)
    streams = [_stream_cycles(amount, _memory(route, name)) for name, amount in moved.items()]
    return np.asarray(np.maximum.reduce([commands.npu_cycles, *streams]))


def _glue_costs(engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes) -> CommandCosts:
    """(P, L) element-wise commands of recurrent steps; nothing in dense layers."""
    memory, units = route.activation_memory, shapes.units
    add = elementwise_npu_cycles(
        engine,
        outputs=units,
        cycles_per_elem=max(engine.add_cycles_per_elem, engine.lut_cycles_per_elem),
        memory=memory,
    )
    mul = elementwise_npu_cycles(
        engine, outputs=units, cycles_per_elem=engine.mul_cycles_per_elem, memory=memory
    )
    copy_8 = copy_npu_cycles(engine, outputs=units, elem_bytes=1, memory=memory)
    copy_16 = copy_npu_cycles(engine, outputs=units, elem_bytes=2, memory=memory)
    counts = _lowered_ops(engine, tables)
    npu = counts[0] * add + counts[1] * mul + counts[2] * copy_8 + counts[3] * copy_16
    # ADD and MUL read two int16 operands and write one; copies read one and write one.
    elems_moved = counts[0] * 6 + counts[1] * 6 + counts[2] * 2 + counts[3] * 4
    return CommandCosts(npu_cycles=npu, weight_bytes=np.zeros_like(npu), activation_bytes=elems_moved * units)


def _lowered_ops(engine: EthosU, tables: NetworkTables) -> Counts:
    """(4, L) ADD, MUL, 8-bit copy and 16-bit copy commands of each layer."""
    none = Lowering(add_ops=0, mul_ops=0, copy_8bit_ops=0, copy_16bit_ops=0, scratch_bytes_per_unit=0)
    lowered = [{"lstm": engine.lstm, "gru": engine.gru}.get(kind, none) for kind in tables.kinds]
    return np.array(
        [[step.add_ops, step.mul_ops, step.copy_8bit_ops, step.copy_16bit_ops] for step in lowered], np.int64
    ).T


def encoded_bytes(
    engine: EthosU, *, rows: Counts, columns: Counts, kept: Floats, weight_bits: Counts
) -> Counts:
    """(P, M) expected encoded bytes of one gate's matrix, on whole 16 bytes.

    kept : (P, M) non-zero weights. The matrix is padded with zeros to whole microblocks and input blocks;
    bytes per weight are interpolated over the share of zeros, blocks of zeros encoding no better than
    single ones.
    """
    padded = round_up(rows, engine.ofm_ublock_depth_elems) * round_up(columns, engine.ifm_block_8bit_elems)
    zeros_frac = 1.0 - kept / padded
    size = np.zeros(zeros_frac.shape, order="F")
    for curve in engine.encoded_size:
        chosen = weight_bits == curve.weight_bits
        if chosen.any():
            expected = np.interp(zeros_frac, curve.sparsity_frac, curve.bytes_per_weight)
            size = np.where(chosen, expected, size)
    return np.asarray(round_up(np.rint(padded * size).astype(np.int64), ENCODED_ALIGNMENT_BYTES))


def _memory(route: Route, name: str) -> MemoryRegion:
    return route.activation_memory if name == route.activations else route.weight_memory


def _stream_cycles(moved_bytes: Counts, memory: MemoryRegion) -> Counts:
    return np.asarray(np.floor(moved_bytes / memory.bytes_per_cycle).astype(np.int64))
