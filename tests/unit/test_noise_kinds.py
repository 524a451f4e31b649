"""Babble, coloured noise and tones, on voices that are tones."""

import numpy as np
import pytest

from npuexplore.audio import pool
from npuexplore.audio.augment import Augmentation
from npuexplore.audio.noises import LEVEL
from npuexplore.audio.pool import LONGEST_TALKERS, segment_pair
from npuexplore.audio.sources import Recording, Split
from npuexplore.audio.tones import HIGHEST_HZ, LOWEST_HZ, tones

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


def concentration(sound):
    """Share of the power that the strongest hundredth of all frequencies has."""
    power = np.sort(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2)[::-1]
    return power[: power.size // 100].sum() / power.sum()


@pytest.mark.parametrize("seed", range(12))
def test_tones_are_a_few_frequencies_at_the_level_of_other_noises(seed):
    sound = tones(SAMPLES, RATE_HZ, np.random.default_rng(seed))
    assert (sound.dtype, sound.shape) == (np.float32, (SAMPLES,))
    assert np.sqrt(np.square(sound).mean()) == pytest.approx(LEVEL, rel=1e-3)
    assert concentration(sound) > 0.6
    spectrum = np.abs(np.fft.rfft(sound))
    assert LOWEST_HZ - 5 < spectrum.argmax() < 16 * HIGHEST_HZ
    assert sound.tobytes() == tones(SAMPLES, RATE_HZ, np.random.default_rng(seed)).tobytes()


def test_some_tones_are_held_and_some_come_and_go():
    levels = [
        np.square(tones(SAMPLES, RATE_HZ, np.random.default_rng(seed)).reshape(20, -1)).mean(axis=1)
        for seed in range(30)
    ]
    unsteady = [level.std() / level.mean() for level in levels]
    assert min(unsteady) < 0.1
    assert max(unsteady) > 0.8


def test_tones_take_the_share_of_the_noise_that_they_are_given(split):
    def recorded_frac(tonal_noise_frac, count=60):
        settings = AS_RECORDED.model_copy(update={"tonal_noise_frac": tonal_noise_frac})
        sounds = [
            segment_pair(split, settings, index, samples=SAMPLES, rate_hz=RATE_HZ, seed=2)[1]
            for index in range(count)
        ]
        return np.mean([39 <= np.abs(np.fft.rfft(sound)).argmax() <= 61 for sound in sounds])

    assert recorded_frac(0.0) > 0.55
    assert 0.2 < recorded_frac(0.5) < 0.55
    assert recorded_frac(1.0) < 0.2
