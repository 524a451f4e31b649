"""How likely zeros that lie at random leave at most two weights in every aligned group of four inputs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import GROUP_INPUTS, Kept, rounded_frac
from npuexplore.units import IntArray, ceil_div

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_SIDE = 512
"""More than the side of any block."""
GROUP_KEPT = 2
"""Weights of a group that the 2:4 format can hold."""


def two_four_chance(
    *,
    rows: IntArray | int,
    columns: IntArray | int,
    zeros_frac: Floats,
    weight_bits: IntArray | int,
    block_rows: IntArray | int = 1,
    block_columns: IntArray | int = 1,
    two_four: Flags | bool = False,
    kept: Kept = "random",
) -> Floats:
    """Chance that matrices could be stored in the 2:4 format; 1 where `two_four`. All arrays broadcast.

    >>> two_four_chance(rows=64, columns=64, zeros_frac=np.array([0.5, 0.9, 0.99]), weight_bits=8).round(3)
    array([0.   , 0.026, 0.996])
    """
    given = (rows, columns, zeros_frac, weight_bits, block_rows, block_columns, two_four)
    shape = np.broadcast_shapes(*(np.shape(one) for one in given))
    flat = [np.broadcast_to(one, shape).ravel() for one in given]
    chance = np.ones(flat[0].shape)
    kind = (flat[3] * MOST_SIDE + flat[4]) * MOST_SIDE + flat[5]
    for number in np.unique(kind).tolist():
        here = (kind == number) & ~flat[6]
        (bits, high), wide = divmod(number // MOST_SIDE, MOST_SIDE), number % MOST_SIDE
        # A last group that is cut short to one or two inputs always fits.
        groups = ceil_div(flat[0][here], high) * ((flat[1][here] + 1) // GROUP_INPUTS)
        full = _full_group_frac(flat[2][here], bits=bits, block_rows=high, block_columns=wide, kept=kept)
        chance[here] = np.exp(groups * np.log1p(-np.minimum(full, 1.0 - 1e-12)))
    return chance.reshape(shape)


def _full_group_frac(
    zeros_frac: Floats, *, bits: int, block_rows: int, block_columns: int, kept: Kept
) -> Floats:
    """(n,) share of groups with more than two weights left, in any of the rows of a row of blocks."""
    if kept == "magnitude":
        zeros_frac = np.maximum(zeros_frac, rounded_frac("random", bits=bits))
    total = np.zeros(zeros_frac.shape)
    rounded = 0.0 if kept == "magnitude" else rounded_frac("random", bits=bits)
    for zero_blocks, kept_blocks, share in _full_masks(block_columns, block_rows, rounded):
        total += share * zeros_frac**zero_blocks * (1.0 - zeros_frac) ** kept_blocks
    return total


@lru_cache(maxsize=256)
def _full_masks(block_columns: int, block_rows: int, rounded: float) -> tuple[tuple[int, int, float], ...]:
    """(zero blocks, kept blocks, weight) of every choice of zero blocks that may leave a group full."""
    phases = sorted({GROUP_INPUTS * group % block_columns for group in range(block_columns)})
    found = []
    for phase in phases:
        block = (phase + np.arange(GROUP_INPUTS)) // block_columns - phase // block_columns
        count = int(block[-1]) + 1
        for mask in range(2**count):
            zero = [bool(mask >> index & 1) for index in range(count)]
            left = sum(not zero[index] for index in block)
            full = 1.0 - (1.0 - _more_than_two(left, rounded)) ** block_rows
            if full:
                found.append((sum(zero), count - sum(zero), full / len(phases)))
    return tuple(found)


def _more_than_two(left: int, rounded: float) -> float:
    """Chance that of `left` surviving weights more than two do not round to zero."""
    if left <= GROUP_KEPT:
        return 0.0
    dense = 1.0 - rounded
    return dense**3 if left == 3 else 4 * dense**3 * rounded + dense**4
