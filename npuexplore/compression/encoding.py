"""Storage formats of integer weights: expected sizes for plans, exact sizes for real matrices.

Sizes are bits; a matrix starts on a byte. Formats:

- dense: every weight, b bits.
- bitmap: one bit per weight, then the non-zero weights.
- csr_delta8: per row a pointer; per non-zero weight its value and the 8-bit distance to the one before.
- block_bitmap: map bits per granule, then the granules that hold a non-zero weight.
- block_index: per stored block its values and an index; per block row a pointer.
- mlw: Arm's lossless coder; see the package of that name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import IntArray, ceil_div

MAX_BLOCK = 256
"""Greatest side of a block in a plan."""
CSR_DELTA_LIMIT = 255
"""Greatest distance that 8 bits hold; a longer one costs a stored zero."""


def dense_bits(elems: IntArray | int, *, bits: IntArray | int) -> IntArray:
    """Every weight, zeros too.

    >>> int(dense_bits(100, bits=4))
    400
    """
    return np.asarray(elems * bits)


def bitmap_bits(elems: IntArray | int, *, kept: IntArray | int, bits: IntArray | int) -> IntArray:
    """A bit per weight and the weights that are not zero.

    >>> int(bitmap_bits(100, kept=25, bits=8))
    300
    """
    return np.asarray(elems + kept * bits)


def csr_bits(
    kept: IntArray | int,
    *,
    rows: IntArray | int,
    bits: IntArray | int,
    index_bits: int = 8,
    pointer_bits: int = 16,
) -> IntArray:
    """Row pointers, and value and distance of every stored weight.

    >>> int(csr_bits(25, rows=10, bits=8))
    560
    """
    return np.asarray(kept * (bits + index_bits) + rows * pointer_bits)


def block_bits(
    stored: IntArray | int,
    *,
    blocks: IntArray | int,
    block_elems: IntArray | int,
    bits: IntArray | int,
    map_bits: int,
) -> IntArray:
    """Map bits of all blocks and the weights of the stored ones.

    >>> int(block_bits(3, blocks=10, block_elems=16, bits=8, map_bits=1))
    394
    """
    return np.asarray(blocks * map_bits + stored * block_elems * bits)


@lru_cache(maxsize=256)
def groups_touched(granule: int) -> NDArray[np.float64]:
    """(1 + MAX_BLOCK,) mean number of plan blocks that a granule of the engine touches along one axis.

    Index: the size of the plan's blocks. 1 where they are multiples of the granule, granule / block where
    they divide it.

    >>> groups_touched(16)[[1, 16, 32, 24]]
    array([16.        ,  1.        ,  1.        ,  1.33333333])
    """
    block = np.arange(1, MAX_BLOCK + 1)
    touched = 1.0 + (granule - np.gcd(granule, block)) / block
    return np.concatenate([[np.nan], touched])


def surviving_frac(
    *,
    zeros_frac: NDArray[np.float64],
    granule: tuple[int, int],
    block_rows: IntArray,
    block_columns: IntArray,
) -> NDArray[np.float64]:
    """(P, L) expected share of granules with a non-zero weight, when groups are zero independently.

    zeros_frac : (P, L) share of zero groups. A granule is zero when all groups it touches are:
    probability zeros_frac ** touched (s ** 16 for single weights and 1 x 16).

    >>> surviving_frac(zeros_frac=np.array([[0.75]]), granule=(1, 16),
    ...     block_rows=np.array([[1]]), block_columns=np.array([[16]]))
    array([[0.25]])
    """
    down, across = groups_touched(granule[0])[block_rows], groups_touched(granule[1])[block_columns]
    if not ((down % 1.0).any() or (across % 1.0).any()):
        return np.asarray(1.0 - zeros_frac ** (down * across))
    # Misfit blocks: a granule touches the mean rounded down or up, at the share that gives the mean.
    cleared = np.zeros(np.broadcast_shapes(zeros_frac.shape, down.shape, across.shape))
    for high, of_high in _rounded_both_ways(down):
        for wide, of_wide in _rounded_both_ways(across):
            cleared += of_high * of_wide * zeros_frac ** (high * wide)
    return 1.0 - cleared


def _rounded_both_ways(
    touched: NDArray[np.float64],
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    low = np.floor(touched)
    yield low, 1.0 - (touched - low)
    yield low + 1.0, touched - low


def csr_fillers(
    *,
    rows: IntArray | int,
    columns: IntArray | int,
    zeros_frac: NDArray[np.float64],
    block_columns: IntArray | int = 1,
) -> NDArray[np.float64]:
    """Zeros that csr_delta8 is expected to store because a distance does not fit; all arguments broadcast.

    zeros_frac : share of zero groups, which lie independently. k x 255 zeros before a weight that is not
    zero cover whole groups: it begins a group, and those before it are all zero.

    >>> csr_fillers(rows=100, columns=300, zeros_frac=np.array([0.99])).round(1)
    array([3.5])
    """
    width, total = np.asarray(columns), np.zeros(np.shape(zeros_frac))
    groups = ceil_div(width, block_columns)
    for fillers in range(1, 1 + (int(width.max(initial=1)) - 1) // CSR_DELTA_LIMIT):
        before = ceil_div(np.asarray(fillers * CSR_DELTA_LIMIT), block_columns)
        begins = np.maximum(groups - before, 0)
        total = total + rows * begins * (1.0 - zeros_frac) * zeros_frac**before
    return np.asarray(total)


def to_bytes(bits: IntArray) -> IntArray:
    """Whole bytes."""
    return np.asarray(ceil_div(bits, 8))


def nonzero_granules(weights: IntArray, *, granule: tuple[int, int]) -> int:
    """Granules of a real matrix (R, C) that hold a non-zero weight.

    >>> nonzero_granules(np.eye(4, 32, dtype=np.int8), granule=(1, 16))
    4
    """
    return int(granules_of_rows(weights, granule=granule).sum())


def granules_of_rows(weights: IntArray, *, granule: tuple[int, int]) -> IntArray:
    """(rows of granules,) granules of a real matrix (R, C) that hold a non-zero weight.

    >>> granules_of_rows(np.eye(4, 32, dtype=np.int8), granule=(2, 16))
    array([1, 1])
    """
    rows, columns = (ceil_div(size, part) for size, part in zip(weights.shape, granule, strict=True))
    padded = np.zeros((rows * granule[0], columns * granule[1]), bool)
    padded[: weights.shape[0], : weights.shape[1]] = weights != 0
    return np.asarray(padded.reshape(rows, granule[0], columns, granule[1]).any(axis=(1, 3)).sum(axis=1))


def csr_stored(weights: IntArray) -> int:
    """Weights that csr_delta8 stores of a real matrix: the non-zero ones and a zero per long distance.

    >>> csr_stored(np.array([[0] * 300 + [1]]))
    2
    """
    return int(csr_stored_of_rows(weights).sum())


def csr_stored_of_rows(weights: IntArray) -> IntArray:
    """(R,) weights that csr_delta8 stores of each row of a real matrix (R, C).

    >>> csr_stored_of_rows(np.array([[0] * 300 + [1], [1] + [0] * 300]))
    array([2, 1])
    """
    rows, columns = np.nonzero(weights)
    previous = np.where(np.diff(rows, prepend=-1) != 0, -1, np.roll(columns, 1))
    fillers = (columns - previous - 1) // CSR_DELTA_LIMIT
    counts = np.zeros(weights.shape[0], np.int64)
    np.add.at(counts, rows, 1 + fillers)
    return counts
