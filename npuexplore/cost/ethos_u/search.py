"""Blocks of 1x1 convolutions over many positions: the shape that Vela's search through sizes settles on.

Positions lie along the width of a feature map of height 1. Each size that fits the internal memories is
rated by the inputs and weights it fetches per output element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import (
    BLOCKS_IN_RAM,
    BRICK_BITS,
    SPLIT_DEPTH,
    Blocks,
    part_kernel_is_denser,
)
from npuexplore.hardware.ethos_u import EthosU, EthosU55, EthosU85, Microblock
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

BANK_BYTES = 1_024
PART_KERNEL_INPUTS = 8
"""Up to this many inputs fill part-kernel blocks better on an Ethos-U55 or U65."""
PART_KERNEL_ELEMS = 16
SMALL_BLOCK = 4
"""Among equally good blocks of at most this height and width, the one that covers more input wins."""


@dataclass(frozen=True)
class Convolution:
    """A 1x1 convolution over positions along the width."""

    inputs: int
    outputs: int
    positions: int
    input_bytes: int
    two_four: bool


@dataclass(frozen=True)
class _Limits:
    """What a search needs of a part for one convolution."""

    ublock: Microblock
    index: int
    least_depth: int
    ifm_depth: int
    part_kernel: bool
    ifm_step: tuple[int, int]
    """Height and width that input blocks are rounded up to."""


def searched_blocks(
    engine: EthosU, *, inputs: Counts, outputs: Counts, positions: int, input_bytes: Counts, two_four: Flags
) -> Blocks:
    """Blocks of 1x1 convolutions; equal cases are searched once."""
    cases = np.stack(np.broadcast_arrays(inputs, outputs, input_bytes, two_four)).reshape(4, -1)
    distinct, index = np.unique(cases, axis=1, return_inverse=True)
    found = np.array(
        [
            _found(engine, Convolution(int(i), int(o), positions, int(size), bool(sparse)))
            for i, o, size, sparse in distinct.T
        ],
        np.int64,
    ).T
    spread = found[:, index.reshape(-1)].reshape(-1, *np.shape(inputs))
    height, width, depth, ifm_height, ifm_width, ifm_depth, part_kernel, ublock = spread
    sizes = np.array([[u.height, u.width, u.depth] for u in engine.microblocks], np.int64)[ublock]
    return Blocks(
        ublock_height=sizes[..., 0],
        ublock_width=sizes[..., 1],
        ublock_depth=sizes[..., 2],
        height=height,
        width=width,
        depth=depth,
        ifm_height=ifm_height,
        ifm_width=ifm_width,
        ifm_depth=ifm_depth,
        part_kernel=part_kernel.astype(np.bool_),
    )


@lru_cache(maxsize=65_536)
def _found(engine: EthosU, case: Convolution) -> tuple[int, ...]:
    """(block height, width, depth, input block height, width, depth, part-kernel, microblock)."""
    limits = _limits_85(engine, case) if isinstance(engine, EthosU85) else _limits_55(engine, case)
    best, best_cost, best_coverage = (0, 0, 0), np.inf, np.inf
    for height, width, depth, cost, coverage in _rated(engine, case, limits):
        if cost > best_cost:
            continue
        if cost == best_cost:
            if coverage > best_coverage or max(height, width) > SMALL_BLOCK:
                continue
            best_coverage = coverage
        else:
            best_coverage = np.inf
        best, best_cost = (height, width, depth), cost
    ifm_height, ifm_width = (round_up(side, step) for side, step in zip(best, limits.ifm_step, strict=False))
    return (*best, ifm_height, ifm_width, limits.ifm_depth, int(limits.part_kernel), limits.index)


def _rated(
    engine: EthosU, case: Convolution, limits: _Limits
) -> Iterator[tuple[int, int, int, float, float]]:
    """(height, width, depth, cost, coverage) of all sizes that fit, in the order of the search."""
    ublock, most = limits.ublock, engine.ofm_block_limit
    end = int(round_up(max(min(case.outputs, most.depth), limits.least_depth), ublock.depth))
    depths = np.array(block_depths(case.outputs, end=end, step=ublock.depth), np.int64)[:, None]
    widest = int(round_up(min(case.positions, most.width), ublock.width))
    widths = np.arange(ublock.width, widest + 1, ublock.width)[None, :]
    ifm_height = int(round_up(ublock.height, limits.ifm_step[0]))
    ifm_widths = round_up(widths, limits.ifm_step[1])
    if isinstance(engine, EthosU85):
        fits = _fits_85(engine, case, limits, depths, widths, ifm_area=ifm_height * ifm_widths)
        rows = ublock.height
    else:
        assert isinstance(engine, EthosU55)
        fits = _fits_55(engine, case, limits, depths, widths, ifm_area=ifm_height * ifm_widths)
        rows = 1
    fits = np.logical_and.accumulate(fits, axis=0)
    costs = _costs(case, limits, depths, widths, rows=rows, ifm_area=ifm_height * ifm_widths)
    covered = np.minimum(1, ifm_height) * np.minimum(case.positions, ifm_widths)
    coverage = np.broadcast_to(np.float32(case.positions) / covered.astype(np.float32), costs.shape)
    for row, depth in enumerate(depths[:, 0]):
        for column in np.flatnonzero(fits[row]):
            yield (
                ublock.height,
                int(widths[0, column]),
                int(depth),
                float(costs[row, column]),
                float(coverage[row, column]),
            )


def _costs(
    case: Convolution, limits: _Limits, depths: Counts, widths: Counts, *, rows: int, ifm_area: Counts
) -> NDArray[np.float32]:
    """Inputs and weights fetched per output element, in single precision like the compiler's."""
    single = np.float32
    across = single(case.positions) / widths.astype(single)
    down = single(1) / single(rows)
    deep = single(case.outputs) / depths.astype(single)
    weights = (case.inputs * ceil_div(case.positions, widths)).astype(single) * (deep * depths.astype(single))
    inputs = (
        (ifm_area * case.inputs).astype(single)
        * down
        * across
        * ceil_div(case.outputs, depths).astype(single)
    )
    cost = (inputs + weights) / single(case.outputs * case.positions)
    whole = case.inputs * case.positions < 2 * ifm_area * limits.ifm_depth
    return np.asarray(np.where(whole, cost / single(2), cost), single)


def block_depths(outputs: int, *, end: int, step: int) -> list[int]:
    """Depths that a block may have, in the order in which the compiler tries them.

    >>> block_depths(40, end=40, step=8)
    [16, 32, 40]
    """
    depth, found = max(step, min(end, SPLIT_DEPTH)), []
    if depth < outputs:
        depth = int(round_up(depth, SPLIT_DEPTH))
    while depth <= end:
        found.append(depth)
        depth += step
        if depth < outputs:
            depth = int(round_up(depth, SPLIT_DEPTH))
    return found


def _limits_55(engine: EthosU, case: Convolution) -> _Limits:
    assert isinstance(engine, EthosU55)
    ublock = engine.microblocks[0]
    part_kernel = case.inputs <= PART_KERNEL_INPUTS
    if case.input_bytes == 1:
        most = PART_KERNEL_ELEMS if part_kernel else engine.ifm_block_8bit_elems
        depth = round_up(min(case.inputs, most), engine.ifm_ublock_depth_elems)
    else:
        depth = round_up(min(case.inputs, engine.ifm_block_16bit_elems), engine.ifm_16bit_step_elems)
    return _Limits(ublock, 0, 1, int(depth), part_kernel, (ublock.height, ublock.width))


def _limits_85(engine: EthosU85, case: Convolution) -> _Limits:
    part_kernel = bool(part_kernel_is_denser(engine, np.array(case.inputs), two_four=np.array(case.two_four)))
    work = "product_8bit" if case.input_bytes == 1 or part_kernel else "product_16bit"
    allowed = [(n, ublock) for n, ublock in enumerate(engine.microblocks) if work in ublock.does]
    index, ublock = min(allowed, key=lambda each: _padded(each[1], case))
    if part_kernel:
        depth = engine.ifm_block_part_kernel_elems
    elif "product_8bit" not in ublock.does and not case.two_four:
        depth = engine.ifm_block_deep_ublock_elems
    elif case.two_four and case.input_bytes == 1:
        depth = engine.ifm_block_two_four_elems
    else:
        depth = engine.ifm_block_elems
    bits = 8 * depth * case.input_bytes
    granule = ublock.ifm_granules[(bits > BRICK_BITS) + (bits > 2 * BRICK_BITS)]
    return _Limits(ublock, index, SPLIT_DEPTH, depth, part_kernel, granule)


def _padded(ublock: Microblock, case: Convolution) -> int:
    return int(ublock.height * round_up(case.positions, ublock.width) * round_up(case.outputs, ublock.depth))


def _fits_55(
    engine: EthosU55, case: Convolution, limits: _Limits, depths: Counts, widths: Counts, *, ifm_area: Counts
) -> Flags:
    """Whether input blocks and accumulators share the SHRAM; tables lie in the reserved banks."""
    ram = engine.shared_ram
    wide = case.input_bytes > 1
    granule = ram.ifm_16bit_granule_banks if wide else ram.ifm_8bit_granule_banks
    row_bytes = round_up(limits.ifm_depth * case.input_bytes, 8)
    ifm_banks = round_up(BLOCKS_IN_RAM * ceil_div(ifm_area * row_bytes, BANK_BYTES), granule)
    bits = 40 if wide else 32
    granule = ram.accumulator_40bit_granule_banks if wide else ram.accumulator_32bit_granule_banks
    room = ceil_div(widths * round_up(depths, 8) * bits // 8, BANK_BYTES)
    accumulator_banks = round_up(BLOCKS_IN_RAM * room, granule)
    free = ram.banks - ram.output_banks - ram.reserved_end_banks
    return np.asarray(ifm_banks + accumulator_banks <= free)


def _fits_85(
    engine: EthosU85, case: Convolution, limits: _Limits, depths: Counts, widths: Counts, *, ifm_area: Counts
) -> Flags:
    """Whether two input blocks and two blocks of accumulators fit their memories."""
    bits = 8 * limits.ifm_depth * case.input_bytes
    step = (1, 2, 4)[(bits > BRICK_BITS) + (bits > 2 * BRICK_BITS)] * BRICK_BITS // (8 * case.input_bytes)
    taken = round_up(min(limits.ifm_depth, case.inputs), step) * case.input_bytes
    accumulator_bytes = 4 * case.input_bytes
    area = limits.ublock.height * widths
    fits_ifm = BLOCKS_IN_RAM * ifm_area * taken <= engine.ifm_ram_bytes
    held = BLOCKS_IN_RAM * area * round_up(depths, SPLIT_DEPTH) * accumulator_bytes
    return np.asarray(fits_ifm & (held <= engine.accumulator_ram_bytes))
