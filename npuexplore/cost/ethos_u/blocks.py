"""Block shapes: the pieces of an output, and of its input, that an Ethos-U works on one at a time.

Batch-1 products have them in closed form, as tables over the number of outputs; `search` has the general
case, a 1x1 convolution over many positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.ethos_u import EthosU, EthosU55, EthosU85, Microblock
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

SPLIT_DEPTH = 16
"""Outputs are split between blocks at multiples of this depth."""
ACCUMULATOR_BYTES = 4
"""A 32-bit accumulator; 16-bit inputs need more."""
BLOCKS_IN_RAM = 2
"""Accumulators are double-buffered."""
PART_KERNEL_WASTE = {False: 2, True: 4}
"""How often one position's weights fill a part-kernel step: half of it, a quarter in the 2:4 format."""
BRICK_BITS = 128
"""Depth of a word of the input memory of an Ethos-U85."""


@dataclass(frozen=True)
class Blocks:
    """Shapes of the blocks of products; every field broadcasts with the others."""

    ublock_height: Counts
    ublock_width: Counts
    ublock_depth: Counts
    height: Counts
    """Of the output block."""
    width: Counts
    depth: Counts
    ifm_height: Counts
    """Of the input block."""
    ifm_width: Counts
    ifm_depth: Counts
    part_kernel: Flags
    """Whether the input block is a part-kernel one."""


def product_blocks(
    engine: EthosU, *, inputs: Counts, outputs: Counts, input_bytes: Counts, two_four: Flags
) -> Blocks:
    """Blocks of matrix-vector products: one position, `inputs` deep in and `outputs` deep out."""
    if isinstance(engine, EthosU85):
        return _product_blocks_85(
            engine, inputs=inputs, outputs=outputs, input_bytes=input_bytes, two_four=two_four
        )
    assert isinstance(engine, EthosU55)
    narrow = round_up(np.minimum(inputs, engine.ifm_block_8bit_elems), engine.ifm_ublock_depth_elems)
    wide = round_up(np.minimum(inputs, engine.ifm_block_16bit_elems), engine.ifm_16bit_step_elems)
    ublock = engine.microblocks[0]
    return _single_position(
        engine,
        index=np.zeros(np.shape(outputs), np.intp),
        depth=ofm_depths(engine, ublock)[_capped(outputs, engine)],
        ifm_width=np.full(np.shape(inputs), ublock.width),
        ifm_depth=np.where(input_bytes == 1, narrow, wide),
        part_kernel=np.zeros(np.shape(inputs), np.bool_),
    )


@dataclass(frozen=True)
class Volumes:
    """Blocks of element-wise commands; operands are cut like the result."""

    height: Counts
    width: Counts
    depth: Counts

    @property
    def elems(self) -> Counts:
        """Elements of a block, whether or not the tensor fills it."""
        return self.height * self.width * self.depth


def elementwise_blocks(engine: EthosU, outputs: Counts, *, input_bytes: Counts | int) -> Volumes:
    """Blocks of element-wise commands."""
    if isinstance(engine, EthosU85):
        return _elementwise_blocks_85(engine, outputs, input_bytes=input_bytes)
    ublock = engine.microblocks[0]
    depth = ofm_depths(engine, ublock)[_capped(outputs, engine)]
    return Volumes(np.full_like(depth, ublock.height), np.full_like(depth, ublock.width), depth)


def copy_blocks(
    engine: EthosU, outputs: Counts, *, elem_bytes: Counts | int, activation: Flags | bool
) -> Blocks:
    """Blocks of copies, clamps and look-ups, which run as poolings of one element; input as output."""
    narrow = np.broadcast_to(np.equal(elem_bytes, 1), np.shape(outputs))
    index = np.where(
        narrow,
        least_waste(engine, outputs, work="pooling_8bit"),
        least_waste(engine, outputs, work="pooling_16bit"),
    )
    depths = np.stack([ofm_depths(engine, ublock) for ublock in engine.microblocks])
    depth = depths[index, _capped(outputs, engine)]
    ifm_depth = depth
    if isinstance(engine, EthosU85):
        depth = np.where(activation, _activation_depth(engine, outputs, index), depth)
        granule = _input_granule(engine, index, 8 * depth * elem_bytes) // elem_bytes
        ifm_depth = np.where(activation, round_up(depth, granule), depth)
    widths = np.array([ublock.width for ublock in engine.microblocks])[index]
    return _single_position(
        engine,
        index=index,
        depth=depth,
        ifm_width=widths,
        ifm_depth=ifm_depth,
        part_kernel=np.zeros(np.shape(outputs), np.bool_),
    )


def _activation_depth(engine: EthosU85, outputs: Counts, index: NDArray[np.intp]) -> Counts:
    """Depth of the blocks of activation functions: as deep as the MAC array is wide, or the accumulators."""
    area = np.array([ublock.height * ublock.width for ublock in engine.microblocks], np.int64)[index]
    room = engine.accumulator_ram_bytes // ACCUMULATOR_BYTES // (area * SPLIT_DEPTH)
    most = np.minimum(np.maximum(engine.macs_per_cycle, room), engine.ofm_block_limit.depth)
    return np.asarray(np.minimum(round_up(outputs, SPLIT_DEPTH), most))


def _input_granule(engine: EthosU85, index: NDArray[np.intp], depth_bits: Counts) -> Counts:
    """Bytes that the depth of an input block of `depth_bits` is a multiple of: shallow ones are wide."""
    areas = [[height * width for height, width in ublock.ifm_granules] for ublock in engine.microblocks]
    column = (depth_bits > BRICK_BITS) * 1 + (depth_bits > 2 * BRICK_BITS)
    area = np.array(areas, np.int64)
    return np.asarray(area[index, 0] // area[index, column] * (BRICK_BITS // 8))


def least_waste(engine: EthosU, outputs: Counts, *, work: str) -> NDArray[np.intp]:
    """Index of the microblock that pads `outputs` at one position least; the first among equals."""
    padded = np.stack(
        [
            ublock.height * ublock.width * round_up(outputs, ublock.depth)
            if work in ublock.does or work == "elementwise"
            else np.full(np.shape(outputs), np.iinfo(np.int64).max)
            for ublock in engine.microblocks
        ]
    )
    return np.asarray(padded.argmin(axis=0))


def _elementwise_blocks_85(engine: EthosU85, outputs: Counts, *, input_bytes: Counts | int) -> Volumes:
    """As many positions and as much depth as the output buffer holds, depth first."""
    index = least_waste(engine, outputs, work="elementwise")
    sizes = np.array([[u.height, u.width] for u in engine.microblocks], np.int64)
    height, width = sizes[index, 0], sizes[index, 1]
    depth = np.minimum(round_up(outputs, SPLIT_DEPTH), engine.ofm_block_limit.depth)
    room = engine.output_ram_bytes // np.asarray(input_bytes) // SPLIT_DEPTH
    deeper = np.minimum(room // width, depth // SPLIT_DEPTH)
    deeper = np.where(deeper >= 2, deeper, 1)
    return Volumes(height, np.asarray(round_up(room // deeper, width)), SPLIT_DEPTH * deeper)


def ofm_depths(engine: EthosU, ublock: Microblock, *, wide: bool = False) -> Counts:
    """Depth of the output block for every number of outputs up to one past the greatest block.

    wide : whether inputs have 16 bits, so that accumulators take twice the room
    """
    limit = engine.ofm_block_limit.depth
    if not isinstance(engine, EthosU85):
        return _depth_table(limit, step=ublock.depth, least=1, room=None)
    area = BLOCKS_IN_RAM * ublock.height * ublock.width * ACCUMULATOR_BYTES * (1 + wide)
    room = engine.accumulator_ram_bytes // (area * SPLIT_DEPTH) * SPLIT_DEPTH
    return _depth_table(limit, step=ublock.depth, least=SPLIT_DEPTH, room=room)


@lru_cache(maxsize=256)
def _depth_table(limit: int, *, step: int, least: int, room: int | None) -> Counts:
    """Greatest candidate of every number of outputs; room : depth that the accumulators hold."""
    depths = [0]
    for outputs in range(1, limit + 2):
        end = round_up(max(min(outputs, limit), least), step)
        depths.append(_greatest_depth(outputs, step=step, end=end, room=end if room is None else room))
    return np.array(depths, np.int64)


def _greatest_depth(outputs: int, *, step: int, end: int, room: int) -> int:
    """Greatest depth up to `end` that fits `room`: whole splits below `outputs`, whole steps from there.

    >>> [_greatest_depth(outputs, step=4, end=4 * -(-outputs // 4), room=64) for outputs in (3, 18, 25, 90)]
    [4, 20, 16, 64]
    """
    first = max(step, min(end, SPLIT_DEPTH))
    if first < outputs:
        first = int(round_up(first, SPLIT_DEPTH))
    split = int(round_up(step, SPLIT_DEPTH))
    last_split = first + split * max(int(ceil_div(outputs - step - first, split)), 0)
    most = min(end, room)
    if most < last_split + step:
        return first + (min(most, last_split) - first) // split * split
    return last_split + (most - last_split) // step * step


def _product_blocks_85(
    engine: EthosU85, *, inputs: Counts, outputs: Counts, input_bytes: Counts, two_four: Flags
) -> Blocks:
    narrow = input_bytes == 1
    part_kernel = part_kernel_is_denser(engine, inputs, two_four=two_four)
    index = np.where(
        narrow | part_kernel,
        least_waste(engine, outputs, work="product_8bit"),
        least_waste(engine, outputs, work="product_16bit"),
    )
    deep = np.array([_is_deep(engine, ublock) for ublock in engine.microblocks])[index] & ~two_four
    ifm_depth = np.select(
        [part_kernel, deep, two_four & narrow],
        [
            engine.ifm_block_part_kernel_elems,
            engine.ifm_block_deep_ublock_elems,
            engine.ifm_block_two_four_elems,
        ],
        engine.ifm_block_elems,
    )
    depths = np.stack(
        [[ofm_depths(engine, ublock, wide=wide) for wide in (False, True)] for ublock in engine.microblocks]
    )
    granule = np.array([[width for _, width in ublock.ifm_granules] for ublock in engine.microblocks])
    ifm_bits = 8 * ifm_depth * input_bytes
    column = (ifm_bits > BRICK_BITS) * 1 + (ifm_bits > 2 * BRICK_BITS)
    widths = np.array([ublock.width for ublock in engine.microblocks])[index]
    return _single_position(
        engine,
        index=index,
        depth=depths[index, np.where(narrow, 0, 1), _capped(outputs, engine)],
        ifm_width=round_up(widths, granule[index, column]),
        ifm_depth=ifm_depth,
        part_kernel=part_kernel,
    )


def part_kernel_is_denser(engine: EthosU85, inputs: Counts, *, two_four: Flags) -> Flags:
    """Whether few inputs fill part-kernel blocks better than deep ones."""
    waste = np.where(two_four, PART_KERNEL_WASTE[True], PART_KERNEL_WASTE[False])
    deep = np.where(two_four, engine.ifm_block_two_four_elems, engine.ifm_block_elems)
    part = waste * round_up(inputs, engine.ifm_block_part_kernel_elems)
    return np.asarray(part <= round_up(inputs, deep))


def _is_deep(engine: EthosU85, ublock: Microblock) -> bool:
    """A microblock that only 16-bit products of the smaller parts may use."""
    return "product_16bit" in ublock.does and "product_8bit" not in ublock.does


def _single_position(
    engine: EthosU,
    *,
    index: NDArray[np.intp],
    depth: Counts,
    ifm_width: Counts,
    ifm_depth: Counts,
    part_kernel: Flags,
) -> Blocks:
    sizes = np.array([[u.height, u.width, u.depth] for u in engine.microblocks], np.int64)
    height, width, ublock_depth = (sizes[:, axis][index] for axis in range(3))
    return Blocks(
        ublock_height=height,
        ublock_width=width,
        ublock_depth=ublock_depth,
        height=height,
        width=width,
        depth=depth,
        ifm_height=height,
        ifm_width=ifm_width,
        ifm_depth=ifm_depth,
        part_kernel=part_kernel,
    )


def _capped(outputs: Counts, engine: EthosU) -> Counts:
    """Outputs as an index into `ofm_depths`: beyond the greatest block all are alike."""
    return np.asarray(np.minimum(outputs, engine.ofm_block_limit.depth + 1))
