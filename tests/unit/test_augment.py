import numpy as np
import pytest
import tiny_study
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from npuexplore.audio.augment import (
    Augmentation,
    change_speed,
    channel_gains,
    in_room,
    room_response,
    slow_gains,
    vary_voice,
)
from npuexplore.audio.voice import change_pitch, median_f0_hz, pitch_track

RATE_HZ = 16_000
FREQUENCIES_HZ = np.fft.rfftfreq(512, 1 / RATE_HZ)


def spread_db(samples, *, width_hz):
    """Spectrum in dB, smoothed over `width_hz`, 200..3500 Hz."""
    spectrum = np.square(np.abs(np.fft.rfft(samples * np.hanning(samples.size))))
    bins = int(width_hz * samples.size / RATE_HZ)
    smooth = np.convolve(spectrum, np.hanning(2 * bins + 1), mode="same")
    hz = np.fft.rfftfreq(samples.size, 1 / RATE_HZ)
    return 10.0 * np.log10(smooth[(hz > 200) & (hz < 3_500)])


@pytest.mark.parametrize("f0_hz", [90.0, 140.0, 220.0, 320.0])
def test_the_pitch_of_a_vowel_is_found(f0_hz):
    assert median_f0_hz(tiny_study.vowel(f0_hz, seconds=1.0), rate_hz=RATE_HZ) == pytest.approx(
        f0_hz, rel=0.03
    )


def test_noise_and_silence_have_no_pitch():
    hiss = np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32)
    assert (pitch_track(hiss, rate_hz=RATE_HZ) > 0).mean() < 0.1
    assert median_f0_hz(np.zeros(RATE_HZ, np.float32), rate_hz=RATE_HZ) == 0.0


@pytest.mark.parametrize(("f0_hz", "ratio"), [(240.0, 0.5), (240.0, 0.7), (110.0, 1.6), (130.0, 2.0)])
def test_changing_the_pitch_multiplies_f0_by_the_ratio(f0_hz, ratio):
    before = tiny_study.vowel(f0_hz, seconds=1.0)
    after = change_pitch(before, ratio, rate_hz=RATE_HZ)
    assert after.shape == before.shape
    assert median_f0_hz(after, rate_hz=RATE_HZ) == pytest.approx(ratio * f0_hz, rel=0.03)


@pytest.mark.parametrize(("f0_hz", "ratio"), [(220.0, 0.5), (110.0, 2.0)])
def test_changing_the_pitch_keeps_the_formants(f0_hz, ratio):
    high = tiny_study.vowel(f0_hz, seconds=1.0)
    low = change_pitch(high, ratio, rate_hz=RATE_HZ)
    before, after = spread_db(high, width_hz=250.0), spread_db(low, width_hz=250.0)
    shift_db = np.median(after - before)
    assert np.abs(after - before - shift_db).mean() < 4.0
    slower = change_speed(high, ratio)[: high.size]
    before = before if slower.size == high.size else spread_db(high[: slower.size], width_hz=250.0)
    moved = spread_db(slower, width_hz=250.0)
    assert np.abs(moved - before - np.median(moved - before)).mean() > 8.0


@pytest.mark.parametrize("samples", [1, 40, 300, 2_000])
def test_lowering_the_pitch_of_very_little_sound_keeps_its_length(samples):
    sound = tiny_study.vowel(200.0, seconds=1.0)[:samples]
    for made in (change_pitch(sound, 0.5, rate_hz=RATE_HZ), change_pitch(0.0 * sound, 0.5, rate_hz=RATE_HZ)):
        assert made.shape == sound.shape
        assert np.isfinite(made).all()


def test_lowering_the_pitch_of_silence_is_silence():
    assert not change_pitch(np.zeros(8_000, np.float32), 0.5, rate_hz=RATE_HZ).any()


def test_sound_at_twice_the_speed_lasts_half_as_long_an_octave_higher():
    vowel = tiny_study.vowel(110.0, seconds=1.0)
    fast = change_speed(vowel, 2.0)
    assert abs(fast.size - vowel.size / 2) <= 1
    assert median_f0_hz(fast, rate_hz=RATE_HZ) == pytest.approx(220.0, rel=0.03)


def test_a_mans_voice_is_never_lowered():
    settings = Augmentation(lowered_voice_frac=1.0, lowered_f0_hz=(120.0, 140.0), speech_speed=(1.0, 1.0))
    voice = tiny_study.vowel(100.0, seconds=0.5)
    varied = vary_voice(voice, settings, rate_hz=RATE_HZ, rng=np.random.default_rng(1))
    np.testing.assert_allclose(varied, voice, atol=1e-3)


def test_a_womans_voice_is_lowered_into_the_range():
    settings = Augmentation(lowered_voice_frac=1.0, lowered_f0_hz=(115.0, 125.0), speech_speed=(1.0, 1.0))
    voice = tiny_study.vowel(230.0, seconds=0.5)
    varied = vary_voice(voice, settings, rate_hz=RATE_HZ, rng=np.random.default_rng(1))
    assert 110.0 < median_f0_hz(varied, rate_hz=RATE_HZ) < 130.0


def test_a_mans_voice_is_raised_into_the_range_and_a_womans_is_not():
    settings = Augmentation(
        lowered_voice_frac=0.0, raised_voice_frac=1.0, raised_f0_hz=(195.0, 205.0), speech_speed=(1.0, 1.0)
    )
    for f0_hz, expected in ((115.0, 200.0), (240.0, 240.0)):
        voice = tiny_study.vowel(f0_hz, seconds=0.5)
        varied = vary_voice(voice, settings, rate_hz=RATE_HZ, rng=np.random.default_rng(1))
        assert median_f0_hz(varied, rate_hz=RATE_HZ) == pytest.approx(expected, rel=0.05)


def test_pitches_reach_from_85_to_260_hz():
    settings = Augmentation(lowered_voice_frac=0.5, raised_voice_frac=1.0, speech_speed=(1.0, 1.0))
    found = [
        median_f0_hz(
            vary_voice(
                tiny_study.vowel(f0, seconds=0.3), settings, rate_hz=RATE_HZ, rng=np.random.default_rng(seed)
            ),
            rate_hz=RATE_HZ,
        )
        for seed in range(12)
        for f0 in (130.0, 230.0)
    ]
    assert 80.0 < min(found) < 100.0
    assert 240.0 < max(found) < 270.0


def test_a_room_begins_with_the_direct_sound_and_decays_by_60_db():
    settings = Augmentation(room_t60_s=(0.4, 0.4))
    response = room_response(settings, rate_hz=RATE_HZ, rng=np.random.default_rng(2)).astype(np.float64)
    assert response.size == int(0.4 * RATE_HZ)
    assert response[0] == 1.0
    early, late = (np.square(part).mean() for part in (response[800:1_600], response[-800:]))
    seconds_between = (response.size - 400 - 1_200) / RATE_HZ
    assert 10.0 * np.log10(early / late) == pytest.approx(60.0 * seconds_between / 0.4, abs=3.0)


@pytest.mark.parametrize("t60_s", [0.01, 5.0])
def test_the_shortest_and_the_longest_room_keep_the_length_of_the_sound(t60_s):
    settings = Augmentation(room_frac=1.0, room_t60_s=(t60_s, t60_s))
    voice = tiny_study.vowel(200.0, seconds=0.3)
    wet = in_room(voice, settings, rate_hz=4_000, rng=np.random.default_rng(3))
    assert wet.shape == voice.shape
    assert np.isfinite(wet).all()


def test_outside_of_rooms_sound_stays_as_it_is():
    voice = tiny_study.vowel(200.0, seconds=0.3)
    dry = in_room(voice, Augmentation(room_frac=0.0), rate_hz=RATE_HZ, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(dry, voice)


def gains_db(settings, seed=1, count=64, frequencies_hz=FREQUENCIES_HZ):
    gains = channel_gains(settings, frequencies_hz, count=count, rng=np.random.default_rng(seed))
    assert gains.shape == (count, frequencies_hz.size)
    assert gains.dtype == np.float32
    return 20.0 * np.log10(gains.astype(np.float64))


FLAT = {"knots_db": 0.0, "tilt_db_per_octave": (0.0, 0.0), "roll_off_frac": 0.0, "high_pass_hz": (10.0, 10.0)}


@given(
    knots_db=st.floats(0.0, 30.0),
    tilt=st.tuples(st.floats(-24.0, 24.0), st.floats(-24.0, 24.0)).map(sorted),
    roll_off=st.tuples(st.floats(10.0, 48_000.0), st.floats(10.0, 48_000.0)).map(sorted),
    rate_hz=st.sampled_from([4_000, 16_000, 96_000]),
)
def test_any_channel_is_finite_and_above_zero(knots_db, tilt, roll_off, rate_hz):
    settings = Augmentation(
        knots_db=knots_db, tilt_db_per_octave=tuple(tilt), roll_off_hz=tuple(roll_off), roll_off_frac=1.0
    )
    gains = gains_db(settings, count=4, frequencies_hz=np.fft.rfftfreq(512, 1 / rate_hz))
    assert np.isfinite(gains).all()


def test_knots_stay_within_their_range():
    gains = gains_db(Augmentation(**{**FLAT, "knots_db": 8.0}))[:, 8:]
    assert np.abs(gains).max() < 8.2
    assert np.abs(gains).max() > 7.0


def test_a_tilt_is_so_many_decibels_per_octave_around_1_khz():
    gains = gains_db(Augmentation(**{**FLAT, "tilt_db_per_octave": (3.0, 3.0)}))
    at = {hz: int(np.argmin(np.abs(FREQUENCIES_HZ - hz))) for hz in (1_000, 2_000, 4_000)}
    np.testing.assert_allclose(gains[:, at[1_000]], 0.0, atol=0.01)
    np.testing.assert_allclose(gains[:, at[4_000]] - gains[:, at[2_000]], 3.0, atol=0.01)


def test_a_high_pass_takes_10_db_of_power_at_a_fraction_of_its_corner():
    gains = gains_db(Augmentation(**{**FLAT, "high_pass_hz": (250.0, 250.0)}))
    corner = int(np.argmin(np.abs(FREQUENCIES_HZ - 250.0)))
    np.testing.assert_allclose(gains[:, corner], -3.01, atol=0.05)
    assert (gains[:, 1] < -30.0).all()


def test_half_of_the_channels_roll_off_above_their_corner():
    settings = Augmentation(**{**FLAT, "roll_off_frac": 0.5, "roll_off_hz": (1_000.0, 1_000.0)})
    gains = gains_db(settings, count=400)
    below, top = gains[:, 4:32], gains[:, -1]
    np.testing.assert_allclose(below, 0.0, atol=0.01)
    assert 0.4 < (top < -5.0).mean() < 0.6
    assert (top > -12.0 * 3.01).all()


def test_items_that_are_not_shaped_pass_unchanged():
    gains = gains_db(Augmentation(shaping_frac=0.25), count=400)
    assert 0.7 < (np.abs(gains) < 1e-6).all(axis=1).mean() < 0.8


def test_slow_gains_wander_within_their_depth_on_half_of_the_items():
    gains = slow_gains(Augmentation(slow_gain_db=6.0), frames=100, count=400, rng=np.random.default_rng(1))
    assert gains.shape == (100, 400)
    in_db = 20.0 * np.log10(gains)
    assert np.abs(in_db).max() < 6.01
    assert 0.4 < (np.ptp(in_db, axis=0) > 0.1).mean() < 0.6


def test_a_range_from_zero_to_minus_zero_is_zero():
    settings = Augmentation(**{**FLAT, "tilt_db_per_octave": (0.0, -0.0)})
    np.testing.assert_allclose(gains_db(settings)[:, 32:], 0.0, atol=0.01)


def test_a_range_is_written_with_the_lower_bound_first():
    with pytest.raises(ValidationError, match="write the lower bound first"):
        Augmentation(speech_speed=(1.2, 0.8))
