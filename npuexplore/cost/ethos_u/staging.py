"""Weights that are copied into a faster memory while the command before, or the slice before, runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.commands import CommandCycles
from npuexplore.cost.ethos_u.lowering import TABLE_BYTES
from npuexplore.cost.ethos_u.streams import channel_rate, whole_quotient
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.profile import MemoryRegion

Counts = NDArray[np.int64]


def transfer_cycles(
    engine: EthosU, moved_bytes: Counts, *, source: MemoryRegion, target: MemoryRegion
) -> Counts:
    """Cycles of copying between memories: the slower of reading and writing.

    moved_bytes : any shape ; returns the same shape
    """
    read = whole_quotient(moved_bytes, channel_rate(engine, source, "mem2mem")) + source.read_latency_cycles
    write = whole_quotient(moved_bytes, channel_rate(engine, target, "write")) + target.write_latency_cycles
    return np.asarray(np.maximum(read, write))


def staged_npu_cycles(
    command: CommandCycles,
    last_slice: CommandCycles,
    *,
    full_transfer: Counts,
    first_transfer: Counts,
    slack: Counts | int,
) -> Counts:
    """NPU cycles of products whose weights are staged in depth slices.

    command, last_slice : the whole product and its last depth slice alone, their bias streams at the
    staging memory's latency ; full_transfer : of all weights and scales in one slice ; first_transfer : of
    the first slice's ; slack : cycles of the command before, under which the first transfer hides
    """
    waiting = full_transfer - slack + last_slice_cycles(last_slice)
    return np.asarray(np.maximum(waiting, command.npu + np.maximum(first_transfer - slack, 0)))


def last_slice_cycles(last_slice: CommandCycles) -> Counts:
    """Cycles of a last depth slice, whose input is there already."""
    return last_slice.busy + last_slice.write


def table_cycles(engine: EthosU, *, source: MemoryRegion) -> Counts:
    """Cycles of fetching the table of a 16-bit look-up; the table's memory takes a byte per cycle."""
    moved = np.array(TABLE_BYTES)
    read = whole_quotient(moved, channel_rate(engine, source, "mem2mem")) + source.read_latency_cycles
    return np.asarray(np.maximum(read, moved))
