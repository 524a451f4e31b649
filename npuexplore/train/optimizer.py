"""Adam with warm-up, cosine decay and a global-norm clip; everything in place."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from npuexplore.units import FloatArray

CHUNK_ELEMS = 1 << 16
EPSILON = 1e-8


def learning_rate(step: int, *, steps: int, warmup_steps: int, peak_rate: float, final_rate: float) -> float:
    """Rate of step 0 .. steps-1: linear to the peak, then half a cosine to the final rate.

    >>> learning_rate(0, steps=100, warmup_steps=10, peak_rate=1.0, final_rate=0.0)
    0.1
    """
    warmup = min(warmup_steps, steps // 4)
    if step < warmup:
        return peak_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return final_rate + 0.5 * (peak_rate - final_rate) * (1.0 + math.cos(math.pi * progress))


def clip_by_norm(gradients: Mapping[str, FloatArray], limit: float) -> float:
    """Scale all gradients in place so that their joint norm is at most `limit`; returns the norm before.

    >>> gradients = {"a": np.array([3.0]), "b": np.array([4.0])}
    >>> clip_by_norm(gradients, 1.0), gradients["b"].tolist()
    (5.0, [0.8])
    """
    flats = [gradient.reshape(-1) for gradient in gradients.values()]
    norm = math.sqrt(sum(float(flat @ flat) for flat in flats))
    if norm > limit:
        for gradient in gradients.values():
            gradient *= limit / norm
    return norm


def adam_step(
    parameter: FloatArray,
    gradient: FloatArray,
    mean: FloatArray,
    square: FloatArray,
    *,
    step: int,
    rate: float,
    beta_1: float,
    beta_2: float,
) -> None:
    """Update `parameter`, `mean` and `square` in place; `step` counts from 1 (Kingma 2015, algorithm 1)."""
    scale = rate / (1.0 - beta_1**step)
    correction = 1.0 / math.sqrt(1.0 - beta_2**step)
    flats = [array.reshape(-1) for array in (parameter, gradient, mean, square)]
    for start in range(0, parameter.size, CHUNK_ELEMS):
        p, g, m, v = (flat[start : start + CHUNK_ELEMS] for flat in flats)
        m *= beta_1
        m += (1.0 - beta_1) * g
        v *= beta_2
        update = g * g
        update *= 1.0 - beta_2
        v += update
        np.sqrt(v, out=update)
        update *= correction
        update += EPSILON
        np.divide(m, update, out=update)
        update *= scale
        p -= update
