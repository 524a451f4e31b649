"""A fully connected layer with its activation as one differentiable primitive."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums

from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.products import OuterSum, rows_product, time_chunks
from npuexplore.train.primitives.workspace import aligned_empty
from npuexplore.units import FloatArray


def activate(values: FloatArray, activation: str) -> FloatArray:
    """`values`, overwritten by `activation` of them: none, relu, sigmoid or tanh.

    >>> activate(np.array([-1.0, 2.0]), "relu").tolist()
    [0.0, 2.0]
    """
    if activation == "relu":
        np.maximum(values, 0.0, out=values)
    elif activation == "tanh":
        np.tanh(values, out=values)
    elif activation == "sigmoid":
        values *= 0.5
        np.tanh(values, out=values)
        values *= 0.5
        values += 0.5
    return values


def times_slope(d_out: FloatArray, outputs: FloatArray, activation: str) -> FloatArray:
    """d_out times the derivative of the activation, which is known from its outputs.

    >>> times_slope(np.array([2.0]), np.array([0.5]), "sigmoid").tolist()
    [0.5]
    """
    if activation == "none":
        return d_out
    product: FloatArray = aligned_empty(outputs.shape, outputs.dtype)
    if activation == "relu":
        np.multiply(d_out, outputs > 0, out=product)
        return product
    np.multiply(outputs, outputs, out=product)
    np.subtract(outputs if activation == "sigmoid" else 1.0, product, out=product)
    product *= d_out
    return product


@differentiable
def dense(inputs: FloatArray, w: FloatArray, bias: FloatArray, *, activation: str) -> FloatArray:
    """activation(w x + bias) of every frame.

    inputs : (T, B, I) ; w : (O, I) ; bias : (O,) ; returns (T, B, O).
    """
    frames, batch, _ = inputs.shape
    outputs: FloatArray = aligned_empty((frames, batch, w.shape[0]), inputs.dtype)
    for start, stop in time_chunks(frames, batch, sum(w.shape)):
        now = outputs[start:stop]
        rows_product(inputs[start:stop], w.T, out=now)
        now += bias
        activate(now, activation)
    return outputs


def _vjp_maker(
    argnums: tuple[int, ...], outputs: FloatArray, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    inputs, w, _ = args
    frames, batch, _ = outputs.shape

    def vjp(d_out: FloatArray) -> tuple[Any, ...]:
        d_inputs = aligned_empty(inputs.shape, d_out.dtype) if 0 in argnums else None
        sums = OuterSum(w.shape[0], w.shape[1:], d_out.dtype)
        for start, stop in time_chunks(frames, batch, sum(w.shape)):
            d_linear = times_slope(d_out[start:stop], outputs[start:stop], kwargs["activation"])
            sums.add(d_linear, inputs[start:stop])
            if d_inputs is not None:
                rows_product(d_linear, w, out=d_inputs[start:stop])
        gradients = (d_inputs, *sums.matrices(), sums.bias)
        return tuple(gradients[argnum] for argnum in argnums)

    return vjp


defvjp_argnums(dense, _vjp_maker)
