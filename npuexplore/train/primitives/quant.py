"""Rounding to an integer grid whose gradient passes straight through."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp, defvjp_argnums
from numpy.typing import NDArray

from npuexplore.compression.quantize import Grid, fake_quantise, output_grid, snap
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
        passed: FloatArray = aligned_empty(values.shape, values.dtype)
        return np.multiply(d_out, _within(values, grid), out=passed)

    return vjp


def _within(values: FloatArray, grid: Grid) -> NDArray[np.bool_]:
    """Where values lie within the limits of a grid."""
    within = values >= (grid.low - 0.5) * grid.step
    within &= values <= (grid.high + 0.5) * grid.step
    return within


defvjp(fq_act, _act_vjp)


@differentiable
def fq_range(values: FloatArray, span: FloatArray, *, activation: str, bits: int) -> FloatArray:
    """`values` on the grid of a dense layer's outputs that reaches to `span` (), which learns.

    >>> fq_range(np.array([0.3, 9.0]), np.array(2.55), activation="relu", bits=8).round(2).tolist()
    [0.3, 2.55]
    """
    return fq_act(values, grid=output_grid(activation, bits, float(span)))


def _range_vjp_maker(
    argnums: tuple[int, ...], outputs: FloatArray, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    values, span = args
    grid = output_grid(kwargs["activation"], kwargs["bits"], float(span))

    def of_span(d_out: FloatArray) -> FloatArray:
        # eq. 3, Esser 2020 (LSQ), times d step / d span; of clipped values that is eq. 3, Choi 2018 (PACT).
        slope = outputs - values * _within(values, grid)
        slope /= slope.dtype.type(grid.step * grid.high)
        return np.asarray(np.vdot(d_out, slope), slope.dtype)

    makers = (_act_vjp(outputs, values, grid=grid), of_span)
    return lambda d_out: tuple(makers[argnum](d_out) for argnum in argnums)


defvjp_argnums(fq_range, _range_vjp_maker)


@differentiable
def fq_weight(weights: FloatArray, *, bits: int, groups: int) -> FloatArray:
    """Weights (R, C) on their symmetric grid, one step per group of rows; the gradient passes unchanged."""
    return fake_quantise(weights, bits=bits, groups=groups)


defvjp(fq_weight, lambda _, weights, *, bits, groups: lambda d_out: d_out)
