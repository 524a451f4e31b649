"""Signals with their noise reduced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio.stft import FrontEnd, istft, log_features, stft
from npuexplore.compression.plan import CompressionPlan
from npuexplore.train.apply import mask_of
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

Signal = NDArray[np.float32]

BATCH_SIGNALS = 16
BATCH_FRAMES = 16_384
"""Most frames (padding included) that are enhanced at once."""


def enhance(
    params: Mapping[str, Mapping[str, Any]],
    noisy: Sequence[Signal],
    fe: FrontEnd,
    network: Network,
    *,
    feature_scale: FloatArray,
    plan: CompressionPlan | None = None,
) -> list[Signal]:
    """Each of the signals (N,) with its noise reduced, same length, float32, not clipped.

    feature_scale : (F,) deviation of each feature. Signals of like length are run together.
    """
    enhanced: dict[int, Signal] = {}
    for batch in _batches([signal.size for signal in noisy], fe.hop_samples):
        longest = max(noisy[index].size for index in batch)
        padded = np.zeros((len(batch), longest), np.float32)
        for row, index in enumerate(batch):
            padded[row, : noisy[index].size] = noisy[index]
        outputs = _enhance_padded(params, padded, fe, network, feature_scale, plan)
        for row, index in enumerate(batch):
            enhanced[index] = outputs[row, : noisy[index].size].copy()
    return [enhanced[index] for index in range(len(noisy))]


def _enhance_padded(
    params: Mapping[str, Mapping[str, Any]],
    noisy: Signal,
    fe: FrontEnd,
    network: Network,
    feature_scale: FloatArray,
    plan: CompressionPlan | None,
) -> Signal:
    features, spectra = scaled_features(noisy, fe, feature_scale)
    mask = mask_of(params, features, network, plan)
    spectra *= mask @ fe.synthesis
    return istft(spectra, fe, samples=noisy.shape[1])


def scaled_features(
    noisy: Signal, fe: FrontEnd, feature_scale: FloatArray
) -> tuple[FloatArray, NDArray[np.complex64]]:
    """What a network hears of signals (B, N): features (T, B, F), and the spectra (T, B, K) they are of."""
    spectra = stft(noisy, fe)
    power: FloatArray = spectra.real**2 + spectra.imag**2
    return np.divide(log_features(power, fe), feature_scale, dtype=np.float32), spectra


def _batches(lengths: Sequence[int], hop_samples: int) -> Iterator[list[int]]:
    """Indices of signals to run together, longest first, within BATCH_SIGNALS and BATCH_FRAMES."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        frames = (lengths[batch[0] if batch else index] // hop_samples + 1) * (len(batch) + 1)
        if batch and (len(batch) == BATCH_SIGNALS or frames > BATCH_FRAMES):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
