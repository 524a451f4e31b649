"""The integer grids of weights, activations and states: what is trained is what is deployed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.clipping import FEW_BITS, reach_fracs
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.units import FloatArray
from npuexplore.workload.network import Layer, Network, gate_count

CELL_INTEGER_BITS = 4
"""An int16 cell state spans -16..16: tanh is 1 to the last bit of int8 well before that."""
INPUT_SPAN = 8.0
"""Input features, in deviations, are kept within +-8."""
MANTISSA_BITS = {4: 23, 8: 52}
"""Of floating-point numbers, by their bytes."""


@dataclass(frozen=True)
class Grid:
    """The values step * n with integer low <= n <= high."""

    step: float
    low: int
    high: int


@dataclass(frozen=True)
class RecurrentGrid:
    """Grids of the hidden and the cell state of one recurrent layer; their steps are powers of two."""

    hidden: Grid
    cell: Grid


def snap(values: FloatArray, grid: Grid) -> None:
    """Round `values` in place to the nearest point of `grid`, halves to even.

    >>> row = np.array([0.3, 2.0, -0.26], np.float32)
    >>> snap(row, Grid(0.5, -2, 1))
    >>> row.tolist()
    [0.5, 0.5, -0.5]
    """
    if math.frexp(grid.step)[0] == 0.5:
        anchor = rounding_anchor(grid.step, values.dtype)
        values += anchor
        values -= anchor
        values.clip(grid.low * grid.step, grid.high * grid.step, out=values)
        return
    values /= grid.step
    np.rint(values, out=values)
    values.clip(grid.low, grid.high, out=values)
    values *= grid.step


def rounding_anchor(step: float, dtype: np.dtype[Any]) -> float:
    """A number so large that a sum with it has no bits left below `step`, a power of two.

    >>> anchor = rounding_anchor(0.5, np.dtype("f8"))
    >>> 0.3 + anchor - anchor
    0.5
    """
    return float(1.5 * 2.0 ** MANTISSA_BITS[dtype.itemsize] * step)


def signed_grid(bits: int, span: float) -> Grid:
    """All two's-complement codes of `bits` bits over -span..span.

    >>> signed_grid(8, 1.0)
    Grid(step=0.0078125, low=-128, high=127)
    """
    return Grid(span / 2 ** (bits - 1), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def recurrent_grid(activation_bits: int) -> RecurrentGrid:
    """h on 1/128 (int8) or 1/32768 (int16); c always int16 with a power-of-two step."""
    return RecurrentGrid(signed_grid(activation_bits, 1.0), signed_grid(16, 2.0**CELL_INTEGER_BITS))


def input_grid(activation_bits: int) -> Grid:
    """Grid of the scaled input features."""
    return signed_grid(activation_bits, INPUT_SPAN)


def output_grid(activation: str, activation_bits: int, observed: float) -> Grid:
    """Grid of a dense layer's outputs; `observed` is the largest magnitude they were seen to reach.

    Sigmoid and tanh span their known range, relu uses every code from 0 up, none is symmetric.

    >>> output_grid("relu", 8, 25.5).step
    0.1
    """
    levels = 255 if activation_bits == 8 else 32_767
    signed = 2 ** (activation_bits - 1) - 1
    if activation == "sigmoid":
        return Grid(1.0 / (levels + 1), 0, levels)
    if activation == "tanh":
        return signed_grid(activation_bits, 1.0)
    if activation == "relu":
        return Grid(max(observed, 1e-6) / levels, 0, levels)
    return Grid(max(observed, 1e-6) / signed, -signed, signed)


Integers = NDArray[np.int8] | NDArray[np.int16]


def step_count(layer: Layer, choice: LayerPlan, *, rows: int) -> int:
    """Steps of the grid of one of a layer's matrices, which share its rows evenly: gates, or all rows."""
    return rows if choice.scales == "channel" else gate_count(layer.kind)


def quantise(weights: FloatArray, *, bits: int, groups: int) -> tuple[Integers, FloatArray]:
    """Integers (R, C) and the step (groups,) of each group of rows; see `weight_steps`.

    groups : equal runs of rows with a step of their own; gates, or 1 or R of a dense layer.
    int8 for up to 8 bits (2 bits: -1, 0 and 1), int16 for more.

    >>> quantise(np.array([[1.27, -0.5]], np.float32), bits=8, groups=1)[0].tolist()
    [[127, -50]]
    """
    steps = weight_steps(weights, bits=bits, groups=groups)
    codes = _codes(weights, steps, bits=bits).reshape(weights.shape)
    return codes.astype(np.int8) if bits <= 8 else codes.astype(np.int16), steps


def weight_steps(weights: FloatArray, *, bits: int, groups: int) -> FloatArray:
    """(groups,) grid step of each group of rows; 1 where they are all zero.

    max|w| / (2^(bits-1) - 1), and for 2 and 4 bits the share of it that `reach_fracs` gives.
    """
    rows = weights.reshape(groups, -1)
    largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
    largest[largest == 0.0] = 2 ** (bits - 1) - 1
    if bits <= FEW_BITS:
        largest = largest * reach_fracs(rows, largest, bits=bits)
    steps: FloatArray = (largest / (2 ** (bits - 1) - 1)).astype(weights.dtype, copy=False)
    return steps


def fake_quantise(weights: FloatArray, *, bits: int, groups: int) -> FloatArray:
    """`weights` moved to their integer grid, still floating point."""
    steps = weight_steps(weights, bits=bits, groups=groups)
    codes = _codes(weights, steps, bits=bits)
    codes *= steps[:, None]
    return codes.reshape(weights.shape)


def _codes(weights: FloatArray, steps: FloatArray, *, bits: int) -> FloatArray:
    """(groups, N) whole numbers of steps, those beyond the grid clipped to it."""
    codes = weights.reshape(steps.size, -1) / steps[:, None]
    np.rint(codes, out=codes)
    if bits <= FEW_BITS:
        top = 2 ** (bits - 1) - 1
        codes.clip(-top, top, out=codes)
    return codes


def integer_weights(
    params: Mapping[str, Mapping[str, FloatArray]], plan: CompressionPlan, network: Network
) -> dict[str, dict[str, tuple[Integers, FloatArray]]]:
    """Per layer and matrix: the stored integers and the step of each gate (gates,) or of each output (R,).

    Weights of fewer than 8 bits come one per int8 element: those of 4 bits in -7..7. `params` may be those
    that `shrink` left.
    """
    return {
        layer.name: {
            name: quantise(
                matrix,
                bits=plan.of(layer.name).of_matrix(name).weight_bits,
                groups=step_count(layer, plan.of(layer.name), rows=matrix.shape[0]),
            )
            for name, matrix in params[layer.name].items()
            if name.startswith("w")
        }
        for layer in network.layers
    }
