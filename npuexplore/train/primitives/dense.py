"""A fully connected layer with its activation as one differentiable primitive."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums

from npuexplore.train.primitives.declare import differentiable
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


def activation_slope(outputs: FloatArray, activation: str) -> FloatArray:
    """Derivative of the activation, from its outputs.

    >>> activation_slope(np.array([0.5]), "sigmoid").tolist()
    [0.25]
    """
    if activation == "relu":
        return (outputs > 0).astype(outputs.dtype)
    if activation == "tanh":
        return 1.0 - outputs * outputs
    if activation == "sigmoid":
        return outputs - outputs * outputs
    return np.ones_like(outputs)


@differentiable
def dense(inputs: FloatArray, w: FloatArray, bias: FloatArray, *, activation: str) -> FloatArray:
    """activation(w x + bias) of every frame.

    inputs : (T, B, I) ; w : (O, I) ; bias : (O,) ; returns (T, B, O).
    """
    frames, batch, features = inputs.shape
    outputs = inputs.reshape(frames * batch, features) @ w.T
    outputs += bias
    return activate(outputs, activation).reshape(frames, batch, -1)


def _vjp_maker(
    argnums: tuple[int, ...], outputs: FloatArray, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    def vjp(d_out: FloatArray) -> tuple[FloatArray, ...]:
        inputs, w, _ = args
        rows = outputs.shape[0] * outputs.shape[1]
        slope = activation_slope(outputs, kwargs["activation"])
        slope *= d_out
        d_linear = slope.reshape(rows, -1)
        makers = (
            lambda: (d_linear @ w).reshape(inputs.shape),
            lambda: d_linear.T @ inputs.reshape(rows, -1),
            lambda: np.ones(rows, d_linear.dtype) @ d_linear,
        )
        return tuple(makers[argnum]() for argnum in argnums)

    return vjp


defvjp_argnums(dense, _vjp_maker)
