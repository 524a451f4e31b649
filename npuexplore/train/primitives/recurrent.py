"""What the recurrent primitives share: weights laid out for fast products, time in cache-sized chunks."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

from npuexplore.compression.quantize import Grid, rounding_anchor
from npuexplore.train.primitives.workspace import aligned_copy, aligned_empty, aligned_zeros
from npuexplore.units import FloatArray

PADDING_ELEMS = 32
"""Extra floats per weight row: a row stride of a power of two, as 4096 bytes, aliases in the cache."""
SMALL_PRODUCT_MACS = 1_000_000
"""OpenBLAS has kernels without packing for products up to this size (AVX-512; no loss elsewhere)."""
BLOCK_COLUMNS = range(32, 65)
CHUNK_ELEMS = 1 << 18
"""Pre-activations worked on at a time: 1 MiB in float32, half of a common second-level cache."""


def padded_transpose(rows: FloatArray) -> FloatArray:
    """(G, N) -> (N, G) whose rows lie G + PADDING_ELEMS apart.

    >>> padded_transpose(np.zeros((4, 2), np.float32)).strides
    (144, 4)
    """
    padded = aligned_empty((rows.shape[1], rows.shape[0] + PADDING_ELEMS), rows.dtype)[:, : rows.shape[0]]
    padded[:] = rows.T
    return padded


def time_chunks(frames: int, batch: int, width: int) -> list[tuple[int, int]]:
    """(start, stop) of runs of frames whose (frames, batch, width) values stay in cache.

    >>> time_chunks(20, 32, 1024)
    [(0, 8), (8, 16), (16, 20)]
    """
    length = max(1, CHUNK_ELEMS // (batch * width))
    return [(start, min(start + length, frames)) for start in range(0, frames, length)]


def column_blocks(weights: FloatArray, batch: int) -> FloatArray:
    """Matrices (G, K, N) cut into N / n column blocks, (G, N / n, K, n), each contiguous.

    BLAS multiplies `batch` rows by a block of at most SMALL_PRODUCT_MACS directly, where a larger
    matrix would be packed anew at every step: 54 against 99 us for 16 rows of an LSTM 256.

    >>> column_blocks(np.zeros((4, 256, 256), np.float32), 32).shape
    (4, 4, 256, 64)
    """
    gates, inner, columns = weights.shape
    fitting = [n for n in BLOCK_COLUMNS if columns % n == 0 and batch * inner * n <= SMALL_PRODUCT_MACS]
    width = max(fitting, default=columns)
    return aligned_copy(weights.reshape(gates, inner, -1, width).transpose(0, 2, 1, 3))


def block_product(left: FloatArray, blocks: FloatArray, out: FloatArray) -> None:
    """out[g] = left[g] @ matrix g, the matrices given as `column_blocks`.

    left : (B, K), or (G, 1, B, K) for one per gate ; out : (G, B, N).
    """
    gates, count, _, width = blocks.shape
    np.matmul(left, blocks, out=out.reshape(gates, -1, count, width).transpose(0, 2, 1, 3))


def by_gate(rows: FloatArray, gates: int) -> FloatArray:
    """(B, G H) seen as (G, B, H)."""
    return rows.reshape(rows.shape[0], gates, -1).transpose(1, 0, 2)


def snap_hidden(values: FloatArray, grid: Grid) -> None:
    """`snap` of values within -1..1 to a grid that begins at -1: only its top can be passed.

    >>> row = np.array([0.3, 1.0, -1.0], np.float32)
    >>> snap_hidden(row, Grid(0.5, -2, 1))
    >>> row.tolist()
    [0.5, 0.5, -1.0]
    """
    anchor = rounding_anchor(grid.step, values.dtype)
    values += anchor
    values -= anchor
    np.minimum(values, grid.high * grid.step, out=values)


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


class ChunkSums:
    """Gradients of a recurrent layer's inputs and parameters, summed chunk by chunk."""

    def __init__(self, inputs: FloatArray, w_ih: FloatArray, units: int, wants_inputs: bool) -> None:
        width, dtype = w_ih.shape[0], inputs.dtype
        self._values, self._w_in = inputs, aligned_copy(w_ih) if wants_inputs else w_ih
        self.inputs = aligned_empty(inputs.shape, dtype) if wants_inputs else None
        self.w_ih = aligned_zeros((width, inputs.shape[2]), dtype)
        self.w_hh = aligned_zeros((width, units), dtype)
        self.bias = np.zeros(width, dtype)

    def add(
        self, start: int, stop: int, d_linear: FloatArray, d_recurrent: FloatArray, before: FloatArray
    ) -> None:
        """Add frames start .. stop - 1.

        d_linear, d_recurrent : (N, B, G H) gradients of the projections of inputs and state ; before :
        (N, B, H) the states before each frame.
        """
        linear, recurrent = (each.reshape(-1, each.shape[2]) for each in (d_linear, d_recurrent))
        add_outer_products(self.w_ih, linear, self._values[start:stop].reshape(linear.shape[0], -1))
        add_outer_products(self.w_hh, recurrent, before.reshape(linear.shape[0], -1))
        self.bias += np.ones(linear.shape[0], linear.dtype) @ linear
        if self.inputs is not None:
            np.matmul(linear, self._w_in, out=self.inputs[start:stop].reshape(linear.shape[0], -1))
