import numpy as np
import pytest
import tiny_study

from npuexplore.audio.augment import Augmentation
from npuexplore.audio.mixtures import (
    MixtureRecipe,
    _empty_batch,
    _mix_powers,
    feature_deviation,
    fixed_mixtures,
    spectral_batch,
    training_batches,
)
from npuexplore.audio.pool import SegmentPool, segment_pair
from npuexplore.audio.sources import Recording, Split
from npuexplore.audio.stft import LogFeatures, front_end, log_features, stft
from npuexplore.errors import BadInput
from npuexplore.workload.network import Network

GEOMETRY = front_end(Network.model_validate(tiny_study.NETWORK))
FRAMES = 32
SAMPLES = (FRAMES - 1) * GEOMETRY.hop_samples
PLAIN = Augmentation(shaping_frac=0.0, slow_gain_db=0.0)


def recording(name, samples):
    return Recording(name, name, np.asarray(samples, np.float32), "CC0")


def noise(seed, seconds=2.0):
    return 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * 16_000))


@pytest.fixture(scope="module")
def split():
    return Split(
        speech=tuple(
            recording(name, tiny_study.syllables(f0, seconds=2.0)) for name, f0 in tiny_study.SPEAKERS.items()
        ),
        noise=tuple(recording(f"n{seed}", noise(seed)) for seed in range(3)),
    )


@pytest.fixture(scope="module")
def pool(split):
    pairs = [
        segment_pair(split, Augmentation(), index, samples=SAMPLES, rate_hz=16_000, seed=3)
        for index in range(16)
    ]
    return SegmentPool(*map(np.stack, zip(*pairs, strict=True)))


def batches(pool, *, batch=4, seed=1, **recipe):
    recipe = MixtureRecipe(**{"segment_frames": FRAMES, "pool_segments": 16, **recipe})
    return training_batches(pool, recipe, GEOMETRY, batch=batch, seed=seed)


def same(left, right):
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in vars(left))


def energy(power):
    return power.sum(axis=(0, 2), dtype=np.float64)


def snr_db(batch):
    clean = energy(batch.clean_power)
    noise_energy = energy(batch.noisy_power) - 2.0 * energy(batch.cross) + clean
    return 10.0 * np.log10(clean / noise_energy)


def test_a_batch_depends_on_its_step_alone(pool):
    forward, backward = batches(pool), batches(pool)
    there = [forward(step) for step in range(7)]
    back = [backward(step) for step in reversed(range(7))][::-1]
    assert all(same(left, right) for left, right in zip(there, back, strict=True))


def test_steps_and_seeds_give_different_batches(pool):
    batch_at = batches(pool)
    assert not same(batch_at(0), batch_at(1))
    assert not same(batch_at(0), batch_at(3))
    assert not same(batch_at(0), batches(pool, seed=2)(0))


def test_reused_spectra_are_mixed_anew(pool):
    batch_at = batches(pool, reuse=2)
    first, second, third = (batch_at(step) for step in range(3))
    shapes = [b.clean_power / energy(b.clean_power)[None, :, None] for b in (first, second, third)]
    np.testing.assert_allclose(shapes[0], shapes[1], rtol=1e-4)
    assert not np.allclose(shapes[0], shapes[2], rtol=1e-2)
    assert not np.allclose(snr_db(first), snr_db(second), atol=0.1)


@pytest.mark.parametrize("snr", [-6.0, 0.0, 12.0])
def test_the_snr_of_a_batch_is_what_was_asked(pool, snr):
    batch = batches(pool, batch=8, snr_db=(snr, snr))(0)
    np.testing.assert_allclose(snr_db(batch), snr, atol=0.05)


def test_the_snrs_of_many_batches_fill_their_range(pool):
    batch_at = batches(pool, batch=8, snr_db=(-6.0, 12.0))
    found = np.concatenate([snr_db(batch_at(step)) for step in range(20)])
    assert found.min() > -6.1
    assert found.max() < 12.1
    assert np.ptp(found) > 15.0


@pytest.mark.parametrize("level", [-40.0, -18.0])
def test_the_features_of_a_batch_are_those_at_the_level_that_was_asked(level):
    rng = np.random.default_rng(5)
    time = np.arange(200 * 256)
    tones = (3_000 * np.sin(rng.uniform(0.1, 2.0, (2, 16, 1)) * time)).astype(np.int16)
    recipe = {"augmentation": PLAIN, "level_dbfs": (level, level), "segment_frames": 201}
    batch = batches(SegmentPool(*tones), **recipe)(0)
    power = energy(batch.noisy_power) * 2.0 / (201 * 512 * np.square(GEOMETRY.window).sum())
    at_level = batch.noisy_power * (10.0 ** (level / 10.0) / power)[:, None]
    expected = log_features(at_level.astype(np.float32), GEOMETRY)
    assert np.abs(expected - log_features(batch.noisy_power, GEOMETRY)).max() > 0.3
    np.testing.assert_allclose(batch.features, expected, rtol=0, atol=1e-4)


def test_the_level_in_a_batch_is_that_of_the_samples():
    samples = 0.1 * np.random.default_rng(5).standard_normal((1, 200 * 256)).astype(np.float32)
    spectra = stft(samples, GEOMETRY)
    power = np.square(np.abs(spectra)).sum(dtype=np.float64) * 2.0
    rms = np.sqrt(power / (len(spectra) * 512 * np.square(GEOMETRY.window).sum()))
    assert rms == pytest.approx(0.1, rel=0.02)


def test_cross_is_the_overlap_of_speech_and_mixture(pool):
    rng = np.random.default_rng(6)
    shape = (5, 2, GEOMETRY.bins)
    clean, other = (
        (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64) for _ in range(2)
    )
    batch = spectral_batch(clean + other, clean, GEOMETRY)
    np.testing.assert_allclose(batch.cross, ((clean + other).conj() * clean).real, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(batch.clean_power, np.abs(clean) ** 2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(batch.noisy_power, np.abs(clean + other) ** 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("speech_scale", "noise_scale"), [(0, 1), (1, 0), (0, 0)])
def test_silence_gives_finite_batches(pool, speech_scale, noise_scale):
    silent = SegmentPool(pool.speech * np.int16(speech_scale), pool.noise * np.int16(noise_scale))
    batch_at = batches(silent)
    for values in vars(batch_at(0)).values():
        assert np.isfinite(values).all()
    scale = feature_deviation(batch_at, batches=2)
    assert np.isfinite(scale).all()
    assert (scale > 0.0).all()


def test_the_feature_deviation_is_a_root_mean_square(pool):
    batch_at = batches(pool)
    features = np.stack([batch_at(step).features for step in range(3)]).astype(np.float64)
    expected = np.sqrt(np.square(features).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(feature_deviation(batch_at, batches=3), expected, rtol=1e-3)


def mixtures_of(split, **changes):
    settings = {"count": 5, "seconds": 1.0, "rate_hz": 16_000, "snr_db": (-5.0, 15.0), "seed": 1}
    return fixed_mixtures(split, **{**settings, **changes})


def test_fixed_mixtures_spread_their_snrs_evenly(split):
    pairs = mixtures_of(split)
    found = [
        10.0 * np.log10(np.square(pair.clean).sum() / np.square(pair.noisy - pair.clean).sum())
        for pair in pairs
    ]
    np.testing.assert_allclose(found, [-5.0, 0.0, 5.0, 10.0, 15.0], atol=0.01)


def test_fixed_mixtures_have_one_length_and_one_level(split):
    for pair in mixtures_of(split):
        assert pair.clean.shape == pair.noisy.shape == (16_000,)
        assert pair.clean.dtype == pair.noisy.dtype == np.float32
        assert 20.0 * np.log10(np.sqrt(np.square(pair.noisy).mean())) == pytest.approx(-26.0, abs=0.01)


def test_fixed_mixtures_are_the_same_every_time_and_other_with_another_seed(split):
    first, again, other = mixtures_of(split), mixtures_of(split), mixtures_of(split, seed=2)
    assert [pair.name for pair in first] == [pair.name for pair in again]
    assert all(np.array_equal(a.noisy, b.noisy) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a.noisy, b.noisy) for a, b in zip(first, other, strict=True))


def test_a_recording_shorter_than_a_mixture_is_repeated(split):
    short = Split(speech=(recording("s", split.speech[0].samples[4_000:9_000]),), noise=split.noise)
    assert mixtures_of(short)[0].clean.shape == (16_000,)


@pytest.mark.parametrize("which", ["speech", "noise"])
def test_a_recording_that_is_nearly_all_silence_is_scored_where_it_sounds(split, which):
    rare = np.zeros(16_000 * 600)
    rare[5_000_000:5_004_000] = noise(1)[:4_000]
    alone = {"speech": split.speech, "noise": split.noise, which: (recording("rare", rare),)}
    for pair in mixtures_of(Split(**alone)):
        assert np.isfinite(pair.noisy).all()
        assert pair.clean.any()
        assert (pair.noisy - pair.clean).any()


@pytest.mark.parametrize("which", ["speech", "noise"])
def test_without_speech_or_noise_there_are_no_mixtures(split, which):
    with pytest.raises(BadInput, match="need speech and noise"):
        mixtures_of(Split(**{"speech": split.speech, "noise": split.noise, which: ()}))


def test_a_segment_depends_on_its_index_alone(split, pool):
    again = [
        segment_pair(split, Augmentation(), i, samples=SAMPLES, rate_hz=16_000, seed=3) for i in (9, 0, 9)
    ]
    np.testing.assert_array_equal(again[0][0], pool.speech[9])
    np.testing.assert_array_equal(again[1][1], pool.noise[0])
    np.testing.assert_array_equal(again[2][1], pool.noise[9])
    assert not (pool.speech[0] == pool.speech[1]).all()


def test_segments_are_at_full_scale_and_fit_16_bits(pool):
    for segments in (pool.speech, pool.noise):
        assert segments.shape == (16, SAMPLES)
        assert segments.dtype == np.int16
        np.testing.assert_array_equal(np.abs(segments.astype(np.int32)).max(axis=1), 32_000)


def test_a_pool_of_silence_is_silence():
    silent = Split(speech=(recording("s", np.zeros(20_000)),), noise=(recording("n", np.zeros(20_000)),))
    for index in range(12):
        speech, _ = segment_pair(silent, Augmentation(), index, samples=SAMPLES, rate_hz=16_000, seed=1)
        assert not speech.any()


def test_a_word_in_minutes_of_silence_is_found():
    minutes = np.zeros(3_000_000)
    minutes[2_000_000:2_004_000] = np.random.default_rng(2).standard_normal(4_000)
    rare = Split(speech=(recording("s", minutes),), noise=(recording("n", np.ones(20_000)),))
    for index in range(8):
        speech, _ = segment_pair(rare, Augmentation(), index, samples=SAMPLES, rate_hz=16_000, seed=1)
        assert speech.any()


def test_segments_of_recordings_shorter_than_themselves_are_filled(split):
    short = Split(
        speech=tuple(recording(r.name, r.samples[:300]) for r in split.speech),
        noise=(recording("n", noise(1)[:50]),),
    )
    for index in range(6):
        speech, sound = segment_pair(short, Augmentation(), index, samples=SAMPLES, rate_hz=16_000, seed=1)
        assert speech.shape == sound.shape == (SAMPLES,)


def test_the_root_of_the_minutes_decides_how_often_a_speaker_is_heard(split):
    from npuexplore.audio.pool import _by_group

    voices = [recording("a", np.ones(900)), recording("b", np.ones(100))]
    weights = {items[0].name: weight for items, weight in _by_group(voices)}
    assert weights == {"a": pytest.approx(0.75), "b": pytest.approx(0.25)}


@pytest.mark.parametrize("frames", [1, 8, 21])
def test_mixing_in_runs_of_frames_equals_the_complex_sum(frames):
    rng = np.random.default_rng(9)
    drawn = rng.standard_normal((2, 2, frames, 3, GEOMETRY.bins))
    speech, sound = (drawn[0] + 1j * drawn[1]).astype(np.complex64)
    gain = rng.uniform(0.1, 2.0, 3).astype(np.float32)
    order = np.array([2, 0, 1])
    expected = spectral_batch(speech + sound[:, order] * gain[:, None], speech, GEOMETRY)
    found = _empty_batch(speech.shape, GEOMETRY.bands)
    apart = (np.stack([each.real, each.imag], axis=1) for each in (speech, sound))
    runs = list(_mix_powers(*apart, gain, order, out=found))
    assert sum(len(range(frames)[run]) for run in runs) == frames
    for name in ("noisy_power", "cross", "clean_power"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-4, atol=1e-4)


def test_features_of_runs_of_frames_are_those_of_all_frames():
    power = np.random.default_rng(3).exponential(size=(21, 3, GEOMETRY.bins)).astype(np.float32)
    found = np.empty((21, 3, GEOMETRY.bands), np.float32)
    features = LogFeatures(GEOMETRY, 3)
    for start in range(0, 21, 8):
        features.add(power[start : start + 8], out=found[start : start + 8])
    np.testing.assert_allclose(found, log_features(power, GEOMETRY), rtol=0, atol=2e-6)


def test_a_batch_can_be_written_where_there_is_room_for_it(pool):
    made = batches(pool)(4)
    room = _empty_batch(made.cross.shape, GEOMETRY.bands)
    assert batches(pool)(4, room) is room
    assert same(room, made)
