"""Whether the weights of a product are copied into the staging memory first, and in which depth slices.

Arm's compiler Vela weighs the copy against reading in place, operator by operator: a first slice as large
as the time under the operator before allows, then slices as large as the first one's run hides, two buffers
in turn. It keeps the slices only if its own estimate does not get worse. At batch 1 weights are read once.
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
"""More output blocks than these are reason enough to try slices."""
MIDDLE_FRAC = 0.5
LEAST_BLOCK_FRAC = 0.3
"""Slices that fill less of an output block than this leave the MAC array idle."""
STARTUP_CYCLES = 1_000
"""Waiting for a slice for less than this is taken for noise where the MAC array is the bound."""
LARGEST_BUFFER_BYTES = 2**30


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


@dataclass(frozen=True)
class Before:
    """What the operator before leaves for prefetching; None stands for the start of the network."""

    slack_cycles: Counts
    free_bytes: Counts


@dataclass(frozen=True)
class Staged:
    """Decisions for P plans; figures of plans that read in place are those of one slice."""

    chosen: Flags
    prefetched: Flags
    """Whether the first slice is copied under the operator before."""
    double: Flags
    bounds: Counts
    """(P, S + 1) of the depth slices, the number of outputs repeated at the end."""
    weight_bytes: Counts
    """Encoded weights of all slices."""
    scale_bytes: Counts
    first_bytes: Counts
    """Of the first slice, biases and scales included."""
    part_bytes: tuple[Counts, Counts]
    """Of the two buffers; 0 for none."""
    full_transfer_cycles: Counts
    """Copying all of it in one slice."""
    last_slice_cycles: Counts
    after: Before
    """What this operator leaves for the next one."""


def decide(reader: Reader, work: Work, before: Before | None, *, unstaged_cycles: Counts) -> Staged:
    """The compiler's choice for the weights of P products.

    unstaged_cycles : (P,) of the whole operator with weights read in place, which is its slack for the
    next one if it stays so
    """
    outputs = np.broadcast_to(work.products.outputs, np.shape(unstaged_cycles))
    whole = np.stack([np.zeros_like(outputs), outputs], axis=1)
    one = _ranges(reader, work, whole)
    kept = _kept(reader, one, outputs, whole, unstaged_cycles)
    if reader.source is reader.staging:
        return kept
    tried = _trial(reader, work, before, one)
    hopeful = np.flatnonzero(tried)
    if hopeful.size == 0:
        return kept
    some = _taken_work(work, hopeful, np.shape(unstaged_cycles))
    earlier = None if before is None else Before(before.slack_cycles[hopeful], before.free_bytes[hopeful])
    found = _sliced(reader, some, earlier, one.taken(hopeful), unstaged_cycles[hopeful])
    return _merged(kept, found, hopeful)


@dataclass(frozen=True)
class _Ranges:
    """Bytes of depth slices: weights, and with them their biases and scales."""

    weights: Counts
    """(P, S)"""
    scales: Counts

    @property
    def both(self) -> Counts:
        return self.weights + self.scales

    @property
    def total(self) -> Counts:
        return np.asarray(self.both.sum(axis=1))

    def taken(self, rows: NDArray[np.intp]) -> _Ranges:
        return _Ranges(self.weights[rows], self.scales[rows])


def _ranges(reader: Reader, work: Work, bounds: Counts) -> _Ranges:
    starts, ends = bounds[:, :-1], bounds[:, 1:]
    depth = np.reshape(work.blocks.ublock_depth, (-1, 1))
    scales = scale_bytes(reader.engine, ends - starts, ublock_depth=depth)
    return _Ranges(work.slice_bytes(starts, ends), np.where(ends > starts, scales, 0))


def _kept(reader: Reader, one: _Ranges, outputs: Counts, whole: Counts, unstaged_cycles: Counts) -> Staged:
    none = np.zeros(outputs.shape, np.bool_)
    nothing = np.zeros_like(outputs)
    return Staged(
        chosen=none,
        prefetched=none,
        double=none,
        bounds=whole,
        weight_bytes=one.weights[:, 0],
        scale_bytes=one.scales[:, 0],
        first_bytes=one.total,
        part_bytes=(nothing, nothing),
        full_transfer_cycles=_transfer(reader, one.total),
        last_slice_cycles=unstaged_cycles,
        after=Before(unstaged_cycles, np.full_like(outputs, reader.limit_bytes)),
    )


def _transfer(reader: Reader, moved_bytes: Counts) -> Counts:
    return transfer_cycles(reader.engine, moved_bytes, source=reader.source, target=reader.staging)


def _read_cycles(reader: Reader, memory: MemoryRegion, moved: Counts, *, channel: str) -> Counts:
    """Cycles until the last of `moved` bytes has come over a channel."""
    rate = channel_rate(reader.engine, memory, channel)
    return np.asarray((moved / rate + memory.read_latency_cycles).astype(np.int64))


def _weight_cycles(reader: Reader, work: Work, memory: MemoryRegion, moved: Counts) -> Counts:
    plain = _read_cycles(reader, memory, moved, channel="weight")
    if not np.any(work.fast):
        return plain
    return np.where(work.fast, _read_cycles(reader, memory, moved, channel="fast_weight"), plain)


def _trial(reader: Reader, work: Work, before: Before | None, one: _Ranges) -> Flags:
    """Plans for which slicing looks promising enough to be worked out."""
    total = one.total
    in_place = _weight_cycles(reader, work, reader.source, total)
    staged = _weight_cycles(reader, work, reader.staging, total)
    slack = np.int64(0) if before is None else before.slack_cycles
    visible = np.maximum(_transfer(reader, total) - slack, 0)
    many = work.products.outputs // work.blocks.depth > WORTHWHILE_SLICES
    return np.asarray((staged < in_place) & ((staged + visible < in_place) | many))


def _taken_work(work: Work, rows: NDArray[np.intp], shape: tuple[int, ...]) -> Work:
    """The plans `rows` of what broadcasts to (P,)."""

    def taken(values: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(values, shape)[rows]

    products = Products(**{name: taken(np.asarray(each)) for name, each in vars(work.products).items()})
    blocks = Blocks(**{name: taken(np.asarray(each)) for name, each in vars(work.blocks).items()})
    plans = shape[0]

    def slice_bytes(starts: Counts, ends: Counts) -> Counts:
        all_starts = np.zeros((plans, starts.shape[1]), np.int64)
        all_ends = np.zeros_like(all_starts)
        all_starts[rows], all_ends[rows] = starts, ends
        return np.asarray(work.slice_bytes(all_starts, all_ends)[rows])

    fast = np.broadcast_to(work.fast, shape)[rows]
    return replace(work, products=products, blocks=blocks, fast=fast, slice_bytes=slice_bytes)


def _sliced(
    reader: Reader, work: Work, before: Before | None, one: _Ranges, unstaged_cycles: Counts
) -> Staged:
    """The best slices that the compiler comes up with, chosen or not."""
    outputs, total = work.products.outputs, one.total
    in_place = _sliced_estimate(reader, work, _whole_bounds(outputs), one, memory=reader.source)
    bound_by_array = in_place.run > _weight_cycles(reader, work, reader.source, total)
    free = np.full_like(outputs, min(reader.limit_bytes, LARGEST_BUFFER_BYTES))
    slack = np.zeros_like(outputs) if before is None else before.slack_cycles
    bounds, ranges, wasteful = _slices(
        reader, work, one, slack=slack, free=free, bound_by_array=bound_by_array
    )
    parts, double, fits = _parts(ranges, total, free)
    room = free if before is None else before.free_bytes
    prefetched = np.asarray((parts[0] < room) & (before is not None))
    estimate = _sliced_estimate(
        reader,
        work,
        bounds,
        ranges,
        memory=reader.staging,
        slack=np.where(prefetched, slack, 0),
        double=double,
    )
    chosen = fits & ~wasteful & _pays(reader, work, in_place, estimate, bounds, parts, total, free)
    last_part = np.where(double & (_slice_count(bounds) % 2 == 0), parts[1], parts[0])
    return Staged(
        chosen=np.asarray(chosen),
        prefetched=np.asarray(chosen & prefetched),
        double=np.asarray(chosen & double),
        bounds=bounds,
        weight_bytes=np.asarray(ranges.weights.sum(axis=1)),
        scale_bytes=np.asarray(ranges.scales.sum(axis=1)),
        first_bytes=ranges.both[:, 0],
        part_bytes=parts,
        full_transfer_cycles=_transfer(reader, total),
        last_slice_cycles=estimate.last,
        after=Before(estimate.last, free - last_part),
    )


def _whole_bounds(outputs: Counts) -> Counts:
    return np.stack([np.zeros_like(outputs), outputs], axis=1)


def _slice_count(bounds: Counts) -> Counts:
    return np.asarray((bounds[:, 1:] > bounds[:, :-1]).sum(axis=1))


def _slices(
    reader: Reader, work: Work, one: _Ranges, *, slack: Counts, free: Counts, bound_by_array: Flags
) -> tuple[Counts, _Ranges, Flags]:
    """(bounds, bytes, whether they leave the array too idle) of the depth slices."""
    outputs, total = work.products.outputs, one.total
    block, least = work.blocks.depth, np.maximum(work.blocks.ublock_depth, SLICE_STEP)
    half = free // 2
    share = _first_share(slack / _transfer(reader, total), outputs, bound_by_array=bound_by_array)
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
        ranges = _ranges(reader, work, bounds)
        fits = (ranges.both.max(axis=1) <= half) | (first >= outputs)
        small = fits | ((first == SLICE_STEP) & (later == least))
        if small.all():
            break
        by_later = ~small & (later > first)
        later = np.where(by_later, round_up(later // 2, least), later)
        first = np.where(~small & ~by_later, round_up(first // 2, SLICE_STEP), first)
    filled = later / round_up(later, block)
    wasteful = (_slice_count(bounds) > WORTHWHILE_SLICES) & (filled < LEAST_BLOCK_FRAC) & bound_by_array
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
    depth = work.products.outputs * starting // _transfer(reader, total)
    return np.asarray(round_up(np.maximum(depth, SLICE_STEP), work.blocks.depth))


def _bounds(outputs: Counts, first: Counts, later: Counts) -> Counts:
    """(P, S + 1): 0, the first slice's end, steps of `later`, the outputs."""
    most = int(ceil_div(np.maximum(outputs - first, 0), later).max()) if outputs.size else 0
    steps = first[:, None] + later[:, None] * np.arange(most + 1)
    bounds = np.concatenate([np.zeros((outputs.size, 1), np.int64), steps], axis=1)
    return np.asarray(np.minimum(bounds, outputs[:, None]))


def _parts(ranges: _Ranges, total: Counts, free: Counts) -> tuple[tuple[Counts, Counts], Flags, Flags]:
    """(bytes of both buffers, whether there are two, whether they fit)."""
    even, odd = ranges.both[:, 0::2].max(axis=1), ranges.both[:, 1::2]
    second = odd.max(axis=1) if odd.shape[1] else np.zeros_like(even)
    largest = np.maximum(even, second)
    double = (even + second <= free) & (largest < ranges.total)
    single = np.minimum(ranges.total, largest)
    parts = (np.where(double, even, single), np.where(double, second, 0))
    return parts, np.asarray(double), np.asarray(double | (single <= free))


@dataclass(frozen=True)
class _Estimate:
    """The compiler's figures of an operator in slices, (P,)."""

    run: Counts
    visible: Counts
    """Waiting for slices that are still on their way."""
    weight_read: Counts
    input_bytes: Counts
    input_read: Counts
    last: Counts
    """Cycles of the last slice."""


def _sliced_estimate(
    reader: Reader,
    work: Work,
    bounds: Counts,
    ranges: _Ranges,
    *,
    memory: MemoryRegion,
    slack: Counts | None = None,
    double: Flags | None = None,
) -> _Estimate:
    depth = bounds[:, 1:] - bounds[:, :-1]
    count = _slice_count(bounds)
    cycles = _slices_in_turn(reader, work, depth, count, memory=memory)
    visible = np.zeros(bounds.shape[0], np.int64)
    if memory is not reader.source and slack is not None and double is not None:
        under = np.concatenate([slack[:, None], np.where(double[:, None], cycles[:, :-1], 0)], axis=1)
        late = np.maximum(_transfer(reader, ranges.both) - under, 0)
        visible = np.where(depth > 0, late, 0).sum(axis=1)
    products, blocks = work.products, work.blocks
    stored = np.where(products.brick_input, round_up(products.inputs, BRICK_ELEMS), products.inputs)
    filled = np.maximum(np.minimum(depth, np.reshape(blocks.depth, (-1, 1))), 1)
    passes = ceil_div(depth, filled).sum(axis=1)
    input_bytes = stored * products.input_bytes * passes
    last = np.take_along_axis(cycles, count[:, None] - 1, axis=1)[:, 0]
    return _Estimate(
        run=np.asarray(cycles.sum(axis=1)),
        visible=np.asarray(visible),
        weight_read=_weight_cycles(reader, work, memory, ranges.total // count) * count,
        input_bytes=np.asarray(input_bytes),
        input_read=_read_cycles(reader, work.input_memory, input_bytes, channel="ifm"),
        last=last,
    )


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
        products = Products(**{name: np.reshape(each, (-1, 1)) for name, each in vars(products).items()})
        blocks = Blocks(**{name: np.reshape(each, (-1, 1)) for name, each in vars(blocks).items()})
    return product_cycles(
        reader.engine,
        replace(products, outputs=depth),
        input_memory=work.input_memory,
        output_memory=work.output_memory,
        bias_latency_cycles=memory.read_latency_cycles,
        blocks=blocks,
    )


def _pays(
    reader: Reader,
    work: Work,
    in_place: _Estimate,
    staged: _Estimate,
    bounds: Counts,
    parts: tuple[Counts, Counts],
    total: Counts,
    free: Counts,
) -> Flags:
    """Whether the compiler expects an operator in slices to take no longer than in place."""
    input_read = staged.input_read
    if work.input_movable:
        here = work.products.inputs * work.products.input_bytes + parts[0] + parts[1] <= free
        near = _read_cycles(reader, reader.staging, staged.input_bytes, channel="ifm")
        input_read = np.where(here, near, input_read)
    old = np.maximum.reduce([in_place.run, in_place.weight_read, input_read])
    new = np.maximum.reduce([staged.run + staged.visible, staged.weight_read, input_read])
    bound_by_array = in_place.run > _weight_cycles(reader, work, reader.source, total)
    noise = bound_by_array & (staged.visible // _slice_count(bounds) < STARTUP_CYCLES)
    new = new - np.where(noise, staged.visible, 0)
    return np.asarray((new <= old) & (_transfer(reader, total) + staged.weight_read <= old))


def _merged(kept: Staged, found: Staged, rows: NDArray[np.intp]) -> Staged:
    """`found` at the rows where it was chosen, `kept` elsewhere."""
    used, target = np.flatnonzero(found.chosen), rows[found.chosen]

    def laid(base: NDArray[Any], new: NDArray[Any]) -> NDArray[Any]:
        out = base.copy()
        out[target] = new[used]
        return out

    width = found.bounds.shape[1]
    padding = np.repeat(kept.bounds[:, -1:], max(width - 2, 0), axis=1)
    bounds = np.concatenate([kept.bounds, padding], axis=1)
    simple = (
        "chosen",
        "prefetched",
        "double",
        "weight_bytes",
        "scale_bytes",
        "first_bytes",
        "full_transfer_cycles",
        "last_slice_cycles",
    )
    first, second = (laid(old, new) for old, new in zip(kept.part_bytes, found.part_bytes, strict=True))
    after = Before(
        laid(kept.after.slack_cycles, found.after.slack_cycles),
        laid(kept.after.free_bytes, found.after.free_bytes),
    )
    return Staged(
        **{name: laid(getattr(kept, name), getattr(found, name)) for name in simple},
        bounds=laid(bounds, found.bounds),
        part_bytes=(first, second),
        after=after,
    )
