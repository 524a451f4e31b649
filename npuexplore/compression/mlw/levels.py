"""The integer levels that expected sizes assume: a Gaussian, clipped, on a grid of 2^bits - 1 levels."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kept = Literal["random", "magnitude", "two_four"]
"""Which weights survive pruning: any, the largest, or the two largest of every four inputs."""

CLIP_SIGMAS = {8: 4.0, 6: 3.5, 4: 3.0, 3: 2.5, 2: 2.0}
"""Standard deviations of the Gaussian that the greatest level of a grid of b bits stands for.

Source: the recipe of the recorded reference weights; trained weights may lie flatter or more peaked.
"""
GROUP_INPUTS = 4
"""Inputs of a group of the 2:4 structure; half of them are zero."""
INTEGRATION_SIGMAS = 8.0
INTEGRATION_POINTS = 40_000


def greatest_level(bits: int) -> int:
    """Greatest level of a symmetric grid of b bits.

    >>> greatest_level(4)
    7
    """
    return int(2 ** (bits - 1) - 1)


@lru_cache(maxsize=512)
def survivor_fracs(kept: Kept, *, bits: int, pruned_frac: float) -> NDArray[np.float64]:
    """(1 + greatest,) share of surviving weights whose size is 0, 1, ..., both signs together.

    >>> survivor_fracs("random", bits=2, pruned_frac=0.0).round(3).tolist()
    [0.683, 0.317]
    """
    sizes = (np.arange(INTEGRATION_POINTS) + 0.5) * (INTEGRATION_SIGMAS / INTEGRATION_POINTS)
    density = np.exp(-0.5 * sizes**2)
    below = (np.cumsum(density) - 0.5 * density) / density.sum()
    if kept == "magnitude":
        density = density * (below >= pruned_frac)
    if kept == "two_four":
        # Survives unless two or three of the other three weights of its group are larger.
        density = density * (below**3 + 3 * below**2 * (1.0 - below))
    top = greatest_level(bits)
    levels = np.minimum(np.rint(sizes * (top / CLIP_SIGMAS[bits])), top).astype(np.intp)
    return np.asarray(np.bincount(levels, weights=density, minlength=top + 1) / density.sum())


def rounded_frac(kept: Kept, *, bits: int, pruned_frac: float = 0.0) -> float:
    """Share of surviving weights that round to zero.

    >>> round(rounded_frac("random", bits=4), 2), round(rounded_frac("two_four", bits=4), 2)
    (0.17, 0.01)
    """
    return float(survivor_fracs(kept, bits=bits, pruned_frac=pruned_frac)[0])


def peak_frac(kept: Kept, *, bits: int, pruned_frac: float = 0.0) -> float:
    """Share of the most frequent weight among the surviving ones that are not zero.

    >>> peak_frac("random", bits=2)
    0.5
    """
    sizes = survivor_fracs(kept, bits=bits, pruned_frac=pruned_frac)[1:]
    return float(sizes.max() / sizes.sum() / 2)


def draw_levels(
    count: int, *, bits: int, kept: Kept, pruned_frac: float, rng: np.random.Generator
) -> NDArray[np.int16]:
    """(count,) levels of weights that survive pruning, those that round to zero included."""
    if kept == "two_four":
        groups = rng.standard_normal((-(-count // 2), GROUP_INPUTS))
        order = np.argsort(np.abs(groups), axis=1)[:, GROUP_INPUTS // 2 :]
        gaussian = np.take_along_axis(groups, order, axis=1).ravel()
    elif kept == "magnitude":
        threshold = NormalDist().inv_cdf(0.5 + pruned_frac / 2)
        drawn = rng.standard_normal(int(1.5 * count / (1.0 - pruned_frac)) + 1000)
        gaussian = drawn[np.abs(drawn) >= threshold]
    else:
        gaussian = rng.standard_normal(count)
    top = greatest_level(bits)
    levels = np.rint(gaussian[:count] * (top / CLIP_SIGMAS[bits]))
    return np.asarray(np.clip(levels, -top, top), np.int16)
