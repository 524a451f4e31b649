"""Losses that compare spectra bin by bin, from mask bands to one number, each one differentiable primitive.

|M X - S|^2 = M^2 |X|^2 - 2 M Re(X* S) + |S|^2, so neither spectra nor an inverse transform are needed.
A distance gives the error energy and its slope; the loss is its ratio to the speech's own, in dB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.extend import defvjp
from numpy.typing import NDArray

from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.products import time_chunks
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.units import FloatArray

FLOOR_FRAC = 1e-3
"""Error floor as a share of the clean energy: below -30 dB nothing is gained."""
SILENCE = 1e-12
"""Clean energy below which an utterance counts as this much."""
COMPRESSION = 0.3
"""Exponent of magnitudes; Braun and Tashev 2020."""
PHASE_SHARE = 0.3
"""Share of the distance of compressed spectra that heeds the phase; the rest compares magnitudes alone."""
LEAST_MASK = 1e-4
"""Added to the mask before it is compressed: the slope of a power below 1 is infinite at 0."""

Distance = Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Of (mask, noisy_power, cross, clean_power, out=slope), all (T, B, K): (B,) energies of error and of speech.
Half the error's derivative in the mask goes to `out`."""


def _energy(values: FloatArray) -> NDArray[np.float64]:
    """(B,) sums over frames and bins of (T, B, K)."""
    return np.asarray(values.sum(axis=2).sum(axis=0, dtype=np.float64))


def _error_energy(
    mask: FloatArray, slope: FloatArray, cross: FloatArray, clean_power: FloatArray
) -> NDArray[np.float64]:
    """(B,) sum of M (slope - cross) + |S|^2, where slope = M |X|^2 - cross; overwrites the mask."""
    mask *= slope - cross
    mask += clean_power
    return _energy(mask)


def _ratio_db(
    error: NDArray[np.float64], clean: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    audible = np.maximum(clean, SILENCE)
    floored = np.maximum(error, 0.0) + FLOOR_FRAC * audible
    return 10.0 * np.log10(floored / audible), floored


def plain_distance(
    mask: FloatArray, noisy_power: FloatArray, cross: FloatArray, clean_power: FloatArray, *, out: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """|M X - S|^2 against |S|^2."""
    slope = np.multiply(noisy_power, mask, out=out)
    slope -= cross
    return _error_energy(mask, slope, cross, clean_power), _energy(clean_power)


def compressed_distance(
    mask: FloatArray, noisy_power: FloatArray, cross: FloatArray, clean_power: FloatArray, *, out: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """.7 (|M X|^.3 - |S|^.3)^2 + .3 |(M X)^.3 - S^.3|^2, where a power keeps the phase, against |S|^.6.

    With u = |M X|^.3, v = |S|^.3 and w = v (.7 + .3 cos of the angle between them), u^2 - 2 u w + v^2.
    """
    above = mask + LEAST_MASK
    compressed = above * above
    compressed *= noisy_power
    np.power(compressed, COMPRESSION / 2, out=compressed)
    wanted = np.power(clean_power, COMPRESSION / 2)
    lengths = noisy_power * clean_power
    lengths += np.finfo(mask.dtype).tiny
    aligned = np.divide(cross, np.sqrt(lengths, out=lengths), out=lengths)
    aligned *= PHASE_SHARE
    aligned += 1.0 - PHASE_SHARE
    aligned *= wanted
    slope = np.subtract(compressed, aligned, out=out)
    wanted *= wanted
    error = slope - aligned
    error *= compressed
    error += wanted
    slope *= compressed
    slope *= COMPRESSION
    slope /= above
    return _energy(error), _energy(wanted)


@differentiable
def _taped(
    mask_bands: FloatArray,
    *,
    distance: Distance,
    synthesis: FloatArray,
    noisy_power: FloatArray,
    cross: FloatArray,
    clean_power: FloatArray,
    workspace: Workspace,
) -> Any:
    """The loss; keeps half the error's slope in the mask's bands and the floored errors in the workspace."""
    workspace.begin()
    (frames, batch, bins), dtype = noisy_power.shape, mask_bands.dtype
    pull = workspace.array("pull", mask_bands.shape, dtype)
    error, clean = np.zeros(batch), np.zeros(batch)
    for start, stop in time_chunks(frames, batch, 2 * bins):
        now, rows = slice(start, stop), (stop - start) * batch
        mask = (mask_bands[now].reshape(rows, -1) @ synthesis).reshape(-1, batch, bins)
        slope = workspace.array(f"slope {stop - start}", mask.shape, dtype)
        more_error, more_clean = distance(mask, noisy_power[now], cross[now], clean_power[now], out=slope)
        np.matmul(slope.reshape(rows, bins), synthesis.T, out=pull[now].reshape(rows, -1))
        error += more_error
        clean += more_clean
    ratios, workspace.array("floored", (batch,), np.float64)[:] = _ratio_db(error, clean)
    return dtype.type(ratios.mean())


def head_loss(
    mask_bands: Any,
    *,
    synthesis: FloatArray,
    noisy_power: FloatArray,
    cross: FloatArray,
    clean_power: FloatArray,
    workspace: Workspace | None = None,
    distance: Distance = plain_distance,
) -> Any:
    """Mean over utterances of 10 log10((sum |M X - S|^2 + 1e-3 sum |S|^2) / sum |S|^2), in dB.

    mask_bands : (T, B, F) ; synthesis : (F, K) ; the spectra (T, B, K) ; distance : what stands for
    |M X - S|^2 and |S|^2 ; returns a scalar in the mask's dtype.
    """
    return _taped(
        mask_bands,
        distance=distance,
        synthesis=synthesis,
        noisy_power=noisy_power,
        cross=cross,
        clean_power=clean_power,
        workspace=workspace or Workspace(),
    )


def _mask_vjp(_: Any, mask_bands: FloatArray, *, workspace: Workspace, **rest: Any) -> Any:
    """d loss / d M = 20 / ln 10 * half the error's slope / (B * floored error)."""
    generation = workspace.generation

    def vjp(cotangent: Any) -> FloatArray:
        workspace.consume(generation)
        batch, dtype = mask_bands.shape[1], mask_bands.dtype
        pull = workspace.array("pull", mask_bands.shape, dtype)
        floored = workspace.array("floored", (batch,), np.float64)
        share = float(cotangent) * 20.0 / np.log(10.0) / (floored * batch)
        pull *= share.astype(dtype)[:, None]
        return pull

    return vjp


defvjp(_taped, _mask_vjp)
