"""Whether the weights of a product are copied into the staging memory first, and in which depth slices.

Arm's compiler Vela weighs the copy against reading in place, operator by operator, and keeps slices only if
its own estimate does not get worse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.slices import (
    SLICE_STEP,
    WORTHWHILE_SLICES,
    Estimate,
    Ranges,
    Reader,
    Work,
    buffer_parts,
    copy_cycles,
    depth_slices,
    over_arrays,
    read_cycles,
    slice_count,
    slice_ranges,
    sliced_estimate,
    weight_cycles,
    whole_bounds,
)
from npuexplore.cost.ethos_u.streams import BRICK_ELEMS
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

STARTUP_CYCLES = 1_000
"""Waiting for a slice for less than this is taken for noise where the MAC array is the bound."""
LARGEST_BUFFER_BYTES = 2**30
"""Where a memory mode names no limit."""


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
    whole = whole_bounds(outputs)
    one = slice_ranges(reader, work, whole)
    kept = _kept(reader, one, outputs, whole, unstaged_cycles)
    if reader.source is reader.staging:
        return kept
    tried = _trial(reader, work, before, one, run_cycles=unstaged_cycles)
    hopeful = np.flatnonzero(tried)
    if hopeful.size == 0:
        return kept
    some = _taken_work(work, hopeful, np.shape(unstaged_cycles))
    earlier = None if before is None else Before(before.slack_cycles[hopeful], before.free_bytes[hopeful])
    found = _sliced(reader, some, earlier, one.taken(hopeful), unstaged_cycles[hopeful])
    return _merged(kept, found, hopeful)


def _kept(reader: Reader, one: Ranges, outputs: Counts, whole: Counts, unstaged_cycles: Counts) -> Staged:
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
        full_transfer_cycles=copy_cycles(reader, one.total),
        last_slice_cycles=unstaged_cycles,
        after=Before(unstaged_cycles, np.full_like(outputs, reader.limit_bytes)),
    )


def _trial(reader: Reader, work: Work, before: Before | None, one: Ranges, *, run_cycles: Counts) -> Flags:
    """Plans for which slicing looks promising enough to be worked out.

    run_cycles : of the whole operator with weights read in place, or more
    """
    total = one.total
    in_place = weight_cycles(reader, work, reader.source, total)
    staged = weight_cycles(reader, work, reader.staging, total)
    slack = np.int64(0) if before is None else before.slack_cycles
    copied = copy_cycles(reader, total)
    many = work.products.outputs // work.blocks.depth > WORTHWHILE_SLICES
    tried = (staged < in_place) & ((staged + np.maximum(copied - slack, 0) < in_place) | many)
    if work.only_grows:
        longest = np.maximum.reduce([run_cycles, in_place, _longest_input_read(reader, work)])
        tried = tried & (copied + staged <= longest)
    return np.asarray(tried)


def _longest_input_read(reader: Reader, work: Work) -> Counts:
    """Cycles of reading the input once for each of the thinnest slices."""
    products = work.products
    moved = round_up(products.inputs, BRICK_ELEMS) * products.input_bytes
    passes = ceil_div(products.outputs, SLICE_STEP)
    return read_cycles(reader, work.input_memory, moved * passes, channel="ifm")


def _taken_work(work: Work, rows: NDArray[np.intp], shape: tuple[int, ...]) -> Work:
    """The plans `rows` of what broadcasts to (P,)."""

    def taken(values: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(values, shape)[rows]

    products = replace(work.products, **over_arrays(work.products, taken))
    blocks = replace(work.blocks, **over_arrays(work.blocks, taken))
    plans = shape[0]

    def slice_bytes(starts: Counts, ends: Counts) -> Counts:
        all_starts = np.zeros((plans, starts.shape[1]), np.int64)
        all_ends = np.zeros_like(all_starts)
        all_starts[rows], all_ends[rows] = starts, ends
        return np.asarray(work.slice_bytes(all_starts, all_ends)[rows])

    fast = np.broadcast_to(work.fast, shape)[rows]
    return replace(work, products=products, blocks=blocks, fast=fast, slice_bytes=slice_bytes)


def _sliced(
    reader: Reader, work: Work, before: Before | None, one: Ranges, unstaged_cycles: Counts
) -> Staged:
    """The best slices that the compiler comes up with, chosen or not."""
    outputs, total = work.products.outputs, one.total
    in_place = sliced_estimate(reader, work, whole_bounds(outputs), one, memory=reader.source)
    bound_by_array = in_place.run > weight_cycles(reader, work, reader.source, total)
    free = np.full_like(outputs, reader.limit_bytes)
    slack = np.zeros_like(outputs) if before is None else before.slack_cycles
    bounds, ranges, wasteful = depth_slices(
        reader, work, one, slack=slack, free=free, bound_by_array=bound_by_array
    )
    parts, double, fits = buffer_parts(ranges, total, free)
    room = free if before is None else before.free_bytes
    prefetched = np.asarray((parts[0] < room) & (before is not None))
    estimate = sliced_estimate(
        reader,
        work,
        bounds,
        ranges,
        memory=reader.staging,
        slack=np.where(prefetched, slack, 0),
        double=double,
    )
    chosen = fits & ~wasteful & _pays(reader, work, in_place, estimate, bounds, parts, total, free)
    last_part = np.where(double & (slice_count(bounds) % 2 == 0), parts[1], parts[0])
    return Staged(
        chosen=np.asarray(chosen),
        prefetched=np.asarray(chosen & prefetched),
        double=np.asarray(chosen & double),
        bounds=bounds,
        weight_bytes=np.asarray(ranges.weights.sum(axis=1)),
        scale_bytes=np.asarray(ranges.scales.sum(axis=1)),
        first_bytes=ranges.both[:, 0],
        part_bytes=parts,
        full_transfer_cycles=copy_cycles(reader, total),
        last_slice_cycles=estimate.last,
        after=Before(estimate.last, free - last_part),
    )


def _pays(
    reader: Reader,
    work: Work,
    in_place: Estimate,
    staged: Estimate,
    bounds: Counts,
    parts: tuple[Counts, Counts],
    total: Counts,
    free: Counts,
) -> Flags:
    """Whether the compiler expects an operator in slices to take no longer than in place."""
    input_read = staged.input_read
    if work.input_movable:
        here = work.products.inputs * work.products.input_bytes + parts[0] + parts[1] <= free
        near = read_cycles(reader, reader.staging, staged.input_bytes, channel="ifm")
        input_read = np.where(here, near, input_read)
    old = np.maximum.reduce([in_place.run, in_place.weight_read, input_read])
    new = np.maximum.reduce([staged.run + staged.visible, staged.weight_read, input_read])
    bound_by_array = in_place.run > weight_cycles(reader, work, reader.source, total)
    noise = bound_by_array & (staged.visible // slice_count(bounds) < STARTUP_CYCLES)
    new = new - np.where(noise, staged.visible, 0)
    return np.asarray((new <= old) & (copy_cycles(reader, total) + staged.weight_read <= old))


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
