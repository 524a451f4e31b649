"""Mixtures of speech and noise: spectral batches for training, fixed pairs for evaluation.

A batch is a pure function of (pool, seed, index), so a resumed training sees the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from npuexplore.audio.augment import Augmentation, DecibelRange, channel_gains, slow_gains
from npuexplore.audio.pool import SegmentPool, random_crop
from npuexplore.audio.sources import Pair, Recording, Split
from npuexplore.audio.stft import (
    POWER_FLOOR,
    FrontEnd,
    LogFeatures,
    log_features,
    silence_around,
    stft_runs,
)
from npuexplore.documents.model import Model
from npuexplore.errors import BadInput
from npuexplore.units import FloatArray

SECOND_NOISE_FRAC = 0.35
"""Share of items in which a second noise plays (assumed)."""
MIXED_FRAMES = 8
"""Frames that are mixed at a time: 16 spectra of 257 bins and what is made of them are then 1 MB."""


class MixtureRecipe(Model):
    """How training mixtures are made."""

    segment_frames: Annotated[int, Field(ge=16, le=2_000)] = 188
    """Frames per segment; 188 are 3 s at a hop of 256 and 16 kHz."""
    snr_db: DecibelRange = (-6.0, 12.0)
    level_dbfs: DecibelRange = (-40.0, -18.0)
    pool_segments: Annotated[int, Field(ge=16, le=200_000)] = 4_000
    """Segments of speech, and of noise, prepared before training."""
    reuse: Annotated[int, Field(ge=1, le=16)] = 3
    """Steps that share spectra, each with permuted noise and a new SNR."""
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True)
class SpectralBatch:
    """All that the loss needs of B mixtures of T frames: F bands, K bins, float32.

    The features are those of a mixture at its level; the powers are so up to a factor of each mixture, which
    no loss heeds.
    """

    features: NDArray[np.float32]
    """(T, B, F) log band features of the mixture, not yet scaled."""
    noisy_power: NDArray[np.float32]
    """(T, B, K) |X|^2"""
    cross: NDArray[np.float32]
    """(T, B, K) Re(conj(X) S)"""
    clean_power: NDArray[np.float32]
    """(T, B, K) |S|^2"""


class BatchAt(Protocol):
    """Makes batches, into `out` where that is given."""

    def __call__(self, step: int, out: SpectralBatch | None = None) -> SpectralBatch:
        """The batch of `step`; the same for the same step."""


def training_batches(
    pool: SegmentPool, recipe: MixtureRecipe, front_end: FrontEnd, *, batch: int, seed: int
) -> BatchAt:
    """The batch of a step, as a function of the step's index.

    Spectra are kept from one step to the next while `recipe.reuse` allows it.
    """
    held: dict[int, _Sources] = {}
    room: list[_Room] = []

    def batch_at(step: int, out: SpectralBatch | None = None) -> SpectralBatch:
        group = step // recipe.reuse
        if group not in held:
            held.clear()
            room[:] = room or [_room(pool, front_end, batch)]
            held[group] = _sources(pool, recipe, front_end, room[0], rng=_rng(seed, 1, group))
        return _mix(held[group], recipe, front_end, rng=_rng(seed, 2, step), out=out)

    return batch_at


def feature_deviation(batch_at: Callable[[int], SpectralBatch], *, batches: int = 8) -> NDArray[np.float32]:
    """Root mean square of each band's feature over some batches: the fixed scale of the features. (F,)"""
    squares = [np.square(batch_at(step).features).mean(axis=(0, 1)) for step in range(batches)]
    return np.asarray(np.sqrt(np.mean(squares, axis=0) + 1e-6), np.float32)


def spectral_batch(
    noisy: NDArray[np.complex64], clean: NDArray[np.complex64], front_end: FrontEnd
) -> SpectralBatch:
    """The batch of given spectra (T, B, K) of mixtures and of their speech."""
    noisy_power = noisy.real**2 + noisy.imag**2
    return SpectralBatch(
        features=log_features(noisy_power, front_end),
        noisy_power=noisy_power,
        cross=noisy.real * clean.real + noisy.imag * clean.imag,
        clean_power=clean.real**2 + clean.imag**2,
    )


def fixed_mixtures(
    split: Split,
    *,
    count: int,
    seconds: float,
    rate_hz: int,
    snr_db: tuple[float, float],
    seed: int,
) -> tuple[Pair, ...]:
    """`count` mixtures of the split's voices and noises as recorded, SNRs evenly spread.

    Raises BadInput when the split has no speech or no noise.
    """
    if not split.speech or not split.noise:
        raise BadInput("evaluation mixtures: need speech and noise that training does not use; add files")
    samples = int(seconds * rate_hz)
    snrs_db = np.linspace(*snr_db, count)
    pairs = []
    for index, snr in enumerate(snrs_db):
        rng = _rng(seed, 3, index)
        voice = split.speech[index % len(split.speech)]
        added = split.noise[(index * 7 + 3) % len(split.noise)]
        speech, noise = _loud_crop(voice, samples, rng), _loud_crop(added, samples, rng)
        noise = noise * np.float32(_gain_for_snr(speech, noise, float(snr)))
        level = 10 ** (-26 / 20) / float(np.sqrt(np.square(speech + noise).mean()))
        pairs.append(
            Pair(
                name=f"mixture_{index:02d}_{snr:+.0f}dB",
                clean=(speech * level).astype(np.float32),
                noisy=((speech + noise) * level).astype(np.float32),
                evaluation_only=voice.evaluation_only or added.evaluation_only,
            )
        )
    return tuple(pairs)


def _rng(seed: int, stream: int, index: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, index])


@dataclass(frozen=True)
class _Sources:
    """Shaped spectra of B speech and B noise segments, each (T, 2, B, K), and their energies, each (B,).

    Real and imaginary parts lie apart, so that sums over both are of contiguous memory.
    """

    speech: NDArray[np.float32]
    noise: NDArray[np.float32]
    speech_energy: NDArray[np.float64]
    noise_energy: NDArray[np.float64]


@dataclass(frozen=True)
class _Room:
    """Memory that all groups of spectra use in turn."""

    padded: NDArray[np.float32]
    """Samples with silence around them."""
    samples: NDArray[np.float32]
    """(B, N) what of `padded` they fill."""
    speech: NDArray[np.float32]
    """(T, 2, B, K)"""
    noise: NDArray[np.float32]
    """(T, 2, B, K)"""


def _room(pool: SegmentPool, front_end: FrontEnd, batch: int) -> _Room:
    samples = pool.speech.shape[1]
    shape = (front_end.frames(samples), 2, batch, front_end.bins)
    speech, noise = (np.empty(shape, np.float32) for _ in range(2))
    return _Room(*silence_around(batch, samples, front_end), speech, noise)


def _sources(
    pool: SegmentPool,
    recipe: MixtureRecipe,
    front_end: FrontEnd,
    room: _Room,
    *,
    rng: np.random.Generator,
) -> _Sources:
    batch = len(room.samples)
    frequencies_hz = np.fft.rfftfreq(front_end.window_samples, 1.0 / front_end.sample_rate_hz)
    shape = recipe.augmentation
    pool.speech_segments(rng.integers(len(pool.speech), size=batch), out=room.samples)
    channel = channel_gains(shape, frequencies_hz, count=batch, rng=rng)
    speech_energy = _shaped(room.padded, front_end, channel, out=room.speech)
    pool.noise_segments(rng.integers(len(pool.noise), size=batch), out=room.samples)
    second = rng.integers(len(pool.noise), size=batch)
    share = rng.uniform(0.2, 1.0, batch).astype(np.float32)
    for item in np.flatnonzero(rng.random(batch) < SECOND_NOISE_FRAC):
        room.samples[item] += pool.noise_segments(second[item]) * share[item]
    channel = channel_gains(shape, frequencies_hz, count=batch, rng=rng)
    slow = slow_gains(shape, frames=len(room.noise), count=batch, rng=rng)
    noise_energy = _shaped(room.padded, front_end, channel, slow, out=room.noise)
    return _Sources(room.speech, room.noise, speech_energy, noise_energy)


def _shaped(
    padded: NDArray[np.float32],
    front_end: FrontEnd,
    channel: NDArray[np.float32],
    slow: NDArray[np.float32] | None = None,
    *,
    out: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Fills spectra (T, 2, B, K) of padded samples times gains (B, K) and (T, B); their energies (B,)."""
    energies = np.zeros(len(channel))
    for now, spectra in stft_runs(padded, front_end):
        for part, shaped in ((spectra.real, out[now, 0]), (spectra.imag, out[now, 1])):
            np.multiply(part, channel, out=shaped)
            if slow is not None:
                shaped *= slow[now, :, None]
            energies += np.vecdot(shaped, shaped).sum(axis=0)
    return energies


def _mix(
    sources: _Sources,
    recipe: MixtureRecipe,
    front_end: FrontEnd,
    *,
    rng: np.random.Generator,
    out: SpectralBatch | None,
) -> SpectralBatch:
    frames, _, batch, bins = sources.speech.shape
    order = rng.permutation(batch)
    snr = 10.0 ** (rng.uniform(*recipe.snr_db, batch) / 10.0)
    speech_energy, noise_energy = sources.speech_energy, sources.noise_energy[order]
    noise_gain = np.sqrt(speech_energy / (noise_energy * snr + 1e-20))
    # Parseval: the mean power of a frame's spectrum against the samples under its window
    per_sample = 2.0 / (frames * front_end.window_samples * float(np.square(front_end.window).sum()))
    mixed_rms = np.sqrt((speech_energy + noise_energy * noise_gain**2) * per_sample)
    level = 10.0 ** (rng.uniform(*recipe.level_dbfs, batch) / 20.0) / (mixed_rms + 1e-9)
    made = out or _empty_batch((frames, batch, bins), front_end.bands)
    features = LogFeatures(front_end, batch, floor=POWER_FLOOR / level**2)
    for now in _mix_powers(sources.speech, sources.noise, noise_gain.astype(np.float32), order, out=made):
        features.add(made.noisy_power[now], out=made.features[now])
    return made


def _empty_batch(shape: tuple[int, ...], bands: int) -> SpectralBatch:
    features = np.empty((*shape[:2], bands), np.float32)
    return SpectralBatch(features, *(np.empty(shape, np.float32) for _ in range(3)))


def _mix_powers(
    speech: NDArray[np.float32],
    noise: NDArray[np.float32],
    noise_gain: NDArray[np.float32],
    order: NDArray[np.integer],
    *,
    out: SpectralBatch,
) -> Iterator[slice]:
    """Fills |X|^2, Re(X* S) and |S|^2 of S = speech and X = S + h noise in another order, h : (B,).

    What `spectral_batch` gives, in runs of frames that stay in cache and without complex arithmetic.
    """
    gains = np.repeat(noise_gain[:, None], speech.shape[3], axis=1)
    mixed = np.empty((MIXED_FRAMES, *speech.shape[1:]), np.float32)
    for start in range(0, len(speech), MIXED_FRAMES):
        now = slice(start, min(start + MIXED_FRAMES, len(speech)))
        s, x = speech[now], mixed[: now.stop - start]
        noise[now].take(order, axis=2, out=x, mode="clip")
        x *= gains
        x += s
        for left, right, total in (
            (s, s, out.clean_power),
            (s, x, out.cross),
            (x, x, out.noisy_power),
        ):
            np.einsum("tcbk,tcbk->tbk", left, right, out=total[now])
        yield now


def _loud_crop(recording: Recording, samples: int, rng: np.random.Generator) -> FloatArray:
    """A stretch that is not silence: the loudest of four random ones, or that around the loudest sample."""
    best = max(
        (random_crop(recording.samples, samples, rng) for _ in range(4)),
        key=lambda crop: float(np.square(crop).mean()),
    )
    if best.any():
        return best
    loudest = int(np.abs(recording.samples).argmax())
    start = min(max(loudest - samples // 2, 0), len(recording.samples) - samples)
    return recording.samples[start : start + samples]


def _gain_for_snr(speech: FloatArray, noise: FloatArray, snr_db: float) -> float:
    ratio = float(
        np.square(speech, dtype=np.float64).sum() / (np.square(noise, dtype=np.float64).sum() + 1e-20)
    )
    return float(np.sqrt(ratio / 10.0 ** (snr_db / 10.0)))
