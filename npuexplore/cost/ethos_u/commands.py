"""NPU cycles of one command, and those of matrix-vector products.

A command's output is cut into blocks. Three stages overlap over the blocks: the MAC array, the output
stage (scaling, activation, bias stream), and issuing the next block's command.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import Blocks, product_blocks
from npuexplore.cost.ethos_u.search import searched_blocks
from npuexplore.cost.ethos_u.streams import (
    BRICK_ELEMS,
    block_cycles,
    burst_bytes,
    read_run_bytes,
    write_run_bytes,
)
from npuexplore.hardware.ethos_u import EthosU, EthosU55, EthosU85
from npuexplore.hardware.profile import MemoryRegion
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BIAS_STREAM_DIVISOR = 256
"""Vela spreads the latency of the bias stream over this many bytes."""


@dataclass(frozen=True)
class Products:
    """What matrix-vector products are asked to do; arrays that broadcast with each other."""

    inputs: Counts
    outputs: Counts
    input_bytes: Counts
    """Of one element."""
    output_bytes: Counts
    output_cycles: Floats
    """Cycles per element of the output stage, fused activation included; see `product_output_cycles`."""
    brick_input: Flags | bool
    """Whether the input lies in bricks (an intermediate tensor) or rows (state, network input)."""
    brick_output: Flags | bool
    two_four: Flags
    """Whether the weights are in the 2:4 format."""
    positions: int = 1
    """Vectors that are multiplied by the same weights, along the width of the feature maps."""


@dataclass(frozen=True)
class CommandCycles:
    """Cycles of commands, and what they are made of."""

    npu: Counts
    """All of a command that is not sliced, memories being idle otherwise."""
    mac: Counts
    """Of the MAC array alone."""
    output: Counts
    """Of the output stage alone."""
    issue: Counts
    """Of issuing one block."""
    busy: Counts
    """`npu` without the first read and the last write."""
    tail: Counts
    """What `busy` ends with: the last block's other stage."""
    read: Counts
    """First access and transfer of an input block."""
    write: Counts
    """Last transfer of an output block."""


def product_output_cycles(
    engine: EthosU, *, input_bytes: Counts, output_bytes: Counts, activation: str
) -> Floats:
    """Cycles per element of the output stage of a product; activation in none, relu, lut."""
    if isinstance(engine, EthosU85):
        table = engine.output_cycles
        cycles = np.where(output_bytes == 1, table.out_8bit, table.out_16bit)
    else:
        assert isinstance(engine, EthosU55)
        cycles = np.where(input_bytes == 1, engine.output_cycles.other, engine.output_cycles.wide)
    fused = {"none": 0.0, "relu": engine.activation_cycles.relu, "lut": engine.activation_cycles.lut}
    return np.asarray(np.maximum(cycles, fused[activation]))


def product_cycles(
    engine: EthosU,
    products: Products,
    *,
    input_memory: MemoryRegion,
    output_memory: MemoryRegion,
    bias_latency_cycles: int,
    blocks: Blocks | None = None,
) -> CommandCycles:
    """Cycles of products at one position or several.

    bias_latency_cycles : read latency of the memory that weights and biases are read from or staged in
    """
    blocks = blocks or blocks_of(engine, products)
    filled = np.minimum(products.outputs, blocks.depth)
    across = np.minimum(products.positions, blocks.width)
    ublock_width = _working_width(engine, products, blocks)
    deep, wide = ceil_div(filled, blocks.ublock_depth), ceil_div(across, ublock_width)
    mac = _mac_cycles(engine, products, blocks, deep=deep, wide=wide)
    bias = engine.bias_stream_bytes * filled * bias_latency_cycles / BIAS_STREAM_DIVISOR
    output = np.ceil(products.output_cycles * across * filled)
    read, write = _first_and_last(
        engine, products, blocks, input_memory=input_memory, output_memory=output_memory
    )
    whole = ceil_div(products.outputs, blocks.ublock_depth) * ceil_div(products.positions, ublock_width)
    count = whole / (deep * wide)
    return pipeline(
        mac=mac,
        output=output,
        bias=bias,
        blocks=count,
        read=read,
        write=write,
        divisor=engine.command_overlap_divisor,
    )


def blocks_of(engine: EthosU, products: Products) -> Blocks:
    """Block shapes of products."""
    if products.positions == 1:
        return product_blocks(
            engine,
            inputs=products.inputs,
            outputs=products.outputs,
            input_bytes=products.input_bytes,
            two_four=products.two_four,
        )
    return searched_blocks(
        engine,
        inputs=products.inputs,
        outputs=products.outputs,
        positions=products.positions,
        input_bytes=products.input_bytes,
        two_four=products.two_four,
    )


def product_bytes(
    engine: EthosU,
    products: Products,
    *,
    input_memory: MemoryRegion,
    output_memory: MemoryRegion,
    blocks: Blocks | None = None,
) -> tuple[Counts, Counts]:
    """(read, written) bytes of feature maps on the bus, wasted parts of bursts included."""
    blocks = blocks or blocks_of(engine, products)
    across = np.minimum(products.positions, blocks.width)
    passes = ceil_div(products.outputs, np.minimum(products.outputs, blocks.depth))
    passes = passes * ceil_div(products.positions, across) * np.minimum(products.positions, blocks.ifm_width)
    stored = np.where(products.brick_input, round_up(products.inputs, BRICK_ELEMS), products.inputs)
    written = np.where(products.brick_output, round_up(products.outputs, BRICK_ELEMS), products.outputs)
    written = written * products.positions
    read_runs, write_runs = _runs(engine, products, blocks)
    return (
        burst_bytes(stored * passes * products.input_bytes, read_runs, burst=input_memory.burst_bytes),
        burst_bytes(written * products.output_bytes, write_runs, burst=output_memory.burst_bytes),
    )


def weight_passes(products: Products, blocks: Blocks) -> Counts:
    """How often the weights are read: once for every row of blocks along the positions."""
    return np.asarray(ceil_div(products.positions, np.minimum(products.positions, blocks.width)))


def pipeline(
    *, mac: Counts, output: Floats, bias: Floats, blocks: Floats, read: Counts, write: Counts, divisor: int
) -> CommandCycles:
    """Cycles of all blocks of a command, the shorter stage hidden behind the longer one."""
    stage = np.maximum(output, bias)
    issue = (np.where(blocks > 1, np.abs(write - read), 0) + mac + stage) / divisor
    first, second = np.maximum(mac, issue), np.maximum(stage, issue)
    head = np.floor(first * blocks)
    busy = np.where(first > second, np.floor(head + second), np.floor(second * blocks + first))
    whole = np.asarray(busy.astype(np.int64))
    return CommandCycles(
        npu=whole + read + write,
        mac=np.asarray((mac * blocks + stage).astype(np.int64)),
        output=np.asarray((output * blocks + mac).astype(np.int64)),
        issue=np.asarray(issue.astype(np.int64)),
        busy=whole,
        tail=np.asarray((whole - np.where(first > second, head, np.floor(second * blocks))).astype(np.int64)),
        read=read,
        write=write,
    )


def side_by_side(engine: EthosU) -> int:
    """Cores that share a command's blocks; an Ethos-U85's blocks are shared already."""
    return 1 if isinstance(engine, EthosU85) else engine.cores


def first_read_cycles(memory: MemoryRegion, moved_bytes: Counts, run_bytes: Counts) -> Counts:
    """Cycles of an input block's way in."""
    return block_cycles(
        moved_bytes,
        run_bytes,
        latency=memory.read_latency_cycles,
        burst=memory.burst_bytes,
        rate=memory.bytes_per_cycle,
    )


def last_write_cycles(memory: MemoryRegion, moved_bytes: Counts, run_bytes: Counts) -> Counts:
    """Cycles of an output block's way out."""
    return block_cycles(
        moved_bytes,
        run_bytes,
        latency=memory.write_latency_cycles,
        burst=memory.burst_bytes,
        rate=memory.bytes_per_cycle,
    )


def _working_width(engine: EthosU, products: Products, blocks: Blocks) -> Counts:
    """Width of the microblocks at work: one of two rows spreads along an even number of positions."""
    if isinstance(engine, EthosU85) or products.positions % 2:
        return blocks.ublock_width
    return np.asarray(blocks.ublock_width * blocks.ublock_height)


def _mac_cycles(engine: EthosU, products: Products, blocks: Blocks, *, deep: Counts, wide: Counts) -> Counts:
    """Cycles of the MAC array for one output block, `deep` by `wide` microblocks."""
    depth = np.minimum(products.inputs, blocks.ifm_depth)
    sixteen = products.input_bytes > 1
    delay = np.where(sixteen, engine.block_delay_16bit_cycles, engine.block_delay_cycles)
    every = isinstance(engine, EthosU55) and engine.delays_every_ublock_16bit
    repeated = np.where((deep > 1) & sixteen, delay * deep * every, 0)
    delay = np.where((deep == 1) & (wide == 1), delay, repeated)
    passes = ceil_div(products.inputs, depth)
    floor = engine.decode_cycles_per_output * blocks.ublock_depth
    if isinstance(engine, EthosU85):
        floor = floor // engine.cores
        steps = ceil_div(depth, 8)
        whole = np.maximum(floor, depth // 8 * wide) * deep * products.input_bytes
        part = np.maximum(floor, 4 * wide) * deep * steps
        cycles = np.where(blocks.part_kernel, part, whole)
        cycles = np.where(products.two_four, cycles // 2, cycles)
        return np.asarray((cycles + delay * np.where(blocks.part_kernel, steps, 1)) * passes)
    return np.asarray((np.maximum(floor, 4 * wide) * deep + delay) * passes // engine.cores)


def _runs(engine: EthosU, products: Products, blocks: Blocks) -> tuple[Counts, Counts]:
    """(read, written) bytes that lie together."""
    read = read_run_bytes(
        elems=products.inputs,
        elem_bytes=products.input_bytes,
        block_depth=blocks.ifm_depth,
        block_width=blocks.ifm_width,
        tensor_width=products.positions,
        bricks=products.brick_input,
    )
    written = write_run_bytes(
        elems=products.outputs,
        elem_bytes=products.output_bytes,
        block_depth=blocks.depth,
        block_width=blocks.width,
        tensor_width=products.positions,
        bricks=products.brick_output,
        cores=side_by_side(engine),
    )
    return read, written


def _first_and_last(
    engine: EthosU,
    products: Products,
    blocks: Blocks,
    *,
    input_memory: MemoryRegion,
    output_memory: MemoryRegion,
) -> tuple[Counts, Counts]:
    """Cycles of the first input block's way in and the last output block's way out."""
    read_runs, write_runs = _runs(engine, products, blocks)
    taken = np.minimum(products.inputs, blocks.ifm_depth) * np.minimum(products.positions, blocks.ifm_width)
    given = np.minimum(products.outputs, blocks.depth) * np.minimum(products.positions, blocks.width)
    return (
        first_read_cycles(input_memory, taken * products.input_bytes, read_runs),
        last_write_cycles(output_memory, given * products.output_bytes, write_runs),
    )
