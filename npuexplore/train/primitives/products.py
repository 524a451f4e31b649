"""Fast matrix products: weights cut into blocks, time into chunks, gradients summed over chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg.blas import dgemm, sgemm
from threadpoolctl import threadpool_info

from npuexplore.train.primitives.workspace import aligned_copy, aligned_empty, aligned_zeros
from npuexplore.units import FloatArray

SMALL_PRODUCT_MACS = 1_000_000
"""OpenBLAS has kernels without packing for products up to this size, where there is AVX-512."""
UNPACKED = ("SkylakeX", "Cooperlake", "SapphireRapids")
"""OpenBLAS architectures that have them."""
BLOCK_COLUMNS = range(32, 65)
LEAST_ROWS = 4
CHUNK_ELEMS = 1 << 18
"""Pre-activations worked on at a time: 1 MiB in float32, half of a common second-level cache."""


def time_chunks(frames: int, batch: int, width: int) -> list[tuple[int, int]]:
    """(start, stop) of runs of frames whose (frames, batch, width) values stay in cache.

    >>> time_chunks(20, 32, 1024)
    [(0, 8), (8, 16), (16, 20)]
    """
    length = max(1, CHUNK_ELEMS // (batch * width))
    return [(start, min(start + length, frames)) for start in range(0, frames, length)]


@dataclass(frozen=True)
class Blocks:
    """Matrices (G, K, N) cut into column blocks, and how many rows are multiplied by one at a time."""

    weights: FloatArray
    """(G, N / n, 1, K, n), each block contiguous."""
    rows: int


def column_blocks(weights: FloatArray, batch: int) -> Blocks:
    """Matrices (G, K, N) cut so that products with multiples of `batch` rows need no packing, if they can be.

    BLAS multiplies some rows by a block of at most SMALL_PRODUCT_MACS directly, where a larger matrix
    would be packed anew at every step: 54 against 99 us for 16 rows of an LSTM 256.

    >>> column_blocks(np.zeros((4, 256, 256), np.float32), 32).weights.shape[:2] in ((4, 4), (4, 1))
    True
    """
    gates, inner, columns = weights.shape
    width, rows = _block(batch, inner, columns) if small_products_pay() else (columns, batch)
    blocks = weights.reshape(gates, inner, -1, width).transpose(0, 2, 1, 3)
    return Blocks(aligned_copy(blocks)[:, :, None], rows)


def _block(batch: int, inner: int, columns: int) -> tuple[int, int]:
    """Columns and rows of a product of at most SMALL_PRODUCT_MACS; all of them where none is worth it."""
    fitting = [
        (n * rows, n, rows)
        for n in BLOCK_COLUMNS
        for rows in range(min(batch, LEAST_ROWS), batch + 1)
        if columns % n == 0 and batch % rows == 0 and rows * inner * n <= SMALL_PRODUCT_MACS
    ]
    return max(fitting, default=(0, columns, batch))[1:]


@cache
def small_products_pay() -> bool:
    """Whether numpy's BLAS has kernels for small products that read matrices as they lie."""
    return any(pool.get("architecture") in UNPACKED for pool in threadpool_info())


def block_product(left: FloatArray, blocks: Blocks, out: FloatArray) -> None:
    """out[g] = left @ matrix g, or left[g] @ matrix g.

    left : (R, K) or (G, R, K), R a multiple of the blocks' batch ; out : (G, R, N).
    """
    gates, count, _, inner, width = blocks.weights.shape
    parts = left.reshape(*left.shape[:-2], 1, -1, blocks.rows, inner)
    by_block = out.reshape(gates, -1, blocks.rows, count, width).transpose(0, 3, 1, 2, 4)
    np.matmul(parts, blocks.weights, out=by_block)


def rows_product(left: FloatArray, matrix: FloatArray, out: FloatArray) -> None:
    """out = left @ matrix, row by row; left : (..., K) ; matrix : (K, N) ; out : (..., N), C-ordered."""
    np.matmul(left.reshape(-1, left.shape[-1]), matrix, out=out.reshape(-1, out.shape[-1]))


def add_outer_products(total: FloatArray, left: FloatArray, right: FloatArray) -> None:
    """total += left^T right, in place.

    left : (N, R) ; right : (N, C) ; total : (R, C), C-contiguous, all of one dtype.

    >>> total = np.ones((1, 1))
    >>> add_outer_products(total, np.array([[2.0]]), np.array([[3.0]]))
    >>> total.tolist()
    [[7.0]]
    """
    gemm = sgemm if total.dtype == np.float32 else dgemm
    gemm(1.0, right.T, left.T, beta=1.0, c=total.T, trans_b=1, overwrite_c=1)


class OuterSum:
    """Gradients of matrices that multiply rows of the same frames, and of their bias, summed chunk by chunk.

    Side by side they are one product: the larger it is, the less of it is packing.
    """

    def __init__(self, outputs: int, columns: Sequence[int], dtype: np.dtype[Any]) -> None:
        """outputs : R rows of every matrix ; columns : C of each."""
        self._columns = list(columns)
        self._total = aligned_zeros((outputs, sum(columns)), dtype)
        self._joined = aligned_empty((0, sum(columns)), dtype)
        self.bias = np.zeros(outputs, dtype)
        """(R,)"""

    def add(self, d_linear: FloatArray, *rows: FloatArray) -> None:
        """Add a chunk; d_linear : (..., R) gradients of the outputs ; rows : (..., C) of each matrix."""
        pulls = d_linear.reshape(-1, d_linear.shape[-1])
        add_outer_products(self._total, pulls, self._side_by_side(len(pulls), rows))
        self.bias += np.ones(len(pulls), pulls.dtype) @ pulls

    def _side_by_side(self, count: int, rows: Sequence[FloatArray]) -> FloatArray:
        if len(rows) == 1:
            return rows[0].reshape(count, -1)
        if len(self._joined) < count:
            self._joined = aligned_empty((count, self._joined.shape[1]), self._joined.dtype)
        joined = self._joined[:count]
        for part, each in zip(self._parts(joined), rows, strict=True):
            part[:] = each.reshape(count, -1)
        return joined

    def _parts(self, joined: FloatArray) -> list[FloatArray]:
        return np.split(joined, np.cumsum(self._columns)[:-1], axis=1)

    def matrices(self) -> list[FloatArray]:
        """The gradient (R, C) of each matrix."""
        return [aligned_copy(part) for part in self._parts(self._total)]
