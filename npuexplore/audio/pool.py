"""Segments of speech and noise, changed once and reused by every training of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio.augment import Augmentation, change_speed, in_room, vary_voice
from npuexplore.audio.sources import Recording, Split
from npuexplore.audio.tones import tones
from npuexplore.units import FloatArray

LONGEST_TALKERS = 6
NOISE_KINDS = {"recorded": 0.7, "babble": 0.2, "coloured": 0.1}
"""Shares of the noise segments (assumed): recordings, 1-6 talkers, generated colours."""


@dataclass(frozen=True)
class SegmentPool:
    """Speech and noise segments as 16-bit samples at full scale; each (S, N) int16."""

    speech: NDArray[np.int16]
    noise: NDArray[np.int16]

    def speech_segments(
        self, index: NDArray[np.integer], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(B, N) float32 at full scale, into `out` where that is given."""
        return _floats(self.speech[index], out)

    def noise_segments(
        self, index: NDArray[np.integer], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(B, N) float32 at full scale, into `out` where that is given."""
        return _floats(self.noise[index], out)


def _floats(samples: NDArray[np.int16], out: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """16-bit samples at full scale 1."""
    return np.multiply(np.asarray(samples), np.float32(1 / 32_768), out=out, dtype=np.float32)


def segment_pair(
    split: Split, settings: Augmentation, index: int, *, samples: int, rate_hz: int, seed: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Segment `index` of speech and of noise, each (samples,) int16; depends on the arguments alone."""
    rng = np.random.default_rng([seed, 4, index])
    voices = _by_group(split.speech)
    speech = _speech_segment(voices, settings, samples, rate_hz=rate_hz, rng=rng)
    noise = _noise_segment(split.noise, voices, settings, samples, rate_hz=rate_hz, rng=rng)
    return _full_scale(speech), _full_scale(noise)


def random_crop(samples: FloatArray, length: int, rng: np.random.Generator) -> FloatArray:
    """A random stretch of `length` samples; shorter input is repeated."""
    if len(samples) < length:
        samples = np.tile(samples, -(-length // max(len(samples), 1)))
    start = int(rng.integers(len(samples) - length + 1))
    return samples[start : start + length]


def around_loudest(samples: FloatArray, length: int) -> FloatArray:
    """The stretch of `length` samples, no more than there are, about the loudest one.

    >>> around_loudest(np.array([0.0, 0.0, -3.0, 0.0, 1.0]), 3).tolist()
    [0.0, -3.0, 0.0]
    """
    start = int(np.abs(samples).argmax()) - length // 2
    start = min(max(start, 0), len(samples) - length)
    return samples[start : start + length]


def _by_group(recordings: Sequence[Recording]) -> list[tuple[list[Recording], float]]:
    """Recordings by speaker, with the speaker's weight: the square root of the minutes."""
    groups: dict[str, list[Recording]] = {}
    for recording in recordings:
        groups.setdefault(recording.group, []).append(recording)
    sizes = {name: sum(len(item.samples) for item in items) for name, items in groups.items()}
    total = sum(size**0.5 for size in sizes.values())
    return [(items, sizes[name] ** 0.5 / total) for name, items in sorted(groups.items())]


def _draw(voices: list[tuple[list[Recording], float]], rng: np.random.Generator) -> Recording:
    items = voices[int(rng.choice(len(voices), p=[weight for _, weight in voices]))][0]
    lengths = np.array([len(item.samples) for item in items], np.float64)
    return items[int(rng.choice(len(items), p=lengths / lengths.sum()))]


def _speech_segment(
    voices: list[tuple[list[Recording], float]],
    settings: Augmentation,
    samples: int,
    *,
    rate_hz: int,
    rng: np.random.Generator,
) -> FloatArray:
    recording = _draw(voices, rng)
    stretch = int(samples * max(settings.speech_speed)) + 64
    loud = 0.1 * float(np.square(recording.samples).mean())
    for _ in range(6):
        crop = random_crop(recording.samples, stretch, rng)
        if float(np.square(crop).mean()) > loud:
            break
    if not crop.any():
        crop = around_loudest(recording.samples, stretch)
    varied = vary_voice(crop, settings, rate_hz=rate_hz, rng=rng)
    return random_crop(in_room(varied, settings, rate_hz=rate_hz, rng=rng), samples, rng)


def _noise_segment(
    noises: Sequence[Recording],
    voices: list[tuple[list[Recording], float]],
    settings: Augmentation,
    samples: int,
    *,
    rate_hz: int,
    rng: np.random.Generator,
) -> FloatArray:
    if settings.tonal_noise_frac and rng.random() < settings.tonal_noise_frac:
        return tones(samples, rate_hz, rng)
    kind = str(rng.choice(list(NOISE_KINDS), p=list(NOISE_KINDS.values())))
    if kind == "babble":
        talkers = [
            _speech_segment(voices, settings, samples, rate_hz=rate_hz, rng=rng)
            for _ in range(int(rng.integers(1, LONGEST_TALKERS + 1)))
        ]
        return np.asarray(
            np.sum([_unit(talker) * 10 ** rng.uniform(-0.4, 0.0) for talker in talkers], axis=0)
        )
    if kind == "coloured":
        return _coloured(samples, rng)
    recording = noises[int(rng.integers(len(noises)))]
    stretch = int(samples * max(settings.noise_speed)) + 64
    faster = change_speed(random_crop(recording.samples, stretch, rng), rng.uniform(*settings.noise_speed))
    return random_crop(faster, samples, rng)


def _coloured(samples: int, rng: np.random.Generator) -> FloatArray:
    """Noise whose power falls by a random 0..9 dB per octave."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    slope = rng.uniform(0.0, 1.5)
    spectrum *= np.maximum(np.arange(spectrum.size), 16.0) ** -slope
    return np.asarray(np.fft.irfft(spectrum, samples))


def _unit(samples: FloatArray) -> FloatArray:
    return samples / (float(np.sqrt(np.square(samples).mean())) + 1e-9)


def _full_scale(samples: FloatArray) -> NDArray[np.int16]:
    peak = float(np.abs(samples).max()) + 1e-9
    return np.asarray(np.rint(samples * (32_000.0 / peak)), np.int16)
