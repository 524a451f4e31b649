from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import convolution_matrix

from npuexplore.audio.metrics import sdr_db, si_sdr_db
from npuexplore.errors import BadInput

FEW = settings(max_examples=15)


def white(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(samples)


def orthogonal_to_every_delay(reference: np.ndarray, seed: int, *, taps: int = 512) -> np.ndarray:
    """Noise of the reference's length that no filter of `taps` taps can make from the reference."""
    delayed = convolution_matrix(reference, taps, mode="full")[: reference.size]
    noise = white(reference.size, seed)
    return noise - delayed @ np.linalg.lstsq(delayed, noise, rcond=None)[0]


@pytest.mark.parametrize("wanted_db", [-7.0, 0.0, 7.0, 30.0])
def test_orthogonal_noise_has_the_ratio_of_the_energies(wanted_db: float) -> None:
    reference = np.concatenate([white(1_500, 1), np.zeros(600)])  # silence at the end keeps the tail inside
    noise = orthogonal_to_every_delay(reference, 2)
    noise *= np.sqrt((reference @ reference) / (noise @ noise)) * 10.0 ** (-wanted_db / 20.0)
    assert sdr_db(estimate=reference + noise, reference=reference) == pytest.approx(wanted_db, abs=1e-6)
    assert si_sdr_db(estimate=reference + noise, reference=reference) == pytest.approx(wanted_db, abs=1e-6)


@FEW
@given(seed=st.integers(0, 99), taps=st.integers(1, 512))
def test_a_short_filter_on_the_reference_costs_no_sdr(seed: int, taps: int) -> None:
    reference = np.concatenate([white(3_000, seed), np.zeros(600)])
    filtered = np.convolve(reference, white(taps, seed + 1))[: reference.size]
    assert sdr_db(estimate=filtered, reference=reference) > 80.0


def test_a_filter_longer_than_512_taps_does_cost_sdr() -> None:
    reference = np.concatenate([white(3_000, 0), np.zeros(600)])
    assert sdr_db(estimate=np.roll(reference, 511), reference=reference) > 80.0
    assert sdr_db(estimate=np.roll(reference, 512), reference=reference) < 0.0


@FEW
@given(seed=st.integers(0, 99), gain=st.floats(1e-3, 1e3), sign=st.sampled_from([-1.0, 1.0]))
def test_a_gain_changes_neither_metric(seed: int, gain: float, sign: float) -> None:
    reference, estimate = white(2_000, seed), white(2_000, seed) + 0.3 * white(2_000, seed + 1)
    for metric in (sdr_db, si_sdr_db):
        before = metric(estimate=estimate, reference=reference)
        assert metric(estimate=sign * gain * estimate, reference=reference) == pytest.approx(before, abs=1e-8)
        assert metric(estimate=estimate, reference=sign * gain * reference) == pytest.approx(before, abs=1e-8)


@FEW
@given(seed=st.integers(0, 99))
def test_more_freedom_never_lowers_the_score(seed: int) -> None:
    reference, estimate = white(2_000, seed), white(2_000, seed) + white(2_000, seed + 1)
    assert sdr_db(estimate=estimate, reference=reference) >= si_sdr_db(estimate=estimate, reference=reference)


def test_si_sdr_does_not_remove_the_mean() -> None:
    reference = white(1_000, 0)
    offset = reference - reference.mean() + 1.0
    assert si_sdr_db(estimate=offset, reference=reference - reference.mean()) < 5.0


def test_a_reference_so_smooth_that_its_equations_are_singular_is_still_scored() -> None:
    reference = np.hanning(4_000)  # Levinson's recursion divides by zero here
    estimate = reference + 0.1 * white(4_000, 0)
    delayed = convolution_matrix(reference, 512)
    padded = np.pad(estimate, (0, 511))
    target = delayed @ np.linalg.lstsq(delayed, padded, rcond=None)[0]
    directly = 10.0 * np.log10((target @ target) / ((padded - target) @ (padded - target)))
    assert sdr_db(estimate=estimate, reference=reference) == pytest.approx(directly, abs=0.5)


def test_an_exact_copy_and_silence_are_the_limits() -> None:
    reference = white(1_000, 0)
    assert si_sdr_db(estimate=reference, reference=reference) == 100.0
    for metric in (sdr_db, si_sdr_db):
        assert metric(estimate=np.zeros(1_000), reference=reference) == -100.0


@pytest.mark.parametrize("metric", [sdr_db, si_sdr_db])
@pytest.mark.parametrize(
    ("estimate", "reference", "says"),
    [
        (np.ones(9), np.ones(10), "cut both"),
        (np.ones((2, 9)), np.ones((2, 9)), "cut both"),
        (np.array([1.0, np.nan]), np.ones(2), "NaN"),
        (np.ones(2), np.array([1.0, np.inf]), "NaN or infinite"),
        (np.ones(4), np.zeros(4), "silent reference"),
    ],
)
def test_signals_without_a_score_are_refused(metric, estimate, reference, says) -> None:
    with pytest.raises(BadInput, match=says):
        metric(estimate=estimate, reference=reference)


def test_float32_and_float64_signals_score_alike() -> None:
    reference = white(2_000, 0).astype(np.float32)
    estimate = (reference + 0.1 * white(2_000, 1)).astype(np.float32)
    for metric in (sdr_db, si_sdr_db):
        wide = metric(estimate=estimate.astype(np.float64), reference=reference.astype(np.float64))
        assert metric(estimate=estimate, reference=reference) == wide
