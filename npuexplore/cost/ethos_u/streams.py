"""Moving bytes: what bursts cost, what a block's first access costs, how long each memory is busy.

Vela divides in single precision and truncates; so do these kernels, to land on the same integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.ethos_u import EthosU, EthosU85
from npuexplore.hardware.profile import MemoryRegion
from npuexplore.units import IntArray

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

BRICK_ELEMS = 16
"""Depth of one brick of a feature map in memory (format NHCWB16)."""
WIDEST_WRITE_BYTES = 64
"""Longest run that is written of a feature map without bricks (format NHWC)."""
WORD_BYTES = 16
"""A word of the AXI bus of an Ethos-U85."""
CHANNEL_EFFICIENCY = 0.8
"""Share of its outstanding transfers, and of the rate they allow, that a channel reaches."""


@dataclass(frozen=True)
class Stream:
    """Bytes that a command moves through one memory over one channel."""

    memory: str
    channel: str
    """`ifm`, `ifm_stream`, `weight`, `fast_weight`, `scale`, `mem2mem` or `write`."""
    moved_bytes: Counts


def whole_quotient(amount: IntArray, rate: float) -> Counts:
    """Amount over rate in single precision, truncated.

    >>> whole_quotient(np.array([100, 101]), 8.0)
    array([12, 12])
    """
    quotient = np.asarray(amount).astype(np.float32) / np.float32(rate)
    return np.asarray(quotient.astype(np.int64))


def burst_bytes(moved_bytes: IntArray, run_bytes: IntArray, *, burst: int) -> Counts:
    """Bytes on the bus: runs shorter than a burst waste the rest of it.

    >>> burst_bytes(np.array([32, 32]), np.array([8, 64]), burst=32)
    array([128,  32])
    """
    return np.asarray(moved_bytes * burst // np.minimum(burst, run_bytes))


def read_run_bytes(
    *,
    elems: IntArray,
    elem_bytes: IntArray,
    block_depth: IntArray,
    block_width: IntArray,
    tensor_width: IntArray | int,
    bricks: Flags | bool,
) -> Counts:
    """Bytes of an input that lie together and are read together.

    elems : depth of the tensor ; block_depth, block_width : of the input block ; all broadcast
    """
    whole_row = block_depth * block_width * elem_bytes
    plain = np.where(elems * elem_bytes == block_depth, whole_row, block_depth * elem_bytes)
    brick = BRICK_ELEMS * elem_bytes * block_width
    brick = np.where(tensor_width * elem_bytes * BRICK_ELEMS == block_depth, whole_row, brick)
    return np.asarray(np.where(bricks, brick, plain))


def write_run_bytes(
    *,
    elems: IntArray,
    elem_bytes: IntArray,
    block_depth: IntArray,
    block_width: IntArray,
    tensor_width: IntArray | int,
    bricks: Flags | bool,
    cores: int,
) -> Counts:
    """Bytes of an output that lie together and are written together; cores write side by side."""
    whole_row = block_depth * block_width * elem_bytes
    shallow = (block_depth <= BRICK_ELEMS) & (elems * elem_bytes == block_depth)
    side_by_side = np.minimum(BRICK_ELEMS * elem_bytes * cores, block_depth * elem_bytes)
    plain = np.where(shallow, whole_row, np.minimum(WIDEST_WRITE_BYTES, side_by_side))
    brick = BRICK_ELEMS * elem_bytes * block_width * cores
    brick = np.where(tensor_width * elem_bytes * BRICK_ELEMS == block_depth, whole_row, brick)
    return np.asarray(np.where(bricks, brick, plain))


def block_cycles(
    moved_bytes: IntArray, run_bytes: IntArray, *, latency: IntArray | int, burst: int, rate: float
) -> Counts:
    """First access to a memory and transfer of one block.

    >>> block_cycles(np.array([32]), np.array([32]), latency=32, burst=32, rate=8.0)
    array([36])
    """
    return np.asarray(latency + whole_quotient(burst_bytes(moved_bytes, run_bytes, burst=burst), rate))


def channel_rate(engine: EthosU, memory: MemoryRegion, channel: str) -> float:
    """Bytes per cycle that one channel draws from or pushes into a memory.

    An Ethos-U55 or U65 has the memory's whole rate. On a U85 the transfers that may be outstanding, by
    the memory and by the channel's read buffer, limit it over the memory's latency.
    """
    if not isinstance(engine, EthosU85):
        return memory.bytes_per_cycle
    writes = channel == "write"
    outstanding = memory.max_writes if writes else memory.max_reads
    latency = memory.write_latency_cycles if writes else memory.read_latency_cycles
    if outstanding is None or latency == 0:
        return memory.bytes_per_cycle
    under_way = float(np.float32(outstanding * (memory.ports or 1) * CHANNEL_EFFICIENCY))
    if not writes:
        words = getattr(engine.read_buffer_words, channel)
        under_way = min(under_way, float(np.float32(words / max(memory.burst_bytes // WORD_BYTES, 1))))
    per_latency = float(np.float32(memory.burst_bytes * under_way) / np.float32(latency))
    return min(memory.bytes_per_cycle, float(np.float32(per_latency * CHANNEL_EFFICIENCY)))


def moved_bytes(streams: list[Stream]) -> dict[str, Counts]:
    """Bytes through each memory."""
    moved: dict[str, Any] = {}
    for stream in streams:
        moved[stream.memory] = moved.get(stream.memory, 0) + stream.moved_bytes
    return moved


def access_cycles(
    engine: EthosU, streams: list[Stream], memories: Mapping[str, MemoryRegion]
) -> dict[str, Counts]:
    """Cycles that each memory is busy with a command's streams: all of them, or its slowest channel."""
    busy: dict[str, Any] = {}
    for name in dict.fromkeys(stream.memory for stream in streams):
        memory, here = memories[name], [stream for stream in streams if stream.memory == name]
        total: Any = sum(stream.moved_bytes for stream in here)
        cycles = whole_quotient(total, memory.bytes_per_cycle)
        if isinstance(engine, EthosU85):
            for channel in dict.fromkeys(stream.channel for stream in here):
                rate = channel_rate(engine, memory, channel)
                moved: list[Any] = [s.moved_bytes for s in here if s.channel == channel]
                # Operands of a command are one transfer; its results and staged weights are two.
                parts = moved if channel == "write" else [sum(moved)]
                cycles = np.maximum(cycles, np.add.reduce([whole_quotient(part, rate) for part in parts]))
        busy[name] = cycles
    return busy
