"""What happens to speech and noise before they are mixed: speed, rooms, channels, slow level changes.

Speed, pitch and rooms act on samples; channel shaping acts on spectra, where it costs one product.
Ranges are fields of `Augmentation`, so that a study can state its own.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from npuexplore.audio.voice import change_pitch, median_f0_hz
from npuexplore.documents.model import Model
from npuexplore.units import FloatArray

LEAST_PITCH_RATIO, LARGEST_PITCH_RATIO = 0.35, 2.0
"""Beyond these, grains leave gaps or pile up (assumed, by listening)."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


def rising(bounds: tuple[float, float]) -> tuple[float, float]:
    """The bounds of a range, the lower one first; ValueError otherwise."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"got {list(bounds)}; write the lower bound first: {sorted(bounds)}")
    return bounds[0] + 0.0, bounds[1] + 0.0  # numpy refuses to draw from 0.0 to -0.0


_Decibels = Annotated[float, Field(ge=-90.0, le=60.0)]
_Speed = Annotated[float, Field(ge=0.5, le=2.0)]
_Pitch = Annotated[float, Field(ge=50.0, le=400.0)]
_Reverberation = Annotated[float, Field(ge=0.01, le=5.0)]
_Slope = Annotated[float, Field(ge=-24.0, le=24.0)]
_Frequency = Annotated[float, Field(ge=10.0, le=48_000.0)]
DecibelRange = Annotated[tuple[_Decibels, _Decibels], Field(strict=False), AfterValidator(rising)]
SpeedRange = Annotated[tuple[_Speed, _Speed], Field(strict=False), AfterValidator(rising)]
PitchRange = Annotated[tuple[_Pitch, _Pitch], Field(strict=False), AfterValidator(rising)]
SecondsRange = Annotated[tuple[_Reverberation, _Reverberation], Field(strict=False), AfterValidator(rising)]
SlopeRange = Annotated[tuple[_Slope, _Slope], Field(strict=False), AfterValidator(rising)]
FrequencyRange = Annotated[tuple[_Frequency, _Frequency], Field(strict=False), AfterValidator(rising)]


class Augmentation(Model):
    """Ranges of random changes (uniform unless said), and how often each is made."""

    speech_speed: SpeedRange = (0.8, 1.15)
    """Playing speed of speech; moves pitch and formants together."""
    noise_speed: SpeedRange = (0.8, 1.2)
    lowered_voice_frac: Fraction = 0.4
    """Share of speech segments whose pitch is lowered with formants kept."""
    lowered_f0_hz: PitchRange = (85.0, 140.0)
    raised_voice_frac: Fraction = 0.2
    """Share of the other speech segments whose pitch is raised with formants kept."""
    raised_f0_hz: PitchRange = (170.0, 260.0)
    room_frac: Fraction = 0.75
    """Share of speech segments heard in a synthetic room; the reverberant speech is the target."""
    room_t60_s: SecondsRange = (0.12, 0.6)
    shaping_frac: Fraction = 1.0
    """Share of batch items whose speech, and whose noise, passes a random channel."""
    knots_db: Annotated[float, Field(ge=0.0, le=30.0)] = 8.0
    """Largest gain or loss at each of eight knots over frequency."""
    tilt_db_per_octave: SlopeRange = (-1.0, 5.0)
    roll_off_hz: FrequencyRange = (1_000.0, 4_000.0)
    roll_off_frac: Fraction = 0.5
    high_pass_hz: FrequencyRange = (60.0, 300.0)
    tonal_noise_frac: Fraction = 0.0
    """Share of the noise segments that are generated tones: held notes and melodies."""
    slow_gain_db: Annotated[float, Field(ge=0.0, le=30.0)] = 6.0
    """Depth of slow level changes of the noise, on half of the items."""


def change_speed(samples: FloatArray, speed: float) -> NDArray[np.float32]:
    """Resampled so that it plays `speed` times as fast (N / speed samples)."""
    import soxr

    return np.asarray(soxr.resample(samples, speed, 1.0, quality="MQ"), np.float32)


def vary_voice(
    samples: FloatArray, settings: Augmentation, *, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Speech at another speed and, for some segments, at another pitch.

    A voice below where it is to be lowered to, or above where it is to be raised to, stays.
    """
    drawn = rng.random()
    lowered = drawn < settings.lowered_voice_frac
    others_frac = 1.0 - settings.lowered_voice_frac
    if lowered or drawn < settings.lowered_voice_frac + others_frac * settings.raised_voice_frac:
        f0_hz = median_f0_hz(samples, rate_hz=rate_hz)
        target_hz = rng.uniform(*(settings.lowered_f0_hz if lowered else settings.raised_f0_hz))
        if f0_hz and (f0_hz > target_hz) == lowered:
            ratio = float(np.clip(target_hz / f0_hz, LEAST_PITCH_RATIO, LARGEST_PITCH_RATIO))
            samples = change_pitch(samples, ratio, rate_hz=rate_hz)
    return change_speed(samples, rng.uniform(*settings.speech_speed))


def room_response(settings: Augmentation, *, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A direct path and an exponentially decaying diffuse tail (Polack's model)."""
    t60_s = rng.uniform(*settings.room_t60_s)
    time_s = np.arange(int(t60_s * rate_hz)) / rate_hz
    tail = rng.standard_normal(time_s.size) * 10.0 ** (-3.0 * time_s / t60_s)
    tail *= np.minimum(time_s / 0.003, 1.0)
    direct_to_reverberant_db = rng.uniform(0.0, 12.0)
    tail *= 10.0 ** (-direct_to_reverberant_db / 20.0) / np.sqrt(np.square(tail).sum() + 1e-12)
    tail[0] = 1.0
    return tail.astype(np.float32)


def in_room(
    samples: FloatArray, settings: Augmentation, *, rate_hz: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The samples in a random room, or as they are."""
    if rng.random() >= settings.room_frac:
        return np.asarray(samples, np.float32)
    from scipy.signal import oaconvolve

    wet = oaconvolve(samples, room_response(settings, rate_hz=rate_hz, rng=rng))
    return np.asarray(wet[: len(samples)], np.float32)


def channel_gains(
    settings: Augmentation, frequencies_hz: FloatArray, *, count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Random channels: smooth knots, a tilt, a roll-off and a high-pass.

    frequencies_hz : (K,) ; returns amplitude gains (count, K) float32
    """
    octaves = np.log2(np.maximum(frequencies_hz, 31.25) / 1_000.0)
    positions = np.linspace(octaves[0], octaves[-1], 8)
    knots = rng.uniform(-settings.knots_db, settings.knots_db, (count, 8))
    gains_db = np.stack([np.interp(octaves, positions, row) for row in knots])
    gains_db += rng.uniform(*settings.tilt_db_per_octave, (count, 1)) * octaves
    corner = np.log2(rng.uniform(*settings.roll_off_hz, (count, 1)) / 1_000.0)
    slope = rng.uniform(2.0, 12.0, (count, 1)) * (rng.random((count, 1)) < settings.roll_off_frac)
    gains_db -= slope * np.maximum(octaves - corner, 0.0)
    cutoff_hz = rng.uniform(*settings.high_pass_hz, (count, 1))
    gains_db -= 10.0 * np.log10(1.0 + (cutoff_hz / np.maximum(frequencies_hz, 15.6)) ** 4)
    gains_db *= rng.random((count, 1)) < settings.shaping_frac
    return np.asarray(10.0 ** (gains_db / 20.0), np.float32)


def slow_gains(
    settings: Augmentation, *, frames: int, count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Amplitude gains (frames, count) that wander over a segment, on half of the items."""
    depth_db = settings.slow_gain_db * (rng.random(count) < 0.5)
    knots = rng.uniform(-1.0, 1.0, (count, 6)) * depth_db[:, None]
    positions = np.linspace(0, frames - 1, 6)
    gains_db = np.stack([np.interp(np.arange(frames), positions, row) for row in knots], axis=1)
    return np.asarray(10.0 ** (gains_db / 20.0), np.float32)
