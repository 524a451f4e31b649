"""States held in an evenly spread share of the frames: against loops frame by frame, and what it costs."""

import naive_cells
import numpy as np
import pytest
import test_quality
import tiny_study
from hypothesis import given
from hypothesis import strategies as st
from test_quality import NETWORK, SPEC, calibration, invented_rows, untrained  # noqa: F401

from npuexplore.audio.stft import front_end, stft
from npuexplore.compression.plan import CompressionPlan, batch_plans
from npuexplore.errors import BadInput
from npuexplore.pipeline.quality import (
    held_quality_db,
    measure_sensitivity,
    sensitivity_model,
    spectral_quality_db,
)
from npuexplore.search.space import space_for
from npuexplore.train.apply import held_mask_of, skipped_frames
from npuexplore.train.model import init_params
from npuexplore.train.params import GATE_BIAS, GATE_WEIGHTS
from npuexplore.train.skipped import skipped_frac
from npuexplore.train.skipping import evenly_updated
from npuexplore.workload.network import Network

RATES = (0.3, 0.5)
SPACE = space_for(SPEC.model_copy(update={"skip_rate_frac": (0.0, *RATES)}), NETWORK, [])


class Given:
    """Updates that are given, in the words of the naive cells."""

    def __init__(self, updated):
        self.updated = updated

    def update(self, frame):
        return float(self.updated[frame])

    def after(self, hidden):
        """Nothing is decided."""


def network_of(kind):
    document = tiny_study.NETWORK
    layers = [{**each, "kind": kind} if each["kind"] == "lstm" else each for each in document["layers"]]
    return Network.model_validate({**document, "layers": layers})


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.8])
def test_held_states_are_those_of_the_naive_loop(kind, rate):
    network, rng = network_of(kind), np.random.default_rng(5)
    params = init_params(network, rng=rng)
    features = rng.standard_normal((29, 3, network.bands)).astype(np.float32)
    updated = evenly_updated(29, rate)
    values, cell = features.astype(np.float64), getattr(naive_cells, kind)
    for name in ("lstm_1", "lstm_2"):
        values = cell(values, *params[name].values(), skip=Given(updated))
    values = np.maximum(values @ params["fc_1"]["w"].T + params["fc_1"]["bias"], 0.0)
    expected = naive_cells.sigmoid(values @ params["fc_2"]["w"].T + params["fc_2"]["bias"])
    held = held_mask_of(params, features, network, updated=updated)
    np.testing.assert_allclose(held, expected, atol=1e-5)
    assert np.array_equal(held[1:][~updated[1:]], held[:-1][~updated[1:]])


@given(st.integers(1, 400), st.integers(0, 9_999).map(lambda share: share / 10_000))
def test_held_frames_are_as_many_as_asked_and_evenly_spread(frames, rate):
    updated = evenly_updated(frames, rate)
    assert updated[0]
    counts = np.cumsum(~updated)
    assert (np.abs(counts - rate * np.arange(1, frames + 1)) < 1.0 + 1e-9).all()
    gaps = np.diff(np.flatnonzero(updated))
    assert gaps.size == 0 or np.ptp(gaps) <= 1


def test_holding_nothing_costs_nothing(calibration):  # noqa: F811
    trained = untrained()
    held_db = held_quality_db(trained, *calibration, skip_rate_frac=0.0)
    assert held_db == spectral_quality_db(trained, *calibration)


def test_every_rate_of_the_space_is_measured_once_and_only_rates(calibration):  # noqa: F811
    seen = []
    rows = measure_sensitivity(untrained(), SPACE, *calibration, on_progress=lambda *of: seen.append(of))
    skips = [row for row in rows if "layer" not in row]
    assert [row["skip_rate_frac"] for row in skips] == list(RATES)
    assert seen == [(done, len(rows)) for done in range(1, len(rows) + 1)]
    without = measure_sensitivity(untrained(), test_quality.SPACE, *calibration)
    assert rows[: -len(RATES)] == without
    reference_db = spectral_quality_db(untrained(), *calibration)
    for row in skips:
        held_db = held_quality_db(untrained(), *calibration, skip_rate_frac=row["skip_rate_frac"])
        assert row["one_shot_loss_db"] == pytest.approx(max(reference_db - held_db, 0.0), abs=1e-4)


def test_skipping_is_charged_what_it_loses_and_not_skipping_nothing():
    rows = invented_rows(np.random.default_rng(1))
    skips = [{"skip_rate_frac": rate, "one_shot_loss_db": 2.0 * rate} for rate in RATES]
    model = sensitivity_model([*rows, *skips], NETWORK, recovery_frac=0.25)
    plans = batch_plans([CompressionPlan(skip_rate_frac=rate) for rate in (0.0, *RATES)], NETWORK)
    never, *losses = model.loss_db(plans)
    assert never == sensitivity_model(rows, NETWORK, recovery_frac=0.25).loss_db(plans.take([0]))[0]
    assert np.array(losses) - never == pytest.approx([0.25 * 2.0 * rate for rate in RATES])
    with pytest.raises(BadInput, match="not measured"):
        model.loss_db(batch_plans([CompressionPlan(skip_rate_frac=0.31)], NETWORK))


def test_the_share_of_skipped_frames_is_that_of_the_gate_over_all_signals():
    network, rng = NETWORK, np.random.default_rng(6)
    params, fe = init_params(network, rng=rng), front_end(network)
    params["lstm_1"][GATE_WEIGHTS] = np.zeros(8, np.float32)
    params["lstm_1"][GATE_BIAS] = np.array(-0.5, np.float32)  # sigmoid 0.38: after every update, one skip
    signals = [rng.standard_normal(samples).astype(np.float32) for samples in (4_000, 9_000)]
    frames = [len(stft(signal[None], fe)) for signal in signals]
    share = skipped_frac(params, signals, fe, network, feature_scale=np.ones(16, np.float32))
    assert share == sum(count // 2 for count in frames) / sum(frames)


def test_a_network_without_a_gate_skips_no_frame():
    params = init_params(NETWORK, rng=np.random.default_rng(6))
    features = np.zeros((5, 2, NETWORK.bands), np.float32)
    assert not skipped_frames(params, features, NETWORK).any()
