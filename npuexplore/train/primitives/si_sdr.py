"""SI-SDR as a loss, in the STFT domain, from mask bands to one number: one differentiable primitive.

Windowed spectra that add up to the signal keep inner products, and the inverse transform is the adjoint of
the transform: <istft(M X), s> is <M X, S>, with bins between the first and the last counted twice. Only
|istft(M X)|^2 is less than |M X|^2, by what overlapping frames contradict each other. Taking the latter
counts that as error: the loss is a bound on the SI-SDR of the sound, exact where frames agree and 0.1 dB from
it for the masks of the shipped network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp
from numpy.typing import NDArray

from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.head import FLOOR_FRAC, SILENCE
from npuexplore.train.primitives.products import time_chunks
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.units import FloatArray

Float64 = NDArray[np.float64]

LEAST_TARGET_FRAC = 1e-8
"""Added to target and error as a share of the clean energy, so that a mask of zeros has a finite loss."""


def bin_weights(bins: int) -> Float64:
    """(K,) how often a bin of a one-sided spectrum of even length occurs in the whole one.

    >>> bin_weights(4).tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    weights = np.full(bins, 2.0)
    weights[[0, -1]] = 1.0
    return weights


def si_sdr_loss(
    mask_bands: Any,
    *,
    synthesis: FloatArray,
    noisy_power: FloatArray,
    cross: FloatArray,
    clean_power: FloatArray,
    workspace: Workspace | None = None,
) -> Any:
    """Mean over utterances of 10 log10((|M X|^2 - t + 1e-3 t) / t), t = <M X, S>^2 / |S|^2, in dB.

    mask_bands : (T, B, F) ; synthesis : (F, K) ; the spectra (T, B, K) ; returns a scalar in the
    mask's dtype. A silent utterance counts as 0.
    """
    return _taped(
        mask_bands,
        synthesis=synthesis,
        noisy_power=noisy_power,
        cross=cross,
        clean_power=clean_power,
        workspace=workspace or Workspace(),
    )


@differentiable
def _taped(
    mask_bands: FloatArray,
    *,
    synthesis: FloatArray,
    noisy_power: FloatArray,
    cross: FloatArray,
    clean_power: FloatArray,
    workspace: Workspace,
) -> Any:
    """The loss; keeps M |X|^2 and what multiplies it and Re(X* S) in the gradient."""
    workspace.begin()
    frames, batch, bins = noisy_power.shape
    filtered = workspace.array("filtered", noisy_power.shape, mask_bands.dtype)
    sums = np.zeros((3, batch, bins))
    for start, stop in time_chunks(frames, batch, 2 * bins):
        now = slice(start, stop)
        mask = (mask_bands[now].reshape(-1, mask_bands.shape[2]) @ synthesis).reshape(-1, batch, bins)
        np.multiply(noisy_power[now], mask, out=filtered[now])
        sums[0] += np.einsum("tbk,tbk->bk", mask, cross[now])
        sums[1] += np.einsum("tbk,tbk->bk", mask, filtered[now])
        sums[2] += clean_power[now].sum(axis=0)
    ratios, factors = _ratios_db(*(sums @ bin_weights(bins)))
    workspace.array("factors", (2, batch), np.float64)[:] = factors
    return mask_bands.dtype.type(ratios.mean())


def _ratios_db(overlap: Float64, energy: Float64, clean: Float64) -> tuple[Float64, Float64]:
    """(B,) error to target in dB, and (2, B) the derivative's factors of M |X|^2 and of Re(X* S), halved.

    overlap : <M X, S> ; energy : |M X|^2 ; clean : |S|^2, each (B,).
    """
    heard = clean > SILENCE
    clean = np.where(heard, clean, 1.0)
    target = overlap**2 / clean  # Le Roux 2019, eq. 5
    least = LEAST_TARGET_FRAC * clean
    error = np.maximum(energy - target, 0.0) + FLOOR_FRAC * target + least
    target += least
    of_cross = overlap / clean * ((1.0 - FLOOR_FRAC) / error + 1.0 / target)
    ratios = np.where(heard, 10.0 * np.log10(error / target), 0.0)
    return ratios, np.where(heard, np.stack([1.0 / error, of_cross]), 0.0)


def _mask_vjp(
    _: Any,
    mask_bands: FloatArray,
    *,
    synthesis: FloatArray,
    cross: FloatArray,
    workspace: Workspace,
    **rest: FloatArray,
) -> Any:
    """d loss / d M = 20 / ln 10 / B * (M |X|^2 / error - Re(X* S) o / |S|^2 (.999 / error + 1 / target))."""
    generation = workspace.generation

    def vjp(cotangent: Any) -> FloatArray:
        workspace.consume(generation)
        (frames, batch, bands), dtype, bins = mask_bands.shape, mask_bands.dtype, synthesis.shape[1]
        filtered = workspace.array("filtered", (frames, batch, bins), dtype)
        factors = workspace.array("factors", (2, batch), np.float64)
        of_filtered, of_cross = (float(cotangent) * 20.0 / np.log(10.0) / batch * factors).astype(dtype)
        spread = (synthesis * bin_weights(bins)).astype(dtype).T
        d_mask = np.empty(mask_bands.shape, dtype)
        for start, stop in time_chunks(frames, batch, 2 * bins):
            slope = filtered[start:stop] * of_filtered[:, None]
            slope -= cross[start:stop] * of_cross[:, None]
            np.matmul(slope.reshape(-1, bins), spread, out=d_mask[start:stop].reshape(-1, bands))
        return d_mask

    return vjp


defvjp(_taped, _mask_vjp)
