"""Bytes that real weights take, as Arm's mlw coder would store them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.layout import (
    ALIGNMENT_BYTES,
    END_BITS,
    FAST_ALIGNMENT_BYTES,
    FAST_HEADER_BYTES,
    FAST_WIDTHS,
    LONGEST_SLICE,
    PALETTE_HEADER_BITS,
    RUN_CHUNK_SLOTS,
    SECTION_WEIGHTS,
    SLICE_HEADER_BITS,
    WEIGHT_CHUNK_SLOTS,
)
from npuexplore.compression.mlw.order import MlwStream, streams
from npuexplore.compression.mlw.palette import Section, Values, section_of
from npuexplore.compression.mlw.rice import Parameter, run_parameter, weight_slices
from npuexplore.units import ceil_div, round_up

Format = Literal["default", "fast"]


def encoded_bytes(
    weights: NDArray[np.integer],
    *,
    stream: MlwStream,
    ofm_block_depth: int,
    slices: Sequence[int] | None = None,
    weight_format: Format = "default",
) -> int:
    """Exact encoded size of a matrix (outputs, inputs) of int8 weights, zero point taken off.

    Every depth slice and every core is a stream of its own. `slices` are the bounds of depth slices, from
    0 to the number of outputs.

    >>> order = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32)
    >>> encoded_bytes(np.eye(32, dtype=np.int8), stream=order, ofm_block_depth=32)
    48
    """
    bounds = (0, weights.shape[0]) if slices is None else slices
    size = 0
    for start, end in pairwise(bounds):
        cut = list(streams(weights[start:end], stream, ofm_block_depth=ofm_block_depth))
        if weight_format == "fast":
            size += fast_bytes(np.concatenate(cut), two_four=stream.two_four)
        else:
            size += sum(stream_bytes(one) for one in cut)
    return size


def stream_bytes(weights: NDArray[np.integer]) -> int:
    """Encoded size of one stream of weights (n,) in coding order.

    >>> stream_bytes(np.zeros(1000, np.int16))
    144
    """
    parts = np.split(weights.astype(np.int16), range(SECTION_WEIGHTS, weights.size, SECTION_WEIGHTS))
    bits = END_BITS + sum(section_bits(section_of(part)) for part in parts)
    return int(round_up(ceil_div(bits, 8), ALIGNMENT_BYTES))


def section_bits(section: Section) -> int:
    """Bits of the headers, values and zero runs of one section."""
    bits = PALETTE_HEADER_BITS + section.palette_entries * section.palette_bits
    runs = section.runs
    of_runs = None if runs is None else run_parameter(runs)
    start = 0
    for parameter, slice_end in weight_slices(section.values, raw_bits=section.raw_bits):
        for first, end in pairwise([*range(start, slice_end, LONGEST_SLICE), slice_end]):
            bits += SLICE_HEADER_BITS + value_bits(section.values[first:end], parameter)
            if runs is not None and of_runs is not None:
                bits += run_bits(runs[first + (first > 0) : end + 1], of_runs)
        start = slice_end
    return bits


def value_bits(values: Values, parameter: Parameter) -> int:
    """Bits of the values of a slice: chunks of unary slots, their second digits, and low bits.

    A slot takes a quotient of 2, or of 3 if quotients are truncated.

    >>> value_bits(np.array([0, 1, 2, 3], np.int32), Parameter(0))
    16
    """
    low = parameter.divisor_bits * values.size
    if parameter.mode == "raw":
        return low
    quotient = values >> parameter.divisor_bits
    if parameter.mode == "truncated":
        slots, second = values.size, int(np.count_nonzero(quotient))
    else:
        slots, second = values.size + int((quotient >> 1).sum()), int(((quotient + 1) >> 1).sum())
    return int(round_up(slots, WEIGHT_CHUNK_SLOTS)) + second + low


def run_bits(runs: Values, parameter: Parameter) -> int:
    """Bits of the zero runs of a slice.

    >>> run_bits(np.array([3, 0], np.int32), Parameter(1))
    14
    """
    unary = runs.size + int((runs >> parameter.divisor_bits).sum())
    chunks = int(round_up(unary, RUN_CHUNK_SLOTS[parameter.divisor_bits]))
    return chunks + parameter.divisor_bits * runs.size


def fast_bytes(weights: NDArray[np.integer], *, two_four: bool) -> int:
    """Encoded size of the weights of all cores in the fast format: 2, 4 or 8 bits each behind a header.

    >>> fast_bytes(np.arange(64), two_four=False)
    96
    """
    width = 8 if two_four else next(bits for bits, limit in FAST_WIDTHS if np.unique(weights).size <= limit)
    return int(round_up(FAST_HEADER_BYTES + ceil_div(weights.size * width, 8), FAST_ALIGNMENT_BYTES))
