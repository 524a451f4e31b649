"""What the recurrent primitives share: weights laid out for fast products, time in cache-sized chunks."""

from __future__ import annotations

import numpy as np
from scipy.linalg.blas import dgemm, sgemm

from npuexplore.units import FloatArray

PADDING_ELEMS = 32
"""Extra floats per weight row: a row stride of a power of two, as 4096 bytes, aliases in the cache."""
CHUNK_ELEMS = 1 << 18
"""Pre-activations worked on at a time: 1 MiB in float32, half of a common second-level cache."""


def padded_transpose(rows: FloatArray) -> FloatArray:
    """(G, N) -> (N, G) whose rows lie G + PADDING_ELEMS apart.

    >>> padded_transpose(np.zeros((4, 2), np.float32)).strides
    (144, 4)
    """
    padded = np.empty((rows.shape[1], rows.shape[0] + PADDING_ELEMS), rows.dtype)[:, : rows.shape[0]]
    padded[:] = rows.T
    return padded


def time_chunks(frames: int, batch: int, width: int) -> list[tuple[int, int]]:
    """(start, stop) of runs of frames whose (frames, batch, width) values stay in cache.

    >>> time_chunks(20, 32, 1024)
    [(0, 8), (8, 16), (16, 20)]
    """
    length = max(1, CHUNK_ELEMS // (batch * width))
    return [(start, min(start + length, frames)) for start in range(0, frames, length)]


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
