"""The order in which a weight decoder meets the weights of a matrix: blocks, microblocks, cores.

Zero runs and value statistics are those of this order, so the size of encoded weights depends on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import round_up

Generation = Literal["depth_first", "alternating"]
Weights = NDArray[np.int16]

LINE = 8
"""Inputs of one output side by side in a stream."""
OUTPUT_GROUP = 4
"""Outputs that a core of the alternating order takes at a time (Ethos-U85)."""


@dataclass(frozen=True)
class MlwStream:
    """How a part cuts one matrix into streams.

    `depth_first` is the order of Ethos-U55 and U65: cores take output channels in turn. `alternating`
    is the order of Ethos-U85: cores take groups of four outputs in turn, and every other output block
    walks its input blocks backwards.
    """

    generation: Generation
    ofm_ublock_elems: int
    """Depth of a microblock; a stream is padded with zeros to whole ones."""
    ifm_block_elems: int
    """Depth of an input block; a stream is padded with zeros to whole ones."""
    ifm_ublock_elems: int = 8
    """Inputs side by side in the stream; twice as many in the 2:4 format."""
    cores: int = 1
    """Weight decoders, a stream each."""
    kernel_steps: int = 1
    """Kernel elements per microblock and input block. More than 1 in part-kernel blocks, which a single
    element is padded to with zeros."""

    @property
    def two_four(self) -> bool:
        """Whether this is the order of the 2:4 format."""
        return self.ifm_ublock_elems > LINE


def streams(weights: NDArray[np.integer], stream: MlwStream, *, ofm_block_depth: int) -> Iterator[Weights]:
    """Streams of a matrix (outputs, inputs), or of a depth slice of one: one for every core with outputs.

    ofm_block_depth : outputs of an output block, all cores together

    >>> order = MlwStream(generation="depth_first", ofm_ublock_elems=2, ifm_block_elems=4, ifm_ublock_elems=2)
    >>> [one.tolist() for one in streams(np.arange(8).reshape(2, 4), order, ofm_block_depth=2)]
    [[0, 1, 4, 5, 2, 3, 6, 7]]
    """
    return _CUTS[stream.generation](weights, stream, ofm_block_depth)


def _depth_first(weights: NDArray[np.integer], stream: MlwStream, ofm_block_depth: int) -> Iterator[Weights]:
    depth = ofm_block_depth // stream.cores
    for core in range(stream.cores):
        own = weights[core :: stream.cores]
        blocks = [own[start : start + depth] for start in range(0, own.shape[0], depth)]
        if blocks:
            tiles = [_tiles(block, stream).transpose(2, 0, 3, 1, 4) for block in blocks]
            yield np.concatenate([_with_kernel(one, stream) for one in tiles])


def _alternating(weights: NDArray[np.integer], stream: MlwStream, ofm_block_depth: int) -> Iterator[Weights]:
    blocks = []
    for index, start in enumerate(range(0, weights.shape[0], ofm_block_depth)):
        tiles = _tiles(weights[start : start + ofm_block_depth], stream)
        ublocks, outputs, inputs, steps, side = tiles.shape
        groups = tiles.reshape(ublocks, outputs // OUTPUT_GROUP, OUTPUT_GROUP, inputs, steps, side)
        ordered = groups.transpose(3, 0, 4, 1, 2, 5)
        blocks.append(ordered[::-1] if index % 2 else ordered)
    for core in range(stream.cores):
        own = [block[:, :, :, core :: stream.cores] for block in blocks]
        yield np.concatenate([_with_kernel(one, stream) for one in own])


def _with_kernel(tiles: Weights, stream: MlwStream) -> Weights:
    """Weights (input blocks, microblocks, ...) as a stream, zeros for absent kernel elements added."""
    if stream.kernel_steps == 1:
        return tiles.ravel()
    whole = tiles.reshape(tiles.shape[0] * tiles.shape[1], -1)
    return np.pad(whole, ((0, 0), (0, (stream.kernel_steps - 1) * whole.shape[1]))).ravel()


def _tiles(block: NDArray[np.integer], stream: MlwStream) -> Weights:
    """(microblocks, outputs of one, input blocks, steps of one, inputs of one) of a padded block."""
    rows = int(round_up(block.shape[0], stream.ofm_ublock_elems))
    columns = int(round_up(block.shape[1], stream.ifm_block_elems))
    padded = np.zeros((rows, columns), np.int16)
    padded[: block.shape[0], : block.shape[1]] = block
    return padded.reshape(
        rows // stream.ofm_ublock_elems,
        stream.ofm_ublock_elems,
        columns // stream.ifm_block_elems,
        stream.ifm_block_elems // stream.ifm_ublock_elems,
        stream.ifm_ublock_elems,
    )


_CUTS = {"depth_first": _depth_first, "alternating": _alternating}
