"""Storage formats of integer weights: expected sizes for plans, exact sizes for real matrices.

Sizes are bits; a matrix starts on a byte. Formats:

- dense: every weight, b bits.
- bitmap: one bit per weight, then the non-zero weights.
- csr_delta8: per row a pointer; per non-zero weight its value and the 8-bit distance to the one before.
- block_bitmap: map bits per granule, then the granules that hold a non-zero weight.
- block_index: per stored block its values and an index; per block row a pointer.
- mlw: Arm's lossless coder, by its measured bytes per weight.
"""

from __future__ import annotations

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
    touched = groups_touched(granule[0])[block_rows] * groups_touched(granule[1])[block_columns]
    surviving: NDArray[np.float64] = 1.0 - zeros_frac**touched
    return surviving


def to_bytes(bits: IntArray) -> IntArray:
    """Whole bytes."""
    return np.asarray(ceil_div(bits, 8))


def nonzero_granules(weights: IntArray, *, granule: tuple[int, int]) -> int:
    """Granules of a real matrix (R, C) that hold a non-zero weight.

    >>> nonzero_granules(np.eye(4, 32, dtype=np.int8), granule=(1, 16))
    4
    """
    rows, columns = (ceil_div(size, part) for size, part in zip(weights.shape, granule, strict=True))
    padded = np.zeros((rows * granule[0], columns * granule[1]), bool)
    padded[: weights.shape[0], : weights.shape[1]] = weights != 0
    return int(padded.reshape(rows, granule[0], columns, granule[1]).any(axis=(1, 3)).sum())


def csr_stored(weights: IntArray) -> int:
    """Weights that csr_delta8 stores of a real matrix: the non-zero ones and a zero per long distance.

    >>> csr_stored(np.array([[0] * 300 + [1]]))
    2
    """
    rows, columns = np.nonzero(weights)
    previous = np.where(np.diff(rows, prepend=-1) != 0, -1, np.roll(columns, 1))
    gaps = columns - previous
    return int(columns.size + ((gaps - 1) // CSR_DELTA_LIMIT).sum())
