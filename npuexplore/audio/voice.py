"""Lower or raise a voice, formants kept: pitch-synchronous overlap-add (Moulines and Charpentier 1990).

Small recorded corpora are mostly women's voices; lowered copies stand in for the men who are missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import FloatArray

LOWEST_F0_HZ = 70.0
HIGHEST_F0_HZ = 350.0
VOICED_CORRELATION = 0.45
"""Normalised autocorrelation above which a frame counts as voiced (assumed, by listening)."""
UNVOICED_STEP_S = 0.005
TRACK_STEP_S = 0.01
TRACK_WINDOW_S = 0.032


def pitch_track(samples: FloatArray, *, rate_hz: int) -> NDArray[np.float32]:
    """Fundamental frequency in Hz every 10 ms, 0 where unvoiced.

    samples : (N,) float32 ; returns (ceil(N / step),) float32
    """
    step, window = int(TRACK_STEP_S * rate_hz), int(TRACK_WINDOW_S * rate_hz)
    longest = int(rate_hz / LOWEST_F0_HZ)
    shortest = int(rate_hz / HIGHEST_F0_HZ)
    padded = np.pad(samples, (window // 2, window + longest))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window + longest)[: len(samples) : step]
    correlation = _normalised_correlation(frames.astype(np.float32), window)[:, shortest:]
    best = correlation.max(axis=1)
    lag = shortest + np.argmax(correlation >= 0.92 * best[:, None], axis=1)
    loud = np.square(frames[:, :window]).mean(axis=1) > 1e-3 * np.square(samples).mean()
    voiced = (best > VOICED_CORRELATION) & loud
    return np.where(voiced, rate_hz / lag, 0.0).astype(np.float32)


def median_f0_hz(samples: FloatArray, *, rate_hz: int) -> float:
    """Median fundamental frequency of the voiced frames; 0 where none is voiced."""
    track = pitch_track(samples, rate_hz=rate_hz)
    voiced = track[track > 0]
    return float(np.median(voiced)) if voiced.size else 0.0


def change_pitch(samples: FloatArray, ratio: float, *, rate_hz: int) -> NDArray[np.float32]:
    """The same speech with its fundamental multiplied by `ratio` (0.3..2), formants and timing kept.

    samples : (N,) float32 ; returns (N,) float32
    """
    track = pitch_track(samples, rate_hz=rate_hz)
    marks, periods, voiced = _analysis_marks(samples, track, rate_hz=rate_hz)
    return _overlap_add(samples, marks, periods, np.where(voiced, periods / ratio, periods))


def _normalised_correlation(frames: FloatArray, window: int) -> NDArray[np.float32]:
    transform_samples = 1 << int(np.ceil(np.log2(frames.shape[1])))
    whole = np.fft.rfft(frames, transform_samples)
    head = np.fft.rfft(frames[:, :window], transform_samples)
    lags = frames.shape[1] - window
    product = np.fft.irfft(whole * head.conj(), transform_samples)[:, :lags]
    energy = np.cumsum(np.square(frames), axis=1)
    shifted = energy[:, window - 1 : window - 1 + lags].copy()
    shifted[:, 1:] -= energy[:, : lags - 1]
    scale = np.sqrt(np.maximum(shifted * shifted[:, :1], 1e-12))
    return np.asarray(product / scale, np.float32)


def _analysis_marks(
    samples: FloatArray, track: FloatArray, *, rate_hz: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Grain centres one period apart, moved to the local peak where voiced."""
    step = int(TRACK_STEP_S * rate_hz)
    unvoiced_period = UNVOICED_STEP_S * rate_hz
    marks: list[int] = []
    periods: list[float] = []
    voiced: list[bool] = []
    position = unvoiced_period
    while position < len(samples) - unvoiced_period:
        f0 = float(track[min(int(position) // step, len(track) - 1)])
        period = rate_hz / f0 if f0 else unvoiced_period
        mark = int(position)
        if f0:
            reach = int(period / 4)
            around = samples[max(mark - reach, 0) : mark + reach + 1]
            mark = max(mark - reach, 0) + int(np.argmax(around))
        if not marks or mark > marks[-1]:
            marks.append(mark)
            periods.append(period)
            voiced.append(bool(f0))
        position = max(mark, int(position) - int(period / 8)) + period
    return np.array(marks, np.int64), np.array(periods), np.array(voiced, bool)


def _overlap_add(
    samples: FloatArray, marks: NDArray[np.int64], periods: FloatArray, spacing: FloatArray
) -> NDArray[np.float32]:
    out = np.zeros(len(samples), np.float32)
    if not marks.size:
        return np.asarray(samples, np.float32).copy()
    position = float(marks[0])
    while position < len(samples):
        grain = int(np.searchsorted(marks, position))
        grain = min(grain, len(marks) - 1)
        if grain and position - marks[grain - 1] < marks[grain] - position:
            grain -= 1
        half = int(periods[grain])
        start, centre = int(position) - half, int(marks[grain])
        low = max(0, -start, half - centre)
        high = min(2 * half, len(samples) - start, len(samples) - centre + half)
        if high > low:
            taper = 0.5 - 0.5 * np.cos(np.pi * (np.arange(low, high) + 0.5) / half)
            out[start + low : start + high] += taper * samples[centre - half + low : centre - half + high]
        position += float(spacing[grain])
    return out
