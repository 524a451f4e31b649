from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npuexplore.audio.stft import FrontEnd, band_centres, front_end, istft, log_features, stft
from npuexplore.workload.network import Network


def make_front_end(*, window: int = 64, hop: int = 32, bands: int = 20, rate_hz: int = 16_000) -> FrontEnd:
    return front_end(
        Network.model_validate(
            {
                "schema": "npuexplore.network/1",
                "name": "tiny",
                "frame_clock": {"sample_rate_hz": rate_hz, "window_samples": window, "hop_samples": hop},
                "bands": bands,
                "layers": [
                    {"kind": "dense", "name": "mask", "output_features": bands, "activation": "sigmoid"}
                ],
            }
        )
    )


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@given(
    samples=st.integers(1, 400),
    batch=st.integers(1, 3),
    shape=st.sampled_from([(64, 32), (64, 16), (60, 20), (32, 32), (45, 15), (50, 20), (64, 25), (51, 7)]),
)
def test_the_inverse_gives_back_every_sample(samples: int, batch: int, shape: tuple[int, int]) -> None:
    fe = make_front_end(window=shape[0], hop=shape[1], bands=12)
    signals = noise((batch, samples))
    spectra = stft(signals, fe)
    assert spectra.shape == (fe.frames(samples), batch, fe.bins)
    assert spectra.dtype == np.complex64
    restored = istft(spectra, fe, samples=samples)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, signals, atol=1e-6)


@given(changed=st.integers(0, 499))
def test_no_frame_hears_a_sample_before_its_hop_has_arrived(changed: int) -> None:
    fe = make_front_end()
    signal = noise((1, 500))
    other = signal.copy()
    other[0, changed] += 0.5
    first_allowed = changed // fe.hop_samples
    before, after = stft(signal, fe), stft(other, fe)
    assert np.array_equal(before[:first_allowed], after[:first_allowed])
    assert not np.array_equal(before, after)
    features = [log_features(np.abs(s) ** 2, fe)[:first_allowed] for s in (before, after)]
    assert np.array_equal(*features)


@pytest.mark.parametrize(("window", "hop", "ms"), [(512, 256, (32, 16)), (400, 160, (25, 10))])
def test_the_shipped_windows_restore_a_second_of_sound(window: int, hop: int, ms: tuple[int, int]) -> None:
    assert (window / 16, hop / 16) == ms
    fe = make_front_end(window=window, hop=hop, bands=128)
    signal = noise((1, 16_000))
    np.testing.assert_allclose(istft(stft(signal, fe), fe, samples=16_000), signal, atol=1e-6)
    assert fe.frames(16_000) == -(-16_000 // hop) + -(-window // hop) - 1


def test_windows_whose_squares_add_up_to_one_are_their_own_duals() -> None:
    fe = make_front_end(window=512, hop=256)
    assert np.array_equal(fe.window, fe.dual_window)


def test_a_frame_is_the_windowed_transform_of_the_samples_that_end_with_its_hop() -> None:
    fe = make_front_end()
    signal = noise((2, 300))
    spectra = stft(signal, fe)
    for t in (1, 2, 8):
        end = (t + 1) * fe.hop_samples
        by_hand = np.fft.rfft(signal[:, end - fe.window_samples : end] * fe.window)
        np.testing.assert_allclose(spectra[t], by_hand, atol=1e-5)


def test_the_first_frame_hears_silence_before_the_signal() -> None:
    fe = make_front_end()
    signal = np.ones((1, 64), dtype=np.float32)
    half = np.concatenate([np.zeros(32), fe.window[32:]])
    np.testing.assert_allclose(stft(signal, fe)[0, 0], np.fft.rfft(half), atol=1e-5)


def test_too_few_frames_for_the_samples_are_refused() -> None:
    fe = make_front_end()
    with pytest.raises(ValueError, match="do not hold 400 samples"):
        istft(stft(noise((1, 300)), fe), fe, samples=400)


@settings(max_examples=60)
@given(bins=st.integers(9, 257), data=st.data(), rate_hz=st.sampled_from([8_000, 16_000, 48_000]))
def test_every_bin_is_shared_out_once_and_every_band_is_fed(
    bins: int, data: st.DataObject, rate_hz: int
) -> None:
    bands = data.draw(st.integers(1, bins))
    fe = make_front_end(window=2 * (bins - 1), hop=bins - 1, bands=bands, rate_hz=rate_hz)
    assert fe.synthesis.shape == (bands, bins)
    assert fe.analysis.shape == (bins, bands)
    np.testing.assert_allclose(fe.synthesis.sum(axis=0), 1.0, atol=1e-6)
    np.testing.assert_allclose(fe.analysis.sum(axis=0), 1.0, atol=1e-6)
    assert (fe.synthesis >= 0.0).all()


@settings(max_examples=60)
@given(bins=st.integers(9, 513), data=st.data(), bin_hz=st.floats(5.0, 500.0))
def test_bands_are_never_narrower_than_a_bin_and_widen_upwards(
    bins: int, data: st.DataObject, bin_hz: float
) -> None:
    bands = data.draw(st.integers(2, bins))
    centres = band_centres(bands, bins=bins, bin_hz=bin_hz)
    steps = np.diff(centres)
    assert centres.size == bands
    assert centres[0] == 0.0
    assert centres[-1] == pytest.approx(bins - 1)
    assert steps.min() >= 1.0 - 1e-9
    assert (np.diff(steps) > -1e-9).all()


def test_the_lowest_bands_of_the_papers_network_are_single_bins() -> None:
    fe = make_front_end(window=512, hop=256, bands=128)
    assert np.array_equal(fe.synthesis[:30, :30], np.eye(30))
    assert (np.count_nonzero(fe.synthesis, axis=1)[-10:] > 4).all()


def test_as_many_bands_as_bins_leave_the_spectrum_as_it_is() -> None:
    fe = make_front_end(bands=33)
    assert np.array_equal(fe.synthesis, np.eye(33))
    assert np.array_equal(fe.analysis, np.eye(33))


def test_log_features_follow_the_recursion_written_out() -> None:
    fe = make_front_end(
        rate_hz=8_000, hop=32
    )  # 250 frames a second: the 2 s constant takes over at frame 500
    power = np.abs(stft(noise((2, 32 * 600)), fe)) ** 2
    logs = np.log10(power.astype(np.float64) @ fe.analysis.astype(np.float64) + 1e-7)
    mean, expected = np.zeros_like(logs[0]), []
    for t, frame in enumerate(logs):
        mean = mean + max(1.0 / (t + 1), 32 / (2.0 * 8_000)) * (frame - mean)
        expected.append(frame - mean)
    features = log_features(power, fe)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=2e-4)


def test_log_features_leave_the_power_as_it_was() -> None:
    fe = make_front_end()
    power = np.abs(stft(noise((1, 300)), fe)) ** 2
    kept = power.copy()
    log_features(power, fe)
    assert np.array_equal(power, kept)


@given(gain_db=st.floats(-10.0, 10.0))
def test_a_gain_on_the_whole_signal_changes_no_feature(gain_db: float) -> None:
    fe = make_front_end()
    power = np.abs(stft(noise((1, 800)), fe)) ** 2 + np.float32(1e-2)
    louder = (power * 10.0 ** (gain_db / 10.0)).astype(np.float32)
    np.testing.assert_allclose(log_features(power, fe), log_features(louder, fe), atol=1e-3)
