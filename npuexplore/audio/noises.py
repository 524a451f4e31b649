"""Noises from formulas: coloured, modulated, hum, clicks, rain, a fan, an engine. Numpy only, seeded.

Every maker takes (samples, rate_hz, rng) and returns (N,) float32 with a mean square of LEVEL squared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Maker = Callable[[int, int, np.random.Generator], Float32]

LEVEL = 0.05
"""Root mean square of everything made here: -26 dBFS."""

SPEECH_KNOTS_HZ = (0.0, 60.0, 150.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
SPEECH_SHAPE_DB = (-30.0, -15.0, 0.0, 0.0, -8.0, -14.0, -20.0, -28.0)
"""Long-term spectrum of speech, rounded from Byrne et al. 1994, Table II."""


def levelled(samples: NDArray[Any]) -> Float32:
    """(N,) `samples` without their mean, at LEVEL, lowered where peaks would leave +-1.

    >>> round(float(levelled(np.array([1.0, -1.0])).max()), 3)
    0.05
    """
    centred = samples - samples.mean()
    deviation = float(np.sqrt(np.mean(np.square(centred)))) or 1.0
    scaled = centred * (LEVEL / deviation)
    within: Float32 = (scaled / max(1.0, float(np.abs(scaled).max()))).astype(np.float32)
    return within


def shaped(
    samples: int, gain_db: Callable[[Float64], Float64], rng: np.random.Generator, *, rate_hz: int
) -> Float64:
    """(N,) Gaussian noise whose spectrum follows `gain_db` of the frequency in Hz."""
    length = samples + samples % 2
    frequencies = np.linspace(0.0, 0.5 * rate_hz, length // 2 + 1, dtype=np.float64)
    gains = np.power(10.0, gain_db(frequencies) / 20.0)
    real, imaginary = rng.standard_normal((2, frequencies.size))
    noise: Float64 = np.fft.irfft(gains * (real + 1j * imaginary), length)[:samples]
    return noise


def slow(samples: int, rng: np.random.Generator, *, rate_hz: int, fastest_hz: float) -> Float64:
    """(N,) smooth random curve of unit deviation that changes no faster than `fastest_hz`."""
    knots = max(4, int(samples / rate_hz * fastest_hz * 2) + 2)
    curve = np.interp(np.linspace(0, knots - 1, samples), np.arange(knots), rng.standard_normal(knots))
    return curve


def coloured(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Noise falling by 0 (white) to 6 dB (brown) per octave, with three broad humps."""
    slope = rng.uniform(0.0, 6.0)
    centres, heights = rng.uniform(2.0, np.log10(0.45 * rate_hz), 3), rng.uniform(-6.0, 9.0, 3)

    def gain_db(frequencies: Float64) -> Float64:
        octaves = np.log2(np.maximum(frequencies, 20.0) / 1000.0)
        humps = np.exp(-0.5 * ((np.log10(np.maximum(frequencies, 1.0))[:, None] - centres) / 0.15) ** 2)
        total: Float64 = humps @ heights - slope * octaves
        return total

    return levelled(shaped(samples, gain_db, rng, rate_hz=rate_hz))


def speech_shaped(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Steady noise with the long-term spectrum of speech."""
    return levelled(_speech_shaped(samples, rate_hz, rng))


def _speech_shaped(samples: int, rate_hz: int, rng: np.random.Generator) -> Float64:
    return shaped(samples, lambda f: np.interp(f, SPEECH_KNOTS_HZ, SPEECH_SHAPE_DB), rng, rate_hz=rate_hz)


def modulated(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Two coloured noises that swell and fade against each other at 0.3 to 4 Hz."""
    fastest_hz = rng.uniform(0.3, 4.0)
    swell = 10.0 ** (0.4 * slow(samples, rng, rate_hz=rate_hz, fastest_hz=fastest_hz))
    fade = 10.0 ** (0.4 * slow(samples, rng, rate_hz=rate_hz, fastest_hz=fastest_hz))
    return levelled(swell * coloured(samples, rate_hz, rng) + fade * _speech_shaped(samples, rate_hz, rng))


def hum(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Mains hum at 50 or 60 Hz with up to 30 harmonics, over faint hiss."""
    mains_hz = rng.choice([50.0, 60.0]) * rng.uniform(0.998, 1.002)
    time = np.arange(samples) / rate_hz
    orders = np.arange(1, 1 + int(rng.integers(8, 31)))
    orders = orders[orders * mains_hz < 0.45 * rate_hz]
    sizes = rng.uniform(0.2, 1.0, orders.size) / orders ** rng.uniform(0.3, 1.2)
    phases = rng.uniform(0.0, 2.0 * np.pi, orders.size)
    tone = sum(
        a * np.sin(2 * np.pi * mains_hz * k * time + p) for k, a, p in zip(orders, sizes, phases, strict=True)
    )
    return levelled(tone + 0.1 * rng.standard_normal(samples))


def clicks(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Knocks, taps and clatter: decaying resonances at random times over a faint floor."""
    sound = 0.003 * rng.standard_normal(samples)
    for start in np.flatnonzero(rng.random(samples) < rng.uniform(1.5, 8.0) / rate_hz):
        piece = _knock(rate_hz, rng)[: samples - start]
        sound[start : start + piece.size] += piece
    return levelled(sound)


def _knock(rate_hz: int, rng: np.random.Generator) -> Float64:
    """One struck object: four damped modes and a burst of noise."""
    time = np.arange(int(rng.uniform(0.02, 0.25) * rate_hz)) / rate_hz
    modes = np.exp(rng.uniform(np.log(150.0), np.log(0.4 * rate_hz), 4))
    decay = time[-1] / rng.uniform(3.0, 8.0)
    ring = np.sin(2 * np.pi * np.outer(time, modes)) @ rng.uniform(0.1, 1.0, 4)
    burst = rng.standard_normal(time.size) * np.exp(-time / 0.003)
    struck: Float64 = rng.uniform(0.1, 1.0) * (ring * np.exp(-time / decay) + burst)
    return struck


def rain(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Hundreds of drops a second over a bright hiss whose strength drifts."""
    drops = (rng.random(samples) < rng.uniform(100.0, 600.0) / rate_hz) * rng.exponential(1.0, samples)
    low_hz = rng.uniform(500.0, 1500.0)
    hiss = shaped(
        samples, lambda f: -6.0 * np.log2(np.maximum(low_hz / np.maximum(f, 1.0), 1.0)), rng, rate_hz=rate_hz
    )
    ring = np.exp(-np.arange(64) / rng.uniform(4.0, 12.0)) * rng.standard_normal(64)
    drift = 10.0 ** (0.15 * slow(samples, rng, rate_hz=rate_hz, fastest_hz=0.5))
    patter = np.convolve(drops, ring)[:samples]
    return levelled(drift * (hiss / hiss.std() + patter / patter.std()))


def fan(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """Rushing air with a wavering blade tone and its harmonics."""
    blade_hz = rng.uniform(70.0, 220.0) * (1.0 + 0.01 * slow(samples, rng, rate_hz=rate_hz, fastest_hz=0.5))
    phase = 2.0 * np.pi * np.cumsum(blade_hz) / rate_hz
    tone = sum(rng.uniform(0.2, 1.0) / k * np.sin(k * phase) for k in range(1, 7))
    knee_hz = rng.uniform(200.0, 900.0)
    air = shaped(samples, lambda f: -4.0 * np.log2(1.0 + f / knee_hz), rng, rate_hz=rate_hz)
    return levelled(air / air.std() + rng.uniform(0.2, 0.8) * tone)


def engine(samples: int, rate_hz: int, rng: np.random.Generator) -> Float32:
    """A motor: pulses at a drifting speed through a dull exhaust, with rattle."""
    speed_hz = rng.uniform(18.0, 60.0) * (1.0 + 0.15 * slow(samples, rng, rate_hz=rate_hz, fastest_hz=0.3))
    phase = np.cumsum(speed_hz) / rate_hz
    pulses = np.exp(-8.0 * (phase % 1.0)) * (1.0 + 0.3 * np.sin(np.pi * phase))
    rattle = rng.standard_normal(samples) * np.exp(-20.0 * (phase % 1.0))
    rumble = shaped(samples, lambda f: -9.0 * np.log2(1.0 + f / 90.0), rng, rate_hz=rate_hz)
    return levelled(pulses / pulses.std() + 0.4 * rattle + rumble / rumble.std())


MAKERS: Mapping[str, Maker] = {
    "coloured": coloured,
    "speech_shaped": speech_shaped,
    "modulated": modulated,
    "hum": hum,
    "clicks": clicks,
    "engine": engine,
    "fan": fan,
    "rain": rain,
}
"""Every generated kind of noise by name; babble is made of voices, in `demo`."""
