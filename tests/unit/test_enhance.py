import numpy as np
import pytest

from npuexplore.audio.metrics import sdr_db, si_sdr_db
from npuexplore.audio.sources import Pair
from npuexplore.audio.stft import front_end, istft, log_features, stft
from npuexplore.errors import BadInput
from npuexplore.train import enhance as enhance_module
from npuexplore.train.apply import mask_of
from npuexplore.train.enhance import enhance
from npuexplore.train.evaluate import evaluate, score
from npuexplore.train.model import init_params
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(
    {
        "schema": "npuexplore.network/1",
        "name": "tiny",
        "frame_clock": {"window_samples": 64, "hop_samples": 32},
        "bands": 8,
        "layers": [
            {"kind": "lstm", "name": "lstm", "hidden_units": 6},
            {"kind": "dense", "name": "mask", "output_features": 8, "activation": "sigmoid"},
        ],
    }
)
FRONT_END = front_end(NETWORK)
PARAMS = init_params(NETWORK, rng=np.random.default_rng(0))
SCALE = np.linspace(0.5, 1.5, 8, dtype=np.float32)


def noise(samples, seed=0):
    return np.random.default_rng([seed, samples]).standard_normal(samples).astype(np.float32)


def alone(signal):
    spectra = stft(signal[None], FRONT_END)
    features = log_features(np.abs(spectra) ** 2, FRONT_END) / SCALE
    mask = mask_of(PARAMS, features, NETWORK) @ FRONT_END.synthesis
    return istft(spectra * mask, FRONT_END, samples=signal.size)[0]


def test_signals_of_any_length_come_back_in_their_order_as_if_enhanced_alone(monkeypatch):
    monkeypatch.setattr(enhance_module, "BATCH_SIGNALS", 3)
    signals = [noise(samples) for samples in (100, 1, 777, 32, 500, 64, 501, 1000)]
    for signal, enhanced in zip(
        signals, enhance(PARAMS, signals, FRONT_END, NETWORK, feature_scale=SCALE), strict=True
    ):
        assert enhanced.shape == signal.shape
        assert enhanced.dtype == np.float32
        np.testing.assert_allclose(enhanced, alone(signal), atol=1e-5)


def test_long_signals_are_run_in_several_batches(monkeypatch):
    monkeypatch.setattr(enhance_module, "BATCH_FRAMES", 10)
    signals = [noise(samples) for samples in (400, 90, 80, 70)]
    batches = list(enhance_module._batches([signal.size for signal in signals], 32))
    assert batches == [[0], [1, 2, 3]]


def test_no_signal_gives_no_signal():
    assert enhance(PARAMS, [], FRONT_END, NETWORK, feature_scale=SCALE) == []


def test_scores_are_those_of_the_metrics_and_their_means():
    pairs = [Pair(f"u{seed}", noise(900, seed), noise(900, seed) + noise(900, seed + 9)) for seed in range(2)]
    quality = evaluate(PARAMS, pairs, FRONT_END, NETWORK, feature_scale=SCALE)
    outputs = enhance(PARAMS, [pair.noisy for pair in pairs], FRONT_END, NETWORK, feature_scale=SCALE)
    assert [file.name for file in quality.files] == ["u0", "u1"]
    first = quality.files[0].scores
    assert first["sdr_in_db"] == sdr_db(estimate=pairs[0].noisy, reference=pairs[0].clean)
    assert first["si_sdr_out_db"] == si_sdr_db(estimate=outputs[0], reference=pairs[0].clean)
    assert first["sdr_improvement_db"] == first["sdr_out_db"] - first["sdr_in_db"]
    for name in first:
        assert quality.mean[name] == pytest.approx(np.mean([file.scores[name] for file in quality.files]))


def test_only_the_metrics_asked_for_are_computed():
    pair = Pair("u", noise(900), noise(900) + noise(900, 1))
    assert set(score([pair], [pair.noisy], rate_hz=16_000, metrics=["si_sdr"]).mean) == {
        "si_sdr_in_db",
        "si_sdr_out_db",
        "si_sdr_improvement_db",
    }


def test_a_silent_reference_is_named():
    pair = Pair("quiet.wav", np.zeros(900, np.float32), noise(900))
    with pytest.raises(BadInput, match=r"quiet\.wav"):
        score([pair], [pair.noisy], rate_hz=16_000)


def test_no_pairs_is_bad_input():
    with pytest.raises(BadInput, match="no pairs"):
        evaluate(PARAMS, [], FRONT_END, NETWORK, feature_scale=SCALE)


def test_a_signal_shorter_than_its_pair_is_scored_on_the_samples_it_has():
    pair = Pair("u", noise(900), noise(900) + noise(900, 1))
    scores = score([pair], [pair.noisy[:700]], rate_hz=16_000).mean
    assert scores["si_sdr_in_db"] == si_sdr_db(estimate=pair.noisy, reference=pair.clean)
    assert scores["si_sdr_out_db"] == si_sdr_db(estimate=pair.noisy[:700], reference=pair.clean[:700])


def test_scores_without_a_unit_have_none_in_their_names():
    pair = Pair("u", noise(16_000), noise(16_000) + noise(16_000, 1))
    seen = []
    quality = score(
        [pair, pair],
        [pair.noisy] * 2,
        rate_hz=16_000,
        metrics=["stoi"],
        on_progress=lambda *at: seen.append(at),
    )
    assert set(quality.mean) == {"stoi_in", "stoi_out", "stoi_improvement"}
    assert seen == [(1, 2), (2, 2)]
