"""Tones as noise: music in another room, whistles, the whine of an appliance. Numpy only, seeded."""

from __future__ import annotations

import numpy as np

from npuexplore.audio.noises import Float32, Float64, levelled

LOWEST_HZ, HIGHEST_HZ = 60.0, 1_200.0
MOST_VOICES, MOST_PARTIALS = 4, 16
STEADY_FRAC = 0.4
"""Share of voices that hold one tone throughout; the others play note after note."""
STRUCK_FRAC = 0.5
"""Share of players whose notes decay as those of a piano; those of the others swell and last."""


def tones(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """(N,) one to four voices that hold tones or play notes, over faint hiss."""
    hiss = rng.uniform(0.0, 0.05) * rng.standard_normal(samples)
    voices = [_voice(samples, rate_hz, rng) for _ in range(int(rng.integers(1, MOST_VOICES + 1)))]
    return levelled(hiss + sum(rng.uniform(0.2, 1.0) * voice for voice in voices))


def _voice(samples: int, rate_hz: int, rng: np.random.Generator) -> Float64:
    """(N,) one voice: a spectrum of its own, and one note or many."""
    sizes = _partials(rng)
    if rng.random() < STEADY_FRAC:
        return _note(samples, rate_hz, sizes, rng)
    struck = rng.random() < STRUCK_FRAC
    sound, start = np.zeros(samples), 0
    while start < samples:
        length = min(int(_between(rng, 0.12, 2.5) * rate_hz), samples - start)
        envelope = _envelope(length, rate_hz, rng, struck=struck)
        sound[start : start + length] = envelope * _note(length, rate_hz, sizes, rng)
        start += length
    return sound


def _partials(rng: np.random.Generator) -> Float64:
    """(P,) sizes of the harmonics: falling by 0 to 12 dB an octave, some far weaker than others."""
    orders = np.arange(1, 2 + int(rng.integers(MOST_PARTIALS)))
    sizes: Float64 = rng.uniform(0.1, 1.0, orders.size) * orders ** -rng.uniform(0.0, 2.0)
    return sizes


def _note(samples: int, rate_hz: int, sizes: Float64, rng: np.random.Generator) -> Float64:
    """(N,) harmonics of a random pitch with a little vibrato."""
    pitch_hz = _between(rng, LOWEST_HZ, HIGHEST_HZ)
    time = np.arange(samples) / rate_hz
    depth, speed_hz = rng.uniform(0.0, 0.01) * (rng.random() < 0.3), rng.uniform(3.0, 7.0)
    phase = 2.0 * np.pi * (pitch_hz * time + pitch_hz * depth / speed_hz * np.sin(speed_hz * time))
    audible = np.arange(1, 1 + sizes.size) * pitch_hz < 0.45 * rate_hz
    offsets = rng.uniform(0.0, 2.0 * np.pi, sizes.size)
    sound = np.zeros(samples)
    for order in np.flatnonzero(audible):
        sound += sizes[order] * np.sin((order + 1) * phase + offsets[order])
    return sound


def _envelope(samples: int, rate_hz: int, rng: np.random.Generator, *, struck: bool) -> Float64:
    """(N,) 0 to 1: a rise of a few milliseconds and a decay, or a slower rise, a plateau and a fall."""
    time = np.arange(samples) / rate_hz
    if struck:
        return np.minimum(time / 0.005, 1.0) * np.exp(-time / _between(rng, 0.15, 1.5))
    ramp = rng.uniform(0.02, 0.1)
    return np.minimum(np.minimum(time, time[::-1]) / ramp, 1.0)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Log-uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
