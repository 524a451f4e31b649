"""How far the grid of weights of few bits reaches: the largest are clipped for the sake of the others.

A step of max|w| / (2^(bits-1) - 1) makes most weights of 4 bits small and nearly all of 2 bits zero. The step
taken instead makes the mean of |w - rounded w|^p smallest (eq. 5, Nahshan 2021, "Loss aware post-training
quantization", arXiv 1911.07190). p = 2 is the squared error, which clips so much that a recurrent network
suffers more from it than from max|w|; larger p spare the large weights.
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
BINS = 512
"""Of the histogram of |w| / max|w|."""
REACHES = np.arange(8, 81) / 80
"""Candidates: largest value of the grid over max|w|."""
ON_GRID = 0.01
"""Weights that are no further from the points of a grid, in steps, lie on it (float16 is 0.004 off)."""
GLANCE = 64
"""Weights of a group that are looked at before all of them are."""


def reach_fracs(sizes: FloatArray, *, bits: int) -> FloatArray:
    """(G,) largest value of the grid over the largest weight, 0.1 to 1, for G groups of weights.

    sizes : (G, N) |w| / max|w| of each group. Weights that lie on a grid that reaches to the largest one
    keep it, so that rounding twice changes nothing.

    >>> bell = np.abs(np.random.default_rng(0).standard_normal((1, 50_000)))
    >>> reach_fracs(bell / bell.max(), bits=2), reach_fracs(np.array([[1.0, 0.0, 1.0]]), bits=2)
    (array([0.35]), array([1.]))
    """
    errors = _errors(bits)
    counts = np.stack([_histogram(row) for row in sizes])
    fracs = REACHES[(counts @ errors.T).argmin(axis=1)]
    return np.asarray(np.where(_lie_on_grid(sizes, bits=bits), 1.0, fracs))


def _histogram(sizes: FloatArray) -> NDArray[np.float64]:
    """(BINS,) how many sizes of 0 to 1 lie in each bin."""
    bins = (sizes * (BINS - 1e-3)).astype(np.intp)
    return np.bincount(bins, minlength=BINS).astype(np.float64)


@lru_cache(maxsize=8)
def _errors(bits: int) -> NDArray[np.float64]:
    """(candidates, BINS) |error|^p of a weight in the middle of each bin on the grid of each candidate."""
    top = 2 ** (bits - 1) - 1
    steps = (REACHES / top)[:, None]
    middles = (np.arange(BINS) + 0.5) / BINS
    rounded = np.minimum(np.rint(middles / steps), top) * steps
    return np.asarray(np.abs(middles - rounded) ** EXPONENT)


def _lie_on_grid(sizes: FloatArray, *, bits: int) -> NDArray[np.bool_]:
    """(G,) whether all weights of a group are multiples of its largest one over 2^(bits-1) - 1."""
    found = _near_whole(sizes[:, :GLANCE], bits)
    for group in np.flatnonzero(found):
        found[group] = _near_whole(sizes[group : group + 1], bits)[0]
    return found


def _near_whole(sizes: FloatArray, bits: int) -> NDArray[np.bool_]:
    codes = sizes * (2 ** (bits - 1) - 1)
    return np.asarray((np.abs(codes - np.rint(codes)) <= ON_GRID).all(axis=1))
