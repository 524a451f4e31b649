"""Expected encoded size of the matrices of plans: what the exact coder would need on average.

A section codes N surviving non-zero weights one by one and, where zeros lie together, N + 1 zero runs.
Bits of the former come from a table of means (`sampling`), of the latter from how the structure's zeros
lie in the stream (`runs`); padding adds zeros.

More zeros never raise an expected size. The coder itself is not so regular: its palette rule makes 8-bit
weights with 16 to 28 % of single zeros up to 6 % longer than those with fewer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.layout import (
    ALIGNMENT_BYTES,
    END_BITS,
    FAST_ALIGNMENT_BYTES,
    FAST_HEADER_BYTES,
    FAST_WIDTHS,
    PALETTE_HEADER_BITS,
    RUN_CHUNK_SLOTS,
    SECTION_WEIGHTS,
    SLICE_HEADER_BITS,
    WEIGHT_CHUNK_SLOTS,
    ZERO_DOMINANCE,
)
from npuexplore.compression.mlw.levels import CLIP_SIGMAS, Kept
from npuexplore.compression.mlw.means import Means, means_of
from npuexplore.compression.mlw.order import LINE, OUTPUT_GROUP, MlwStream
from npuexplore.compression.mlw.runs import STEPS
from npuexplore.units import IntArray, ceil_div, round_up

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WIDTHS = tuple(sorted(CLIP_SIGMAS))
"""Bits per weight that a size can be expected for."""
GREATEST_BLOCK = 256
"""Larger blocks are like blocks of this size."""
RUNS_PAY_FRAC = 0.8
"""From this share of zeros, coding them by runs is never the longer way."""
LONE_ZERO_BITS = 1
"""Second digit of the zero that stands for a section of zeros."""


@dataclass(frozen=True)
class ExpectedSizes:
    """What plans can expect of the weights of their matrices; arrays shaped like these."""

    default_bytes: Floats
    fast_bytes: Floats
    """In the fast format of an Ethos-U85."""
    weights: Floats
    """In the stream, padding included."""
    run_zeros: Floats
    """Zeros that the default format codes as lengths of runs."""


class _Piece(NamedTuple):
    """One stream, or one section of one, of every matrix."""

    weights: Floats
    """(n,) padding included."""
    real: Floats
    """(n,) of the matrix itself."""


def expected_bytes(*, stream: MlwStream, **matrices: Any) -> Floats:
    """Expected bytes in the default format; see `expected_sizes`.

    >>> order = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32)
    >>> size = {"rows": 256, "columns": 256, "weight_bits": 8}
    >>> [int(expected_bytes(stream=order, zeros_frac=np.array([s]), **size)[0]) for s in (0.0, 0.9)]
    [58529, 9620]
    """
    return expected_sizes(stream=stream, **matrices).default_bytes


def expected_sizes(
    *,
    stream: MlwStream,
    rows: IntArray | int,
    columns: IntArray | int,
    zeros_frac: Floats,
    weight_bits: IntArray | int,
    block_rows: IntArray | int = 1,
    block_columns: IntArray | int = 1,
    two_four: Flags | bool = False,
    kept: Kept = "random",
    ifm_block_elems: IntArray | int | None = None,
    kernel_steps: IntArray | int | None = None,
) -> ExpectedSizes:
    """Expected sizes of matrices of outputs `rows` by inputs `columns`; all arrays broadcast.

    zeros_frac : share of zero groups (weights, or blocks of block_rows x block_columns; whole rows and
    columns are blocks as large as the matrix) ; two_four : where two of each four inputs are zero instead ;
    ifm_block_elems, kernel_steps : where they differ from the stream's.
    Assumes Gaussian levels on the grids of `levels`.
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
    pieces = _streams(stream, rows=flat[0], columns=flat[1], padded=padded)
    sizes = [(piece.weights, *_stream_bytes(piece, means, flat[2])) for piece in pieces]
    weights, size, zeros = (np.asarray(sum(parts), np.float64) for parts in zip(*sizes, strict=True))
    return ExpectedSizes(
        default_bytes=size.reshape(shape),
        fast_bytes=_fast_bytes(weights, flat[3], two_four=stream.two_four).reshape(shape),
        weights=weights.reshape(shape),
        run_zeros=zeros.reshape(shape),
    )


def _fast_bytes(weights: Floats, weight_bits: IntArray, *, two_four: bool) -> Floats:
    """(n,) behind a header, every level of the grid being used."""
    levels = 2**weight_bits - 1
    width = np.select([levels <= limit for _, limit in FAST_WIDTHS], [bits for bits, _ in FAST_WIDTHS], 8)
    if two_four:
        width = np.full_like(width, 8)
    whole = ceil_div(np.rint(weights * width / 8).astype(np.int64) + FAST_HEADER_BYTES, FAST_ALIGNMENT_BYTES)
    return np.asarray(whole * float(FAST_ALIGNMENT_BYTES))


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


def _stream_bytes(piece: _Piece, means: Means, zeros_frac: Floats) -> tuple[Floats, Floats]:
    """(n,) bytes and zeros in runs: whole sections, and one of what remains, on whole 16 bytes."""
    longest = np.minimum(piece.weights, SECTION_WEIGHTS)
    whole = np.floor(piece.weights / np.maximum(longest, 1.0))
    share = piece.real / np.maximum(piece.weights, 1.0)
    section = _section(_Piece(longest, longest * share), means, zeros_frac)
    bits, zeros = (whole * one for one in section)
    rest = piece.weights - whole * longest
    if rest.any():
        last = _section(_Piece(rest, rest * share), means, zeros_frac)
        bits, zeros = (
            total + np.where(rest > 0, one, 0.0) for total, one in zip((bits, zeros), last, strict=True)
        )
    filling = (8 * ALIGNMENT_BYTES - 1) / 2
    return np.where(piece.weights > 0, (END_BITS + bits + filling) / 8, 0.0), zeros


def _section(piece: _Piece, means: Means, zeros_frac: Floats) -> tuple[Floats, Floats]:
    """(n,) expected bits of one section, and zeros that it codes as lengths of runs."""
    dense, lone, peak, *steps = means.lines(zeros_frac)
    coded = piece.real * dense
    zeros = piece.weights - coded
    lie_together = zeros - piece.real / LINE * lone >= zeros / 2
    by_runs = lie_together & (zeros > ZERO_DOMINANCE * peak * coded)
    bits = means.by_runs(coded, zeros_frac) + _run_bits(piece, coded, steps)
    none = SLICE_HEADER_BITS + PALETTE_HEADER_BITS + WEIGHT_CHUNK_SLOTS + LONE_ZERO_BITS
    bits = np.where(coded > 0, bits, none + piece.weights + RUN_CHUNK_SLOTS[0] / 2)
    few_zeros = np.flatnonzero(~by_runs | (zeros < RUNS_PAY_FRAC * piece.weights))
    if few_zeros.size:
        weights = piece.weights[few_zeros]
        survivors = piece.real[few_zeros] / np.maximum(weights, 1.0) * (1.0 - zeros_frac[few_zeros])
        one_by_one = means.take(few_zeros).one_by_one(weights, 1.0 - survivors)
        least = np.minimum(bits[few_zeros], one_by_one)
        bits[few_zeros] = np.where(by_runs[few_zeros], least, one_by_one)
    return bits, np.where(by_runs, zeros, 0.0)


def _run_bits(piece: _Piece, coded: Floats, steps: Sequence[Floats]) -> Floats:
    """(n,) bits of coded + 1 runs under the best divisor. steps : whole steps of zeros per line of each."""
    lines, padding = piece.real / LINE, piece.weights - piece.real
    best = np.full(coded.shape, np.inf)
    for divisor, (of_line, step) in enumerate(zip(steps, STEPS, strict=True)):
        unary = lines * of_line + padding / step + (coded + 1.0) * (1 + divisor)
        np.minimum(best, unary + RUN_CHUNK_SLOTS[divisor] / 2, out=best)
    return best
