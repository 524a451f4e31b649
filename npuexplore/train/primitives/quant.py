"""Rounding to an integer grid whose gradient passes straight through."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp

from npuexplore.compression.quantize import Grid, fake_quantise, snap
from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.workspace import aligned_copy, aligned_empty
from npuexplore.units import FloatArray


@differentiable
def fq_act(values: FloatArray, *, grid: Grid) -> FloatArray:
    """`values` on `grid`; the gradient passes where they lie within its limits.

    >>> fq_act(np.array([0.3, 9.0]), grid=Grid(0.25, -4, 3)).tolist()
    [0.25, 0.75]
    """
    rounded = aligned_copy(values)
    snap(rounded, grid)
    return rounded


def _act_vjp(_: FloatArray, values: FloatArray, *, grid: Grid) -> Any:
    def vjp(d_out: FloatArray) -> FloatArray:
        low, high = (grid.low - 0.5) * grid.step, (grid.high + 0.5) * grid.step
        within = values >= low
        within &= values <= high
        passed: FloatArray = aligned_empty(values.shape, values.dtype)
        return np.multiply(d_out, within, out=passed)

    return vjp


defvjp(fq_act, _act_vjp)


@differentiable
def fq_weight(weights: FloatArray, *, bits: int, groups: int) -> FloatArray:
    """Weights (R, C) on their symmetric grid, one step per group of rows; the gradient passes unchanged."""
    return fake_quantise(weights, bits=bits, groups=groups)


defvjp(fq_weight, lambda _, weights, *, bits, groups: lambda d_out: d_out)
