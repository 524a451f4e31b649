"""A fully connected layer with its activation as one differentiable primitive."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums

from npuexplore.train.primitives.declare import differentiable
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
    frames, batch, features = inputs.shape
    outputs = aligned_empty((frames * batch, w.shape[0]), inputs.dtype)
    np.matmul(inputs.reshape(frames * batch, features), w.T, out=outputs)
    outputs += bias
    return activate(outputs, activation).reshape(frames, batch, -1)


def _vjp_maker(
    argnums: tuple[int, ...], outputs: FloatArray, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    def vjp(d_out: FloatArray) -> tuple[FloatArray, ...]:
        inputs, w, _ = args
        rows = outputs.shape[0] * outputs.shape[1]
        d_linear = times_slope(d_out, outputs, kwargs["activation"]).reshape(rows, -1)
        makers = (
            lambda: np.matmul(
                d_linear, w, out=aligned_empty((rows, inputs.shape[2]), d_linear.dtype)
            ).reshape(inputs.shape),
            lambda: d_linear.T @ inputs.reshape(rows, -1),
            lambda: np.ones(rows, d_linear.dtype) @ d_linear,
        )
        return tuple(makers[argnum]() for argnum in argnums)

    return vjp


defvjp_argnums(dense, _vjp_maker)
