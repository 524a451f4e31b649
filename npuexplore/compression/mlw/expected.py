"""Expected encoded size of the matrices of plans: what the exact coder would need on average.

A section codes N surviving non-zero weights one by one and, where zeros lie together, N + 1 zero runs.
Bits of the former come from a table of means (`sampling`), of the latter from how the structure's zeros
lie in the stream (`runs`); padding adds zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import CLIP_SIGMAS, Kept
from npuexplore.compression.mlw.means import Means, means_of
from npuexplore.compression.mlw.order import OUTPUT_GROUP, MlwStream
from npuexplore.compression.mlw.palette import ZERO_DOMINANCE
from npuexplore.compression.mlw.runs import LINE, STEPS
from npuexplore.compression.mlw.size import (
    ALIGNMENT_BYTES,
    END_BITS,
    PALETTE_HEADER_BITS,
    RUN_CHUNK_SLOTS,
    SECTION_WEIGHTS,
    SLICE_HEADER_BITS,
    WEIGHT_CHUNK_SLOTS,
)
from npuexplore.units import IntArray, ceil_div, round_up

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WIDTHS = tuple(sorted(CLIP_SIGMAS))
"""Bits per weight that a size can be expected for."""
GREATEST_BLOCK = 256
"""Larger blocks are like blocks of this size."""
FEWEST_CODED = 0.5
"""Below this many weights expected, none is."""
LONE_ZERO_BITS = 1
"""Second digit of the zero that stands for a section of zeros."""


class _Piece(NamedTuple):
    """One stream, or one section of one, of every matrix."""

    weights: Floats
    """(n,) padding included."""
    real: Floats
    """(n,) of the matrix itself."""


def expected_bytes(
    *,
    stream: MlwStream,
    rows: IntArray,
    columns: IntArray,
    zeros_frac: Floats,
    weight_bits: IntArray,
    block_rows: IntArray | int = 1,
    block_columns: IntArray | int = 1,
    two_four: Flags | bool = False,
    kept: Kept = "random",
    ifm_block_elems: IntArray | int | None = None,
    kernel_steps: IntArray | int | None = None,
) -> Floats:
    """Expected bytes of matrices of outputs `rows` by inputs `columns`; all arrays broadcast.

    zeros_frac : share of zero groups (weights, or blocks of block_rows x block_columns; whole rows and
    columns are blocks as large as the matrix) ; two_four : where the 2:4 structure is used instead ;
    ifm_block_elems, kernel_steps : where they differ from the stream's.
    Assumes Gaussian levels on the grids of `levels`.

    >>> order = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32)
    >>> size = {"rows": np.array([256]), "columns": np.array([256]), "weight_bits": np.array([8])}
    >>> [int(expected_bytes(stream=order, zeros_frac=np.array([s]), **size)[0]) for s in (0.0, 0.9)]
    [58529, 9620]
    """
    wide = stream.ifm_block_elems if ifm_block_elems is None else ifm_block_elems
    deep = stream.kernel_steps if kernel_steps is None else kernel_steps
    given = (rows, columns, zeros_frac, weight_bits, block_rows, block_columns, two_four, wide, deep)
    shape = np.broadcast_shapes(*(np.shape(one) for one in given))
    flat = [np.broadcast_to(one, shape).ravel() for one in given]
    kinds = np.stack(
        [flat[3], np.minimum(flat[4], GREATEST_BLOCK), np.minimum(flat[5], GREATEST_BLOCK), flat[6]]
    )
    means = means_of(stream, kinds, kept=kept)
    padded = round_up(flat[1], flat[7]) * flat[8]
    size = sum(
        _stream_bytes(piece, means, flat[2])
        for piece in _streams(stream, rows=flat[0], columns=flat[1], padded=padded)
    )
    return np.asarray(size, np.float64).reshape(shape)


def _streams(stream: MlwStream, *, rows: IntArray, columns: IntArray, padded: IntArray) -> Iterator[_Piece]:
    """A piece per core."""
    depth = stream.ofm_ublock_elems
    for core in range(stream.cores):
        if stream.generation == "depth_first":
            own = np.maximum(ceil_div(rows - core, stream.cores), 0)
            held = round_up(own, depth)
        else:
            groups = range(core, depth // OUTPUT_GROUP, stream.cores)
            rest = sum(np.clip(rows % depth - OUTPUT_GROUP * group, 0, OUTPUT_GROUP) for group in groups)
            own = rows // depth * (depth // stream.cores) + rest
            held = round_up(rows, depth) // stream.cores
        yield _Piece(weights=held * padded * 1.0, real=own * columns * 1.0)


def _stream_bytes(piece: _Piece, means: Means, zeros_frac: Floats) -> Floats:
    """(n,) whole sections, and one of what remains, on whole 16 bytes."""
    longest = np.minimum(piece.weights, SECTION_WEIGHTS)
    whole = np.floor(piece.weights / np.maximum(longest, 1.0))
    share = piece.real / np.maximum(piece.weights, 1.0)
    bits = whole * _section_bits(_Piece(longest, longest * share), means, zeros_frac)
    rest = piece.weights - whole * longest
    if rest.any():
        bits = bits + np.where(rest > 0, _section_bits(_Piece(rest, rest * share), means, zeros_frac), 0.0)
    filling = (8 * ALIGNMENT_BYTES - 1) / 2
    return np.asarray(np.where(piece.weights > 0, (END_BITS + bits + filling) / 8, 0.0))


def _section_bits(piece: _Piece, means: Means, zeros_frac: Floats) -> Floats:
    """(n,) expected bits of one section."""
    dense, lone, peak, *steps = means.lines(zeros_frac)
    coded = piece.real * dense
    zeros = piece.weights - coded
    padding = piece.weights - piece.real
    lines = piece.real / LINE
    lie_together = zeros - lines * lone >= zeros / 2
    by_runs = lie_together & (zeros > ZERO_DOMINANCE * peak * coded)
    unary = [lines * means_of_step + padding / step for means_of_step, step in zip(steps, STEPS, strict=True)]
    runs = np.minimum.reduce(
        [
            digits + (coded + 1.0) * (1 + divisor) + RUN_CHUNK_SLOTS[divisor] / 2
            for divisor, digits in enumerate(unary)
        ]
    )
    bits = means.by_runs(coded, zeros_frac) + runs
    none = SLICE_HEADER_BITS + PALETTE_HEADER_BITS + WEIGHT_CHUNK_SLOTS + LONE_ZERO_BITS
    bits = np.where(coded < FEWEST_CODED, none + piece.weights + RUN_CHUNK_SLOTS[0] / 2, bits)
    apart = np.flatnonzero(~by_runs)
    if apart.size:
        weights = piece.weights[apart]
        survivors = piece.real[apart] / np.maximum(weights, 1.0) * (1.0 - zeros_frac[apart])
        bits[apart] = means.take(apart).one_by_one(weights, 1.0 - survivors)
    return bits
