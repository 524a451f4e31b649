"""The front end: windowed spectra, triangular bands, log features and the way back to sound.

Conventions
-----------
Frame t covers the `window_samples` samples that end before sample (t + 1) * hop_samples, so it can be
computed as soon as its last hop has arrived; the sound before the first sample is silence. A signal of N
samples gives ceil(N / hop) + ceil(window / hop) - 1 frames, all that hear any of it, and `istft(stft(x))` is
x, also where the hop does not divide the window (25 ms every 10 ms). Arrays run time first, (T, B, ...), as
the recurrent layers read them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.units import ceil_div
from npuexplore.workload.network import Network

Float32 = NDArray[np.float32]
Complex64 = NDArray[np.complex64]

POWER_FLOOR = 1e-7
"""Added to a band's power before the logarithm: about -95 dBFS of white noise in a 512-sample window."""

RUNNING_MEAN_SECONDS = 2.0
"""Time constant of the running mean that log features are measured against."""

CHUNK_ELEMS = 1 << 16
"""Samples transformed at a time: what is made of them stays in cache, which takes half as long."""

MEAN_FRAMES = 8
"""Frames whose running means are found by one product."""

BANDS_AT_ONCE = 32
"""Bands whose powers are summed at a time, over the bins that they hear: half the products of all bands."""

MEL_CORNER_HZ = 700.0
"""Where the mel scale turns from linear to logarithmic; 2595 log10(1 + f / 700), O'Shaughnessy 1987."""


@dataclass(frozen=True, eq=False)
class FrontEnd:
    """What lies between the samples and the network: K bins of a window, F bands of features."""

    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    window: Float32
    """(W,) square root of a periodic Hann window; ones where windows do not overlap."""
    dual_window: Float32
    """(W,) what frames are multiplied by on the way back: the window over the sum of all windows' squares."""
    analysis: Float32
    """(K, F) triangles; a band's power is the weighted mean of its bins' powers (columns sum to 1)."""
    synthesis: Float32
    """(F, K) the same triangles as interpolation from bands to bins (columns sum to 1)."""

    @property
    def bands(self) -> int:
        """F, features per frame."""
        return int(self.synthesis.shape[0])

    @property
    def bins(self) -> int:
        """K, bins of the one-sided spectrum."""
        return int(self.synthesis.shape[1])

    @property
    def overlap(self) -> int:
        """Frames from the first to the last that hear a sample, window / hop rounded up."""
        return int(ceil_div(self.window_samples, self.hop_samples))

    @cached_property
    def band_groups(self) -> tuple[tuple[slice, slice, Float32], ...]:
        """Neighbouring bands, the bins that they hear, and the part of `analysis` where both meet."""
        return tuple(
            _heard(self.analysis, slice(start, min(start + BANDS_AT_ONCE, self.bands)))
            for start in range(0, self.bands, BANDS_AT_ONCE)
        )

    def frames(self, samples: int) -> int:
        """T, the frames of a signal of `samples` samples."""
        return int(ceil_div(samples, self.hop_samples)) + self.overlap - 1


def _heard(analysis: Float32, bands: slice) -> tuple[slice, slice, Float32]:
    bins = np.flatnonzero(analysis[:, bands].any(axis=1))
    heard = slice(int(bins[0]), int(bins[-1]) + 1)
    return bands, heard, np.ascontiguousarray(analysis[heard, bands])


def front_end(network: Network) -> FrontEnd:
    """The front end that `network` was described with."""
    clock = network.frame_clock
    synthesis = band_triangles(
        band_centres(
            network.bands, bins=clock.spectrum_bins, bin_hz=clock.sample_rate_hz / clock.window_samples
        ),
        bins=clock.spectrum_bins,
    )
    window, hop = clock.window_samples, clock.hop_samples
    return FrontEnd(
        sample_rate_hz=clock.sample_rate_hz,
        window_samples=clock.window_samples,
        hop_samples=clock.hop_samples,
        window=analysis_window(window, hop_samples=hop),
        dual_window=dual_window(window, hop_samples=hop),
        analysis=np.ascontiguousarray((synthesis / synthesis.sum(axis=1, keepdims=True)).T, dtype=np.float32),
        synthesis=synthesis.astype(np.float32),
    )


def analysis_window(window_samples: int, *, hop_samples: int) -> Float32:
    """(W,) float32 square root of a periodic Hann window; ones for a hop of a whole window.

    Its square, repeated every hop, sums to window / (2 hop): the condition for overlap-add.
    >>> analysis_window(4, hop_samples=2).round(3).tolist()
    [0.0, 0.7070000171661377, 1.0, 0.7070000171661377]
    """
    return _root_hann(window_samples, hop_samples).astype(np.float32)


def dual_window(window_samples: int, *, hop_samples: int) -> Float32:
    """(W,) float32 `analysis_window` over the sum of the squares of all that lie over the same sample.

    >>> dual_window(5, hop_samples=2).astype(float).round(3).tolist()
    [0.0, 0.47, 0.761, 0.761, 0.47]
    """
    window = _root_hann(window_samples, hop_samples)
    hops = int(ceil_div(window_samples, hop_samples))
    squares = np.pad(np.square(window), (0, hops * hop_samples - window_samples))
    total = np.tile(squares.reshape(hops, hop_samples).sum(axis=0), hops)
    return np.asarray(window / total[:window_samples], np.float32)


def _root_hann(window_samples: int, hop_samples: int) -> NDArray[np.float64]:
    if hop_samples == window_samples:
        return np.ones(window_samples)
    return np.sin(np.pi * np.arange(window_samples) / window_samples)


def band_centres(bands: int, *, bins: int, bin_hz: float) -> NDArray[np.float64]:
    """(F,) centres of the bands in bins: whole bins at the bottom, mel spacing above.

    The fewest single bins are taken that leave the mel part steps of at least one bin. The first centre is
    bin 0, the last the highest bin.
    >>> band_centres(5, bins=5, bin_hz=100.0).tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    for singles in range(bands):
        centres = _mel_spaced(singles, bins - 1, count=bands - singles, bin_hz=bin_hz)
        if centres.size < 2 or centres[1] - centres[0] >= 1.0 - 1e-9:
            break
    return np.concatenate([np.arange(float(singles)), centres])


def _mel_spaced(first: int, last: int, *, count: int, bin_hz: float) -> NDArray[np.float64]:
    """(count,) positions from bin `first` to bin `last` at equal steps of mel."""
    corner = MEL_CORNER_HZ / bin_hz
    mel = np.linspace(np.log1p(first / corner), np.log1p(last / corner), count)
    centres = corner * np.expm1(mel)
    centres[0], centres[-1] = first, last if count > 1 else first
    return centres


def band_triangles(centres: NDArray[np.float64], *, bins: int) -> NDArray[np.float64]:
    """(F, K) weights of linear interpolation between `centres`; every bin's weights sum to 1.

    >>> band_triangles(np.array([0.0, 2.0]), bins=3).tolist()
    [[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]
    """
    positions = np.arange(bins)
    return np.stack([np.interp(positions, centres, row) for row in np.eye(centres.size)])


def stft(signals: NDArray[Any], fe: FrontEnd) -> Complex64:
    """Spectra (T, B, K) complex64 of `signals` (B, N) float32; frame t needs no sample after its hop."""
    batch, samples = signals.shape
    padded, room = silence_around(batch, samples, fe)
    room[...] = signals
    spectra = np.empty((fe.frames(samples), batch, fe.bins), np.complex64)
    for now, run in stft_runs(padded, fe):
        spectra[now] = run
    return spectra


def silence_around(batch: int, samples: int, fe: FrontEnd) -> tuple[Float32, Float32]:
    """Room (B, T hop + lead) for the frames of B signals, and where in it their (B, N) samples go."""
    lead = fe.window_samples - fe.hop_samples
    padded = np.empty((batch, lead + fe.frames(samples) * fe.hop_samples), np.float32)
    padded[:, :lead] = 0.0
    padded[:, lead + samples :] = 0.0
    return padded, padded[:, lead : lead + samples]


def stft_runs(padded: Float32, fe: FrontEnd) -> Iterator[tuple[slice, Complex64]]:
    """The frames of `stft` in runs that stay in cache: which frames, and their spectra (t, B, K)."""
    from scipy.fft import rfft

    windows = np.lib.stride_tricks.sliding_window_view(padded, fe.window_samples, axis=1)
    hops = windows[:, :: fe.hop_samples].transpose(1, 0, 2)
    at_once = max(1, CHUNK_ELEMS // (len(padded) * fe.window_samples))
    windowed = np.empty((min(at_once, len(hops)), *hops.shape[1:]), np.float32)
    for start in range(0, len(hops), at_once):
        run = hops[start : start + at_once]
        frames = np.multiply(run, fe.window, out=windowed[: len(run)])
        yield slice(start, start + len(run)), rfft(frames, axis=-1, overwrite_x=True)


def istft(spectra: Complex64, fe: FrontEnd, *, samples: int) -> Float32:
    """The (B, N) float32 signals of (T, B, K) `spectra`, N = `samples`; the exact inverse of `stft`.

    Raises ValueError when the frames do not reach `samples`.
    """
    from scipy.fft import irfft

    frames, batch, _ = spectra.shape
    if frames < fe.frames(samples):
        raise ValueError(f"{frames} frames do not hold {samples} samples; they need {fe.frames(samples)}")
    hop, overlap = fe.hop_samples, fe.overlap
    pieces = irfft(spectra, n=fe.window_samples, axis=-1, overwrite_x=False)
    pieces *= fe.dual_window
    summed = np.zeros((frames + overlap - 1, batch, hop), dtype=np.float32)
    for shift in range(overlap):
        piece = pieces[:, :, shift * hop : (shift + 1) * hop]
        summed[shift : shift + frames, :, : piece.shape[2]] += piece
    lead = fe.window_samples - hop
    return np.ascontiguousarray(summed.transpose(1, 0, 2).reshape(batch, -1)[:, lead : lead + samples])


def log_features(power: NDArray[Any], fe: FrontEnd) -> Float32:
    """(T, B, F) float32 log10 band powers minus their running mean, of `power` (T, B, K) = |X|^2.

    The mean is that of all frames so far, and after `RUNNING_MEAN_SECONDS` one with that time constant:
    mean_t = mean_{t-1} + max(1 / (t + 1), hop / 2 s) (x_t - mean_{t-1}). A gain on the whole signal thus
    changes nothing but what the floor hides.
    """
    bands: Float32 = power.astype(np.float32, copy=False) @ fe.analysis
    LogFeatures(fe, power.shape[1]).finish(bands)
    return bands


class LogFeatures:
    """`log_features` of frames that come in runs, up to the last bit: bands are summed group by group."""

    def __init__(self, fe: FrontEnd, batch: int, *, floor: NDArray[np.float64] | None = None) -> None:
        """floor : (B,) in place of `POWER_FLOOR`, which over g^2 gives the features of a signal times g."""
        self._fe, self._frames = fe, 0
        floors = np.full(batch, POWER_FLOOR) if floor is None else floor
        self._floor = np.repeat(floors[:, None], fe.bands, axis=1).astype(np.float32)
        self._mean_and_logs = np.zeros((1 + MEAN_FRAMES, batch, fe.bands), np.float32)
        self._slowest = fe.hop_samples / (RUNNING_MEAN_SECONDS * fe.sample_rate_hz)
        self._settled = int(np.ceil(1.0 / self._slowest))

    def add(self, power: Float32, *, out: Float32) -> None:
        """The features (t, B, F) of the next frames, from their powers (t, B, K)."""
        rows, logs = power.reshape(-1, self._fe.bins), out.reshape(-1, self._fe.bands)
        for bands, heard, weights in self._fe.band_groups:
            np.matmul(rows[:, heard], weights, out=logs[:, bands])
        self.finish(out)

    def finish(self, powers: Float32) -> None:
        """Band powers (t, B, F) of the next frames become their features, in place."""
        powers += self._floor
        for start in range(0, len(powers), MEAN_FRAMES):
            run = powers[start : start + MEAN_FRAMES]
            weights = running_mean(min(self._frames, self._settled), len(run), self._slowest)
            logs = self._mean_and_logs[: 1 + len(run)]
            np.log10(run, out=logs[1:])
            means = (weights @ logs.reshape(len(logs), -1)).reshape(run.shape)
            np.subtract(logs[1:], means, out=run)
            self._mean_and_logs[0] = means[-1]
            self._frames += len(run)


@lru_cache(maxsize=256)
def running_mean(first: int, frames: int, slowest: float) -> Float32:
    """(t, 1 + t) weights of the mean before `frames` frames and of their values in the mean after each.

    Frame n, from 0, moves the mean by max(1 / (n + 1), slowest) of its distance from it.
    >>> running_mean(1, 2, 0.0).tolist()
    [[0.5, 0.5, 0.0], [0.3333333432674408, 0.3333333432674408, 0.3333333432674408]]
    """
    weights = np.zeros((frames, 1 + frames))
    mean = np.eye(1, 1 + frames)[0]
    for frame, after in enumerate(weights):
        rate = max(1.0 / (first + frame + 1), slowest)
        mean *= 1.0 - rate
        mean[1 + frame] = rate
        after[:] = mean
    return weights.astype(np.float32)
