"""How far the grid of weights of few bits reaches: the largest are clipped for the sake of the others.

A step of max|w| / (2^(bits-1) - 1) makes most weights of 4 bits small and nearly all of 2 bits zero. The step
taken instead makes the mean of |w - rounded w|^p smallest (the L_p criterion of Nahshan 2021, "Loss aware
post-training quantization", arXiv 1911.07190). p = 2 is the squared error, which clips so much that a
recurrent network suffers more from it than from max|w|; larger p spare the large weights.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import FloatArray

FEW_BITS = 4
"""Up to here grids clip; with more bits they reach to the largest weight."""
EXPONENT = 5
"""p: of 2, 3, 4, 5, 6 and 8 the best for the shipped baseline, 2 and 4 bits taken together, no retraining."""
FINEST = 511
"""Steps in which sizes of weights are told apart: 7 times 73, so that grids of 4 bits are among them."""
REACHES = np.arange(8, 81) / 80
"""Candidates: largest value of the grid over max|w|."""


def reach_fracs(rows: FloatArray, largest: FloatArray, *, bits: int) -> FloatArray:
    """(G,) largest value of the grid over the largest weight, 0.1 to 1, for G groups of weights.

    rows : (G, N) ; largest : (G,) max|w| of each group, not 0. Weights that lie on a grid that reaches to the
    largest one keep it, so that rounding twice changes nothing.

    >>> bell = np.random.default_rng(0).standard_normal((1, 50_000))
    >>> reach_fracs(bell, abs(bell).max(axis=1), bits=2)
    array([0.35])
    >>> reach_fracs(np.array([[3.0, 0.0, -3.0]]), np.array([3.0]), bits=2)
    array([1.])
    """
    counts = np.stack([_histogram(row, top) for row, top in zip(rows, largest, strict=True)])
    return np.asarray(REACHES[(counts @ _errors(bits).T).argmin(axis=1)])


def _histogram(row: FloatArray, largest: float) -> NDArray[np.float64]:
    """(1 + FINEST,) how many of some weights lie at each step of size from 0 to the largest."""
    steps = np.abs(row)
    steps *= FINEST / largest
    steps += 0.5
    return np.bincount(steps.astype(np.intp), minlength=FINEST + 1).astype(np.float64)


@lru_cache(maxsize=8)
def _errors(bits: int) -> NDArray[np.float64]:
    """(candidates, 1 + FINEST) |error|^p of weights of each size on the grid of each candidate."""
    top = 2 ** (bits - 1) - 1
    steps = (REACHES / top)[:, None]
    sizes = np.arange(FINEST + 1) / FINEST
    rounded = np.minimum(np.rint(sizes / steps), top) * steps
    return np.asarray(np.abs(sizes - rounded) ** EXPONENT)
