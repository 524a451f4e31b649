"""Exact sizes of real weights for the schedule of one network."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.layout import SECTION_WEIGHTS
from npuexplore.compression.mlw.order import MlwStream, streams
from npuexplore.compression.mlw.palette import section_of
from npuexplore.compression.mlw.size import encoded_bytes
from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.coder import stream_order
from npuexplore.cost.ethos_u.commands import blocks_of
from npuexplore.cost.ethos_u.formats import FAST, TWO_FOUR, Candidates, Coded
from npuexplore.cost.ethos_u.lowering import Command
from npuexplore.cost.ethos_u.pricing import Sizes, products_of
from npuexplore.cost.ethos_u.schedule import Layer, Stored
from npuexplore.cost.ethos_u.slices import SliceBytes
from npuexplore.hardware.ethos_u import EthosU, EthosU85
from npuexplore.units import round_up

Counts = NDArray[np.int64]
Matrix = NDArray[np.int8]

GROUP_INPUTS = 4
GROUP_KEPT = 2
"""The 2:4 format keeps at most this many weights of a group."""
LARGEST_TWO_FOUR = 127

MatrixKey = tuple[int, str, bool]
"""(layer, gate or "", whether it multiplies the layer's state)."""


@dataclass
class RealWeights:
    """Sizes of one network's matrices; what was encoded once is remembered in `known`."""

    engine: EthosU
    layers: Sequence[Layer]
    """Of a single plan."""
    matrices: Mapping[MatrixKey, Matrix]
    """Each (outputs, inputs)."""
    known: MutableMapping[tuple[object, ...], int] = field(default_factory=dict)
    """May be shared between engines, if `name` differs between networks."""
    name: str = ""

    def __call__(self, layer: int, command: Command) -> Stored:
        """What is known of the weights of a product; see `schedule.Storage`."""
        key = (layer, command.gate, command.from_state)
        sizes = self.layers[layer].sizes
        candidates = None
        if isinstance(self.engine, EthosU85):
            possible = two_four_possible(self.matrices[key])
            sparse = self._coded(key, command, sizes, two_four=True) if possible else None
            candidates = Candidates(
                plain=self._coded(key, command, sizes, two_four=False),
                two_four=sparse,
                two_four_possible=np.array([possible]),
            )
        return Stored(candidates, lambda index: self._slice_bytes(key, command, sizes, int(index[0])), key)

    def _slice_bytes(self, key: MatrixKey, command: Command, sizes: Sizes, index: int) -> SliceBytes:
        fast, two_four = index & FAST > 0, index & TWO_FOUR > 0
        blocks = self._blocks(command, sizes, two_four=two_four)

        def sizes_of(starts: Counts, ends: Counts) -> Counts:
            found = [
                self._bytes(key, blocks, (int(start), int(end)), fast=fast, two_four=two_four)
                for start, end in zip(starts[0], ends[0], strict=True)
            ]
            return np.array([found], np.int64)

        return sizes_of

    def _bytes(
        self, key: MatrixKey, blocks: Blocks, rows: tuple[int, int], *, fast: bool, two_four: bool
    ) -> int:
        if rows[0] >= rows[1]:
            return 0
        order, depth = self._order(blocks, two_four=two_four), int(np.ravel(blocks.depth)[0])
        case = (self.name, key, order, depth, rows, fast, two_four)
        if case not in self.known:
            self.known[case] = encoded_bytes(
                self.matrices[key][slice(*rows)],
                stream=order,
                ofm_block_depth=depth,
                weight_format="fast" if fast else "default",
            )
        return self.known[case]

    def _coded(self, key: MatrixKey, command: Command, sizes: Sizes, *, two_four: bool) -> Coded:
        matrix = self.matrices[key]
        blocks = self._blocks(command, sizes, two_four=two_four)
        order, depth = self._order(blocks, two_four=two_four), int(np.ravel(blocks.depth)[0])
        whole = (0, matrix.shape[0])
        case = (self.name, key, order, depth, "zeros")
        if case not in self.known:
            self.known[case] = run_zeros(matrix, order, ofm_block_depth=depth)
        filled = round_up(matrix.shape[0], order.ofm_ublock_elems)
        filled *= round_up(matrix.shape[1], order.ifm_block_elems) * order.kernel_steps
        return Coded(
            default_bytes=np.array([self._bytes(key, blocks, whole, fast=False, two_four=two_four)]),
            fast_bytes=np.array([self._bytes(key, blocks, whole, fast=True, two_four=two_four)]),
            source_weights=np.array([filled], np.int64),
            run_zeros=np.array([self.known[case]], np.int64),
            distinct=np.array([distinct_values(matrix, filled)], np.int64),
        )

    def _blocks(self, command: Command, sizes: Sizes, *, two_four: bool) -> Blocks:
        asked = replace(sizes, two_four=np.full(np.shape(sizes.units), two_four))
        return blocks_of(self.engine, products_of(self.engine, command, asked))

    def _order(self, blocks: Blocks, *, two_four: bool) -> MlwStream:
        return stream_order(
            self.engine,
            ublock_depth=int(np.ravel(blocks.ublock_depth)[0]),
            ifm_depth=int(np.ravel(blocks.ifm_depth)[0]),
            part_kernel=bool(np.ravel(blocks.part_kernel)[0]),
            two_four=two_four,
        )


def two_four_possible(matrix: Matrix) -> bool:
    """Whether at most two of each aligned group of four inputs are not zero.

    >>> two_four_possible(np.array([[0, 3, 0, 1]], np.int8))
    True
    """
    if np.abs(matrix.astype(np.int16)).max() > LARGEST_TWO_FOUR:
        return False
    missing = -matrix.shape[1] % GROUP_INPUTS
    groups = np.pad(matrix, ((0, 0), (0, missing))).reshape(matrix.shape[0], -1, GROUP_INPUTS)
    return bool((np.count_nonzero(groups, axis=2) <= GROUP_KEPT).all())


def run_zeros(matrix: Matrix, order: MlwStream, *, ofm_block_depth: int) -> int:
    """Zeros that the default format codes as lengths of runs."""
    found = 0
    for stream in streams(matrix, order, ofm_block_depth=ofm_block_depth):
        for start in range(0, stream.size, SECTION_WEIGHTS):
            runs = section_of(stream[start : start + SECTION_WEIGHTS]).runs
            found += 0 if runs is None else int(runs.sum())
    return found


def distinct_values(matrix: Matrix, filled: int) -> int:
    """Different values in the stream, the zeros that fill it up included."""
    values = np.unique(matrix)
    return int(values.size) + int(filled > matrix.size and 0 not in values)
