"""Depth slices of a product's weights: how they are cut, and what the compiler expects of them.

A first slice as large as the time under the operator before allows, then slices as large as the first one's
run hides, in two buffers in turn. At batch 1 weights are read once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.commands import CommandCycles, Products, product_cycles
from npuexplore.cost.ethos_u.pricing import scale_bytes
from npuexplore.cost.ethos_u.staging import transfer_cycles
from npuexplore.cost.ethos_u.streams import BRICK_ELEMS, channel_rate
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.profile import MemoryRegion
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
SliceBytes = Callable[[Counts, Counts], Counts]
"""(P, S) encoded weights of the outputs from `starts` up to `ends`, both (P, S); 0 for an empty slice."""

SLICE_STEP = 16
"""Depth slices start at multiples of this, and the first is no smaller."""
WORTHWHILE_SLICES = 2
"""More slices, or output blocks, than these are treated as many."""
MIDDLE_FRAC = 0.5
LEAST_BLOCK_FRAC = 0.3
"""Slices that fill less of an output block than this leave the MAC array idle."""


@dataclass(frozen=True)
class Reader:
    """The memories that a product's weights move between, and what reads them."""

    engine: EthosU
    source: MemoryRegion
    """Where encoded weights rest."""
    staging: MemoryRegion
    limit_bytes: int
    """Most that the staging memory may hold."""


@dataclass(frozen=True)
class Work:
    """Products whose buffering is decided; arrays are (P,)."""

    products: Products
    blocks: Blocks
    input_memory: MemoryRegion
    """Before intermediate tensors are moved to the staging memory, as the two below."""
    output_memory: MemoryRegion
    input_movable: bool
    """Whether the compiler may count on the input being in the staging memory."""
    fast: Flags
    """Whether weights are in the fast format."""
    slice_bytes: SliceBytes
    only_grows: bool = False
    """Whether slices never take fewer bytes than the whole."""


@dataclass(frozen=True)
class Ranges:
    """Bytes of depth slices: weights, and with them their biases and scales."""

    weights: Counts
    """(P, S)"""
    scales: Counts

    @property
    def both(self) -> Counts:
        """(P, S) of a slice's stream as a whole."""
        return self.weights + self.scales

    @property
    def total(self) -> Counts:
        """(P,) of all slices."""
        return np.asarray(self.both.sum(axis=1))

    def taken(self, rows: NDArray[np.intp]) -> Ranges:
        """Those of some plans."""
        return Ranges(self.weights[rows], self.scales[rows])


def slice_ranges(reader: Reader, work: Work, bounds: Counts) -> Ranges:
    """Bytes of the slices between `bounds`, (P, S + 1)."""
    starts, ends = bounds[:, :-1], bounds[:, 1:]
    depth = np.reshape(work.blocks.ublock_depth, (-1, 1))
    scales = scale_bytes(reader.engine, ends - starts, ublock_depth=depth)
    return Ranges(work.slice_bytes(starts, ends), np.where(ends > starts, scales, 0))


def copy_cycles(reader: Reader, moved_bytes: Counts) -> Counts:
    """Cycles of copying into the staging memory."""
    return transfer_cycles(reader.engine, moved_bytes, source=reader.source, target=reader.staging)


def read_cycles(reader: Reader, memory: MemoryRegion, moved: Counts, *, channel: str) -> Counts:
    """Cycles until the last of `moved` bytes has come over a channel."""
    rate = channel_rate(reader.engine, memory, channel)
    return np.asarray((moved / rate + memory.read_latency_cycles).astype(np.int64))


def weight_cycles(reader: Reader, work: Work, memory: MemoryRegion, moved: Counts) -> Counts:
    """Cycles until the last of `moved` bytes of weights has come from a memory."""
    plain = read_cycles(reader, memory, moved, channel="weight")
    if not np.any(work.fast):
        return plain
    return np.where(work.fast, read_cycles(reader, memory, moved, channel="fast_weight"), plain)


def whole_bounds(outputs: Counts) -> Counts:
    """(P, 2) bounds of one slice with all outputs."""
    return np.stack([np.zeros_like(outputs), outputs], axis=1)


def slice_count(bounds: Counts) -> Counts:
    """(P,) slices that are not empty."""
    return np.asarray((bounds[:, 1:] > bounds[:, :-1]).sum(axis=1))


def depth_slices(
    reader: Reader, work: Work, one: Ranges, *, slack: Counts, free: Counts, bound_by_array: Flags
) -> tuple[Counts, Ranges, Flags]:
    """(bounds, bytes, whether they leave the array too idle) of the depth slices."""
    outputs, total = work.products.outputs, one.total
    block, least = work.blocks.depth, np.maximum(work.blocks.ublock_depth, SLICE_STEP)
    half = free // 2
    share = _first_share(slack / copy_cycles(reader, total), outputs, bound_by_array=bound_by_array)
    share = np.minimum(share, np.minimum(half / total, 1.0))
    first = np.maximum((outputs * share).astype(np.int64) // least * least, SLICE_STEP)
    first = np.where(share < 1.0, first, outputs)
    later = _later_depth(reader, work, first, total)
    too_large = (later / outputs * total).astype(np.int64) > half
    later = np.where(too_large, (half / total * outputs).astype(np.int64), later)
    while True:
        step = np.where(later > block, block, least)
        later = np.maximum(later // step * step, least)
        bounds = _bounds(outputs, first, later)
        ranges = slice_ranges(reader, work, bounds)
        fits = (ranges.both.max(axis=1) <= half) | (first >= outputs)
        small = fits | ((first == SLICE_STEP) & (later == least))
        if small.all():
            break
        by_later = ~small & (later > first)
        later = np.where(by_later, round_up(later // 2, least), later)
        first = np.where(~small & ~by_later, round_up(first // 2, SLICE_STEP), first)
    filled = later / round_up(later, block)
    wasteful = (slice_count(bounds) > WORTHWHILE_SLICES) & (filled < LEAST_BLOCK_FRAC) & bound_by_array
    return bounds, ranges, np.asarray(wasteful)


def _first_share(hidden: Floats, outputs: Counts, *, bound_by_array: Flags) -> Floats:
    """Share of the outputs in the first slice, `hidden` being the share of the copy that slack hides."""
    least = np.minimum(SLICE_STEP / outputs, 1.0)
    hidden = np.minimum(hidden, 1.0)
    whole_steps = np.floor(hidden / least) * least
    share = np.where(1.0 - whole_steps < least / 2, 1.0, hidden)
    middle = round_up(np.floor(outputs * MIDDLE_FRAC), SLICE_STEP) / outputs
    past_middle = bound_by_array & (share > MIDDLE_FRAC) & (share < 1.0)
    share = np.where(past_middle, np.clip(middle, MIDDLE_FRAC, 1.0), share)
    return np.asarray(np.maximum(share, least))


def _later_depth(reader: Reader, work: Work, first: Counts, total: Counts) -> Counts:
    """Outputs whose weights are copied while the first slice runs, in whole blocks."""
    cycles = _slice_cycles(reader, work, first, memory=reader.staging)
    starting = cycles.busy - cycles.tail + cycles.read
    depth = work.products.outputs * starting // copy_cycles(reader, total)
    return np.asarray(round_up(np.maximum(depth, SLICE_STEP), work.blocks.depth))


def _bounds(outputs: Counts, first: Counts, later: Counts) -> Counts:
    """(P, S + 1): 0, the first slice's end, steps of `later`, the outputs."""
    most = int(ceil_div(np.maximum(outputs - first, 0), later).max()) if outputs.size else 0
    steps = first[:, None] + later[:, None] * np.arange(most + 1)
    bounds = np.concatenate([np.zeros((outputs.size, 1), np.int64), steps], axis=1)
    return np.asarray(np.minimum(bounds, outputs[:, None]))


def buffer_parts(ranges: Ranges, total: Counts, free: Counts) -> tuple[tuple[Counts, Counts], Flags, Flags]:
    """(bytes of both buffers, whether there are two, whether they fit)."""
    even, odd = ranges.both[:, 0::2].max(axis=1), ranges.both[:, 1::2]
    second = odd.max(axis=1) if odd.shape[1] else np.zeros_like(even)
    largest = np.maximum(even, second)
    double = (even + second <= free) & (largest < ranges.total)
    single = np.minimum(ranges.total, largest)
    parts = (np.where(double, even, single), np.where(double, second, 0))
    return parts, np.asarray(double), np.asarray(double | (single <= free))


@dataclass(frozen=True)
class Estimate:
    """The compiler's figures of an operator in slices, (P,)."""

    run: Counts
    visible: Counts
    """Waiting for slices that are still on their way."""
    weight_read: Counts
    input_bytes: Counts
    input_read: Counts
    last: Counts
    """Cycles of the last slice."""


def sliced_estimate(
    reader: Reader,
    work: Work,
    bounds: Counts,
    ranges: Ranges,
    *,
    memory: MemoryRegion,
    slack: Counts | None = None,
    double: Flags | None = None,
) -> Estimate:
    """The compiler's figures for weights in slices that are read from `memory`.

    slack : (P,) cycles under which the first slice is copied ; double : (P,) whether there are two buffers,
    so that a slice is copied under the one before ; both None where weights are read in place
    """
    depth = bounds[:, 1:] - bounds[:, :-1]
    count = slice_count(bounds)
    cycles = _slices_in_turn(reader, work, depth, count, memory=memory)
    visible = np.zeros(bounds.shape[0], np.int64)
    if memory is not reader.source and slack is not None and double is not None:
        under = np.concatenate([slack[:, None], np.where(double[:, None], cycles[:, :-1], 0)], axis=1)
        late = np.maximum(copy_cycles(reader, ranges.both) - under, 0)
        visible = np.where(depth > 0, late, 0).sum(axis=1)
    products, blocks = work.products, work.blocks
    stored = np.where(products.brick_input, round_up(products.inputs, BRICK_ELEMS), products.inputs)
    filled = np.maximum(np.minimum(depth, np.reshape(blocks.depth, (-1, 1))), 1)
    passes = ceil_div(depth, filled).sum(axis=1)
    input_bytes = stored * products.input_bytes * passes
    last = np.take_along_axis(cycles, count[:, None] - 1, axis=1)[:, 0]
    return Estimate(
        run=np.asarray(cycles.sum(axis=1)),
        visible=np.asarray(visible),
        weight_read=weight_cycles(reader, work, memory, ranges.total // count) * count,
        input_bytes=np.asarray(input_bytes),
        input_read=read_cycles(reader, work.input_memory, input_bytes, channel="ifm"),
        last=last,
    )


def over_arrays(record: Products | Blocks, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The array fields of a record, changed."""
    return {name: change(each) for name, each in vars(record).items() if isinstance(each, np.ndarray)}


def _slices_in_turn(
    reader: Reader, work: Work, depth: Counts, count: Counts, *, memory: MemoryRegion
) -> Counts:
    """(P, S) cycles of depth slices: the first waits for its input, the last for its output."""
    index = np.arange(depth.shape[1])
    last = index == count[:, None] - 1
    cycles = _slice_cycles(reader, work, np.maximum(depth, 1), memory=memory)
    run = cycles.busy - np.where(last, 0, cycles.tail)
    run = run + np.where(index == 0, cycles.read, 0) + np.where(last, cycles.write, 0)
    return np.where(depth > 0, run, 0)


def _slice_cycles(reader: Reader, work: Work, depth: Counts, *, memory: MemoryRegion) -> CommandCycles:
    """Cycles of products with only `depth` outputs, (P,) or (P, S), in the blocks of the whole ones."""
    products, blocks = work.products, work.blocks
    if depth.ndim == 2:
        products = replace(products, **over_arrays(products, lambda each: np.reshape(each, (-1, 1))))
        blocks = replace(blocks, **over_arrays(blocks, lambda each: np.reshape(each, (-1, 1))))
    return product_cycles(
        reader.engine,
        replace(products, outputs=depth),
        input_memory=work.input_memory,
        output_memory=work.output_memory,
        bias_latency_cycles=memory.read_latency_cycles,
        blocks=blocks,
    )
