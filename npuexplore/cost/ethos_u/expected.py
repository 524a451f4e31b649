"""Expected bytes of a plan's weights, for sizes, formats and slices of weights that are not known yet."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.expected import ExpectedSizes
from npuexplore.compression.mlw.two_four import two_four_chance
from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.coder import PlannedWeights, planned_sizes
from npuexplore.cost.ethos_u.commands import blocks_of
from npuexplore.cost.ethos_u.formats import FAST, TWO_FOUR, Candidates, Coded
from npuexplore.cost.ethos_u.lowering import Command
from npuexplore.cost.ethos_u.pricing import Sizes, products_of
from npuexplore.cost.ethos_u.schedule import Stored
from npuexplore.cost.ethos_u.slices import SliceBytes
from npuexplore.hardware.ethos_u import EthosU, EthosU85

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ALIGNMENT_BYTES = 16
"""No stream is shorter."""
SHORT_SLICE = 16
"""Outputs of the shortest slice; the bytes of longer ones are taken to grow evenly from it."""


@dataclass(frozen=True)
class ExpectedWeights:
    """The stored weights of one layer of P plans; see `schedule.Storage`."""

    engine: EthosU
    sizes: Sizes
    weights: PlannedWeights
    state_weights: PlannedWeights | None = None
    """Of the matrix that multiplies the state, where it has plans of its own."""
    known: dict[tuple[bool, bool, bool], ExpectedSizes] = field(default_factory=dict)
    """What was worked out already."""
    stored: dict[bool, Stored] = field(default_factory=dict)
    """The same, by whether a matrix multiplies the state."""

    def __call__(self, _layer: int, command: Command) -> Stored:
        """What is expected of the weights of a product."""
        if command.from_state not in self.stored:
            self.stored[command.from_state] = self._expected(command)
        return self.stored[command.from_state]

    def _expected(self, command: Command) -> Stored:
        if not isinstance(self.engine, EthosU85):
            return self._stored(command, None)
        possible = self._may_be_two_four(command)
        sparse = self._coded(command, two_four=True) if possible.any() else None
        plain = self._coded(command, two_four=False)
        return self._stored(command, Candidates(plain, sparse, possible))

    def _stored(self, command: Command, candidates: Candidates | None) -> Stored:
        def slices(index: Counts) -> SliceBytes:
            return self._slices(command, index)

        return Stored(candidates, slices, key=command.from_state, only_grows=True)

    def _weights(self, command: Command) -> PlannedWeights:
        """Plans of the matrix that a product multiplies by."""
        own = self.state_weights if command.from_state else None
        return self.weights if own is None else own

    def _may_be_two_four(self, command: Command) -> Flags:
        """(P,) whether zeros are more likely than not to leave two of each four inputs."""
        columns = self.sizes.units if command.from_state else self.sizes.inputs
        chance = two_four_chance(rows=self.sizes.units, columns=columns, **vars(self._weights(command)))
        return np.asarray(chance >= 0.5)

    def _slices(self, command: Command, index: Counts) -> SliceBytes:
        """Bytes of any slices: a straight line through those of the shortest one and of the whole."""
        outputs, short = (self._rows(whole=whole)[:, None] for whole in (True, False))
        whole_bytes = self._bytes(command, index, whole=True)[:, None]

        def slice_bytes(starts: Counts, ends: Counts) -> Counts:
            depth = ends - starts
            if (depth == outputs).all():
                return _whole_bytes(whole_bytes)
            short_bytes = self._bytes(command, index, whole=False)[:, None]
            per_output = (whole_bytes - short_bytes) / np.maximum(outputs - short, 1)
            grown = short_bytes + per_output * (depth - short)
            size = np.where(depth == outputs, whole_bytes, np.maximum(grown, ALIGNMENT_BYTES))
            return np.where(depth > 0, _whole_bytes(size), 0)

        return slice_bytes

    def _bytes(self, command: Command, index: Counts, *, whole: bool) -> Floats:
        """(P,) expected bytes in the formats of `index`."""
        size = self._sizes(command, two_four=False, whole=whole).default_bytes
        sparse, fast = index & TWO_FOUR > 0, index & FAST > 0
        if fast.any():
            size = np.where(fast, self._sizes(command, two_four=False, whole=whole).fast_bytes, size)
        if sparse.any():
            found = self._sizes(command, two_four=True, whole=whole)
            size = np.where(sparse, np.where(fast, found.fast_bytes, found.default_bytes), size)
        return np.asarray(size)

    def _sizes(self, command: Command, *, two_four: bool, whole: bool) -> ExpectedSizes:
        key = (command.from_state, two_four, whole)
        if key not in self.known:
            self.known[key] = planned_sizes(
                self.engine,
                self._weights(command),
                inputs=self.sizes.units if command.from_state else self.sizes.inputs,
                outputs=self._rows(whole=whole),
                input_bytes=self.sizes.activation_bytes,
                blocks=self._blocks(command, two_four=two_four),
                two_four_format=two_four,
            )
        return self.known[key]

    def _coded(self, command: Command, *, two_four: bool) -> Coded:
        sizes = self._sizes(command, two_four=two_four, whole=True)
        return Coded(
            default_bytes=_whole_bytes(sizes.default_bytes),
            fast_bytes=_whole_bytes(sizes.fast_bytes),
            source_weights=np.rint(sizes.weights).astype(np.int64),
            run_zeros=np.rint(sizes.run_zeros).astype(np.int64),
            distinct=2 ** self._weights(command).weight_bits - 1,
        )

    def _rows(self, *, whole: bool) -> Counts:
        """(P,) outputs of all the matrix or of its shortest slice."""
        return np.asarray(self.sizes.units if whole else np.minimum(self.sizes.units, SHORT_SLICE))

    def _blocks(self, command: Command, *, two_four: bool) -> Blocks:
        asked = replace(self.sizes, two_four=np.full(np.shape(self.sizes.units), two_four))
        return blocks_of(self.engine, products_of(self.engine, command, asked))


def _whole_bytes(size: Floats) -> Counts:
    """Nearest; an expected size is no multiple of the words that real streams end on."""
    return np.asarray(np.rint(size).astype(np.int64))
