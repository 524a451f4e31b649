"""The loss, from mask bands to one number, as one differentiable primitive."""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp

from npuexplore.train.primitives.declare import differentiable
from npuexplore.units import FloatArray

FLOOR_FRAC = 1e-3
"""Error floor as a share of the clean energy: below -30 dB nothing is gained."""
SILENCE = 1e-12
"""Clean energy below which an utterance counts as this much."""


def error_ratio_db(
    mask: FloatArray, noisy_power: FloatArray, cross: FloatArray, clean_power: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(B,) log error ratio of every utterance in dB, and (B,) its floored error energy, both float64.

    mask, noisy_power, cross, clean_power : (T, B, K) ; |M X - S|^2 = M^2 |X|^2 - 2 M Re(X* S) + |S|^2.
    """
    pull = noisy_power * mask
    pull -= cross
    pull -= cross
    pull *= mask
    pull += clean_power
    error = pull.sum(axis=2).sum(axis=0, dtype=np.float64)
    clean = np.maximum(clean_power.sum(axis=2).sum(axis=0, dtype=np.float64), SILENCE)
    floored = np.maximum(error, 0.0) + FLOOR_FRAC * clean
    return 10.0 * np.log10(floored / clean), floored


@differentiable
def head_loss(
    mask_bands: FloatArray,
    *,
    synthesis: FloatArray,
    noisy_power: FloatArray,
    cross: FloatArray,
    clean_power: FloatArray,
) -> Any:
    """Mean over utterances of 10 log10((sum |M X - S|^2 + 1e-3 sum |S|^2) / sum |S|^2), in dB.

    mask_bands : (T, B, F) ; synthesis : (F, K) ; the spectra (T, B, K) ; returns a scalar in the
    mask's dtype.
    """
    ratios, _ = error_ratio_db(_bin_mask(mask_bands, synthesis), noisy_power, cross, clean_power)
    return mask_bands.dtype.type(ratios.mean())


def _bin_mask(mask_bands: FloatArray, synthesis: FloatArray) -> FloatArray:
    frames, batch, bands = mask_bands.shape
    return (mask_bands.reshape(-1, bands) @ synthesis).reshape(frames, batch, -1)


def _mask_vjp(
    _: Any,
    mask_bands: FloatArray,
    *,
    synthesis: FloatArray,
    noisy_power: FloatArray,
    cross: FloatArray,
    clean_power: FloatArray,
) -> Any:
    """d loss / d M = 20 / ln 10 * (M |X|^2 - Re(X* S)) / (B * floored error)."""

    def vjp(cotangent: Any) -> FloatArray:
        mask = _bin_mask(mask_bands, synthesis)
        _, floored = error_ratio_db(mask, noisy_power, cross, clean_power)
        share = float(cotangent) * 20.0 / np.log(10.0) / (floored * floored.size)
        mask *= noisy_power
        mask -= cross
        mask *= share.astype(mask.dtype)[:, None]
        return (mask.reshape(-1, mask.shape[2]) @ synthesis.T).reshape(mask_bands.shape)

    return vjp


defvjp(head_loss, _mask_vjp)
