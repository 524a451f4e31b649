"""Babble and coloured noise, on voices that are tones."""

import numpy as np
import pytest

from npuexplore.audio import pool
from npuexplore.audio.augment import Augmentation
from npuexplore.audio.pool import LONGEST_TALKERS, segment_pair
from npuexplore.audio.sources import Recording, Split

RATE_HZ, SAMPLES = 16_000, 16_000
TONES_HZ = np.arange(300, 3_000, 100)
AS_RECORDED = Augmentation(
    speech_speed=(1.0, 1.0), lowered_voice_frac=0.0, raised_voice_frac=0.0, room_frac=0.0
)


def tone(hz):
    return np.sin(2 * np.pi * hz * np.arange(2 * RATE_HZ) / RATE_HZ).astype(np.float32) / 2


@pytest.fixture
def split():
    voices = tuple(Recording(f"v{hz}", f"v{hz}", tone(hz), "") for hz in TONES_HZ)
    return Split(speech=voices, noise=(Recording("n", "n", tone(50), ""),))


def noises(split, monkeypatch, kind, count=40):
    monkeypatch.setattr(pool, "NOISE_KINDS", {kind: 1.0})
    return [
        segment_pair(split, AS_RECORDED, index, samples=SAMPLES, rate_hz=RATE_HZ, seed=2)[1] / 32_768
        for index in range(count)
    ]


def test_babble_is_one_to_six_talkers_within_8_db_of_each_other(split, monkeypatch):
    talkers = []
    for babble in noises(split, monkeypatch, "babble"):
        levels = np.abs(np.fft.rfft(babble * np.hanning(SAMPLES)))[TONES_HZ]
        heard = levels[levels > 1e-3 * levels.max()]
        talkers.append(heard.size)
        if heard.size == 1:
            continue
        assert 20 * np.log10(heard.max() / heard.min()) < 8.1 + 20 * np.log10(LONGEST_TALKERS)
    assert min(talkers) == 1
    assert 4 <= max(talkers) <= LONGEST_TALKERS


def test_coloured_noise_falls_by_0_to_9_db_per_octave(split, monkeypatch):
    slopes_db = []
    for coloured in noises(split, monkeypatch, "coloured"):
        power = np.abs(np.fft.rfft(coloured)) ** 2
        octaves = [10 * np.log10(power[low : 2 * low].mean()) for low in (125, 250, 500, 1_000, 2_000, 4_000)]
        slopes_db.append(-np.diff(octaves).mean())
    assert -0.7 < min(slopes_db) < 2.0
    assert 7.0 < max(slopes_db) < 9.7


def test_recorded_noise_is_what_was_recorded(split, monkeypatch):
    for recorded in noises(split, monkeypatch, "recorded", count=3):
        spectrum = np.abs(np.fft.rfft(recorded * np.hanning(SAMPLES)))
        assert abs(int(spectrum.argmax()) - 50) <= 11
