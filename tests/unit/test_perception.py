import numpy as np
import pytest
import tiny_study

from npuexplore.audio import perception
from npuexplore.audio.perception import DNSMOS_OPINIONS, dnsmos, installed, pesq, require, stoi
from npuexplore.errors import BadInput, EnvironmentLacking

RATE_HZ = 16_000
SPEECH = tiny_study.syllables(140.0, seconds=2.0)
HISS = np.random.default_rng(1).standard_normal(SPEECH.size).astype(np.float32)


def mixed(snr_db):
    return SPEECH + HISS * np.float32(np.linalg.norm(SPEECH) / np.linalg.norm(HISS) * 10 ** (-snr_db / 20))


def intelligibility(signals):
    return stoi(estimate=signals, reference=SPEECH, rate_hz=RATE_HZ)


def test_a_copy_is_wholly_intelligible_and_noise_is_not():
    assert intelligibility(SPEECH) == pytest.approx(1.0, abs=1e-6)
    assert abs(intelligibility(HISS)) < 0.5


def test_more_noise_is_less_intelligible():
    scores = [intelligibility(mixed(snr_db)) for snr_db in (20.0, 10.0, 0.0, -10.0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.3


@pytest.mark.parametrize("gain", [1e-3, 50.0, -1.0])
def test_a_gain_changes_no_intelligibility(gain):
    assert intelligibility(gain * mixed(0.0)) == pytest.approx(intelligibility(mixed(0.0)), abs=1e-6)


def test_silence_made_of_speech_is_not_intelligible():
    assert intelligibility(0.0 * SPEECH) == 0.0


@pytest.mark.parametrize("samples", [1, 300, 6_000])
def test_too_little_speech_is_one_sentence(samples):
    with pytest.raises(BadInput, match=r"at least 0\.42 s of speech"):
        stoi(estimate=SPEECH[900 : 900 + samples], reference=SPEECH[900 : 900 + samples], rate_hz=RATE_HZ)
    lonely = np.concatenate([SPEECH[:3_000], np.zeros(20_000, np.float32)])
    with pytest.raises(BadInput, match=r"at least 0\.42 s of speech"):
        stoi(estimate=lonely, reference=lonely, rate_hz=RATE_HZ)


@pytest.mark.parametrize(
    ("estimate", "reference", "says"),
    [
        (SPEECH * np.nan, SPEECH, "NaN"),
        (SPEECH, SPEECH * 0.0, "silent reference"),
        (SPEECH[1:], SPEECH, "cut both"),
    ],
)
def test_signals_without_a_score_are_refused(estimate, reference, says):
    with pytest.raises(BadInput, match=says):
        stoi(estimate=estimate, reference=reference, rate_hz=RATE_HZ)


@pytest.mark.parametrize("metric", ["pesq", "dnsmos"])
def test_a_metric_whose_package_is_missing_names_the_extra(monkeypatch, metric):
    monkeypatch.setattr(perception, "find_spec", lambda name: None)
    assert not installed(metric)
    assert installed("stoi")
    with pytest.raises(EnvironmentLacking, match=rf"pip install 'npuexplore\[{metric}\]'"):
        require(metric)


@pytest.mark.parametrize("outputs", [(1.0, 2.0, 3.0), (3.4, 2.4, 2.4)])
def test_opinions_are_the_polynomials_of_what_the_network_says_of_each_window(monkeypatch, outputs):
    heard = []

    class Network:
        def run(self, _, inputs):
            heard.append(inputs["input_1"].shape)
            return [np.array([outputs])]

    monkeypatch.setattr(perception, "require", lambda metric: None)
    monkeypatch.setattr(perception, "_dnsmos_network", Network)
    found = dnsmos(estimate=SPEECH, rate_hz=RATE_HZ)
    expected = [a * x * x + b * x + c for (a, b, c), x in zip(DNSMOS_OPINIONS, outputs, strict=True)]
    assert found == pytest.approx(expected)
    assert heard
    assert set(heard) == {(1, 144_160)}


def test_opinions_of_nothing_are_refused(monkeypatch):
    monkeypatch.setattr(perception, "require", lambda metric: None)
    for samples in (np.zeros(0), np.array([np.nan])):
        with pytest.raises(BadInput, match="all of them finite"):
            dnsmos(estimate=samples, rate_hz=RATE_HZ)


@pytest.mark.skipif(not installed("pesq"), reason="needs the extra: pip install '.[pesq]'")
def test_pesq_falls_with_noise_and_refuses_what_has_no_speech():
    clean, noisy, noisier = (
        pesq(estimate=heard, reference=SPEECH, rate_hz=RATE_HZ) for heard in (SPEECH, mixed(10), mixed(-5))
    )
    assert 4.6 < clean < 4.7
    assert clean > noisy > noisier >= 1.0
    for heard, says in ((SPEECH * 0.0, "silent estimate"), (SPEECH[:3_000], r"at least 0\.25 s")):
        with pytest.raises(BadInput, match=says):
            pesq(estimate=heard, reference=SPEECH[: heard.size], rate_hz=RATE_HZ)
