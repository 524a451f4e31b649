"""NPU cycles of what joins products: copies, clamps, look-ups, additions, multiplications."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import Blocks, Volumes, copy_blocks, elementwise_blocks
from npuexplore.cost.ethos_u.commands import (
    CommandCycles,
    first_read_cycles,
    last_write_cycles,
    pipeline,
    side_by_side,
)
from npuexplore.cost.ethos_u.streams import BRICK_ELEMS, burst_bytes, read_run_bytes, write_run_bytes
from npuexplore.hardware.ethos_u import EthosU, EthosU55, EthosU85
from npuexplore.hardware.profile import MemoryRegion
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

POOLING_STEP_CYCLES = 4
"""Least cycles of a pooling step of a microblock, per two bits of input."""


@dataclass(frozen=True)
class Copies:
    """Copies, clamps and look-ups, which run as poolings of one; arrays broadcast with each other."""

    outputs: Counts
    elem_bytes: Counts
    brick_input: Flags | bool
    brick_output: Flags | bool
    activation: Flags | bool
    """Whether the command is an activation function of its own."""


def copy_cycles(
    engine: EthosU, copies: Copies, *, input_memory: MemoryRegion, output_memory: MemoryRegion
) -> CommandCycles:
    """Cycles of copying, clamping or looking up."""
    blocks = copy_blocks_of(engine, copies)
    filled = np.minimum(copies.outputs, blocks.depth)
    ublocks = ceil_div(filled, blocks.ublock_depth)
    constant = isinstance(engine, EthosU55) and not engine.pooling_cycles_scale_with_bits
    steps = POOLING_STEP_CYCLES * ublocks * (1 if constant else 4 * copies.elem_bytes)
    mac = steps + np.where(ublocks == 1, engine.block_delay_cycles, 0)
    read_runs, write_runs = _copy_runs(engine, copies, blocks)
    moved = filled * copies.elem_bytes
    return pipeline(
        mac=mac // side_by_side(engine),
        output=np.ceil(_copy_output_cycles(engine, copies) * filled),
        bias=np.zeros(np.shape(copies.outputs)),
        blocks=ceil_div(copies.outputs, blocks.ublock_depth) / ublocks,
        read=first_read_cycles(input_memory, moved, read_runs),
        write=last_write_cycles(output_memory, moved, write_runs),
        divisor=engine.command_overlap_divisor,
    )


def copy_bytes(
    engine: EthosU, copies: Copies, *, input_memory: MemoryRegion, output_memory: MemoryRegion
) -> tuple[Counts, Counts]:
    """(read, written) bytes on the bus of copies."""
    read_runs, write_runs = _copy_runs(engine, copies, copy_blocks_of(engine, copies))
    padded = round_up(copies.outputs, BRICK_ELEMS)
    read = np.where(copies.brick_input, padded, copies.outputs) * copies.elem_bytes
    written = np.where(copies.brick_output, padded, copies.outputs) * copies.elem_bytes
    return (
        burst_bytes(read, read_runs, burst=input_memory.burst_bytes),
        burst_bytes(written, write_runs, burst=output_memory.burst_bytes),
    )


def copy_blocks_of(engine: EthosU, copies: Copies) -> Blocks:
    """Block shapes of copies."""
    return copy_blocks(engine, copies.outputs, elem_bytes=copies.elem_bytes, activation=copies.activation)


def _copy_output_cycles(engine: EthosU, copies: Copies) -> Floats | float:
    if isinstance(engine, EthosU85):
        table = engine.output_cycles
        moved = np.where(copies.elem_bytes == 1, table.out_8bit, table.out_16bit)
        return np.where(copies.activation, engine.activation_cycles.lut, moved)
    assert isinstance(engine, EthosU55)
    return engine.output_cycles.other


def _copy_runs(engine: EthosU, copies: Copies, blocks: Blocks) -> tuple[Counts, Counts]:
    """(read, written) bytes that lie together."""
    read = read_run_bytes(
        elems=copies.outputs,
        elem_bytes=copies.elem_bytes,
        block_depth=blocks.ifm_depth,
        block_width=blocks.ifm_width,
        tensor_width=1,
        bricks=copies.brick_input,
    )
    written = write_run_bytes(
        elems=copies.outputs,
        elem_bytes=copies.elem_bytes,
        block_depth=blocks.depth,
        block_width=blocks.width,
        tensor_width=1,
        bricks=copies.brick_output,
        cores=side_by_side(engine),
    )
    return read, written


@dataclass(frozen=True)
class Elementwise:
    """Additions and multiplications of two tensors; arrays broadcast with each other."""

    outputs: Counts
    input_bytes: tuple[Counts, Counts]
    """Of one element of each operand."""
    brick_inputs: tuple[bool, bool]
    output_bytes: Counts
    brick_output: bool
    output_cycles: Floats | float
    """Cycles per element; see `elementwise_output_cycles`."""


def elementwise_output_cycles(engine: EthosU, kind: str, *, output_bytes: Counts, fused_lut: bool) -> Floats:
    """Cycles per element of an `add` or `mul`, a fused look-up included."""
    if isinstance(engine, EthosU85):
        table = engine.output_cycles
        cycles = np.where(output_bytes == 1, table.out_8bit, table.out_16bit)
    else:
        assert isinstance(engine, EthosU55)
        rate = engine.output_cycles.add if kind == "add" else engine.output_cycles.wide
        cycles = np.full(np.shape(output_bytes), rate)
    return np.asarray(np.maximum(cycles, engine.activation_cycles.lut if fused_lut else 0.0))


def elementwise_cycles(
    engine: EthosU,
    work: Elementwise,
    *,
    input_memories: tuple[MemoryRegion, MemoryRegion],
    output_memory: MemoryRegion,
) -> CommandCycles:
    """Cycles of element-wise commands."""
    elems = round_up(work.outputs, BRICK_ELEMS) if work.brick_output else work.outputs
    block = elementwise_blocks(engine, work.outputs, input_bytes=work.input_bytes[0])
    filled = np.minimum(work.outputs, block.depth)
    *read_runs, write_runs = _elementwise_runs(engine, work, block)
    accesses = [
        first_read_cycles(memory, filled * size, runs)
        for memory, size, runs in zip(input_memories, work.input_bytes, read_runs, strict=True)
    ]
    accesses.append(last_write_cycles(output_memory, filled * work.output_bytes, write_runs))
    started = (
        np.maximum.reduce(accesses) / block.elems + work.output_cycles
    ) / engine.command_overlap_divisor
    output, issue = np.ceil(work.output_cycles * elems), np.ceil(started * elems)
    none = np.zeros(np.shape(work.outputs), np.int64)
    npu = np.asarray(np.maximum(output, issue).astype(np.int64))
    return CommandCycles(
        npu=npu,
        mac=none,
        output=np.asarray(output.astype(np.int64)),
        issue=np.asarray(issue.astype(np.int64)),
        busy=npu,
        tail=none,
        read=none,
        write=none,
    )


def elementwise_bytes(
    engine: EthosU,
    work: Elementwise,
    *,
    input_memories: tuple[MemoryRegion, MemoryRegion],
    output_memory: MemoryRegion,
) -> tuple[Counts, Counts, Counts]:
    """(read, read, written) bytes on the bus of element-wise commands.

    Vela takes the second operand to be as long as the first, which may be stored in whole bricks.
    """
    block = elementwise_blocks(engine, work.outputs, input_bytes=work.input_bytes[0])
    *read_runs, write_runs = _elementwise_runs(engine, work, block)
    padded = round_up(work.outputs, BRICK_ELEMS)
    stored = padded if work.brick_inputs[0] else work.outputs
    first, second = (
        burst_bytes(stored * size, runs, burst=memory.burst_bytes)
        for memory, size, runs in zip(input_memories, work.input_bytes, read_runs, strict=True)
    )
    written = (padded if work.brick_output else work.outputs) * work.output_bytes
    return first, second, burst_bytes(written, write_runs, burst=output_memory.burst_bytes)


def _elementwise_runs(engine: EthosU, work: Elementwise, block: Volumes) -> tuple[Counts, Counts, Counts]:
    """(read, read, written) bytes that lie together."""
    first, second = (
        read_run_bytes(
            elems=work.outputs,
            elem_bytes=size,
            block_depth=block.depth,
            block_width=block.width,
            tensor_width=1,
            bricks=bricks,
        )
        for size, bricks in zip(work.input_bytes, work.brick_inputs, strict=True)
    )
    written = write_run_bytes(
        elems=work.outputs,
        elem_bytes=work.output_bytes,
        block_depth=block.depth,
        block_width=block.width,
        tensor_width=1,
        bricks=work.brick_output,
        cores=side_by_side(engine),
    )
    return first, second, written
