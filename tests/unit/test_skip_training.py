"""Training networks that skip frames."""

import numpy as np
import pytest
import test_fit
from test_fit import NETWORK, SCALE, SYNTHESIS, batch_at, start

from npuexplore.compression.plan import CompressionPlan
from npuexplore.errors import BadInput
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network, write_network
from npuexplore.train.apply import mask_of
from npuexplore.train.fit import FitRecipe, fit
from npuexplore.train.model import forward
from npuexplore.train.params import GATE_BIAS, GATE_WEIGHTS
from npuexplore.train.primitives.skip import Updates
from npuexplore.train.pruning import last_choice
from npuexplore.train.skipping import RATE_SLACK_FRAC
from npuexplore.workload.network import Network

SKIPPING = CompressionPlan(layers=test_fit.PLAN.layers, skip_rate_frac=0.4)


def run(steps, *, plan=SKIPPING, network=NETWORK, params=None, threads=1, **options):
    recipe = FitRecipe(steps=steps, warmup_steps=3, peak_rate=0.02, checkpoint_steps=4, blas_threads=threads)
    given = start() if params is None else params
    return fit(
        network, given, batch_at, recipe, synthesis=SYNTHESIS, feature_scale=SCALE, plan=plan, **options
    )


@pytest.fixture(scope="module")
def skipping():
    return run(300)


def test_the_rate_is_steered_to_the_plans(skipping):
    assert skipping.skip_rate_frac == pytest.approx(0.4, abs=0.03)
    assert skipping.losses[-20:].mean() < skipping.losses[:5].mean() - 0.3


def test_the_trained_network_skips_as_often_when_it_is_used(skipping):
    updates = Updates()
    features = np.concatenate([batch_at(step).features for step in range(400, 410)], axis=1)
    mask = forward(skipping.params, features / SCALE, NETWORK, updates=updates)
    assert 1.0 - updates.taken.mean() == pytest.approx(0.4, abs=0.08)
    assert (updates.taken[0] == 1.0).all()
    held = updates.taken[1:] == 0.0
    assert np.array_equal(mask[1:][held], mask[:-1][held])
    assert not np.array_equal(mask[1:][~held], mask[:-1][~held])


def test_a_checkpoint_of_a_network_that_skips_is_read_back(skipping, tmp_path):
    path = tmp_path / "skipping.npz"
    write_network(path, TrainedNetwork(NETWORK, skipping.params, SCALE, SKIPPING, {}))
    again = read_network(path)
    features = batch_at(0).features
    assert np.array_equal(
        mask_of(again.params, features, NETWORK), mask_of(skipping.params, features, NETWORK)
    )


def test_a_stopped_run_goes_on_bit_by_bit_the_same():
    states = []
    whole = run(10, on_checkpoint=states.append)
    resumed = run(10, state=states[0])
    assert states[0].step == 4
    assert np.array_equal(whole.losses, resumed.losses)
    assert whole.skip_rate_frac == resumed.skip_rate_frac
    for layer, entry in whole.params.items():
        for name, array in entry.items():
            assert np.array_equal(array, resumed.params[layer][name]), (layer, name)


def test_retraining_under_a_plan_that_does_not_skip_drops_the_gate(skipping):
    plain = run(2, plan=test_fit.PLAN, params=skipping.params)
    assert GATE_WEIGHTS in skipping.params["lstm"]
    assert not {GATE_WEIGHTS, GATE_BIAS} & set(plain.params["lstm"])
    assert plain.skip_rate_frac == 0.0


def test_a_network_without_a_state_cannot_skip():
    layers = [
        layer for layer in NETWORK.model_dump(mode="json", by_alias=True)["layers"] if layer["name"] == "mask"
    ]
    network = Network.model_validate(NETWORK.model_dump(mode="json", by_alias=True) | {"layers": layers})
    params = {"mask": {"w": np.zeros((6, 6), np.float32), "bias": np.zeros(6, np.float32)}}
    with pytest.raises(BadInput, match=r"skip_rate_frac: got 0\.4; network tiny has no lstm or gru"):
        run(2, plan=CompressionPlan(skip_rate_frac=0.4), network=network, params=params)


def test_a_network_that_skips_too_little_is_not_compared():
    states, tried = [], []

    def ever_worse(params):
        tried.append(params)
        return -5.0 + 0.01 * len(tried)

    recipe = FitRecipe(steps=120, warmup_steps=3, peak_rate=0.02, checkpoint_steps=1, validation_steps=1)
    result = fit(
        NETWORK, start(), batch_at, recipe, synthesis=SYNTHESIS, feature_scale=SCALE, plan=SKIPPING,
        validate=ever_worse, on_checkpoint=states.append,
    )  # fmt: skip
    reached = {state.step for state in states if state.arrays["skip/rate_frac"] >= 0.4 - RATE_SLACK_FRAC}
    settled = set(range(last_choice(120) + 1, 121))
    compared = {int(step) for step, _ in states[-1].arrays["validation"]}
    assert compared == reached & settled
    assert settled - reached
    assert result.best_step == min(compared)


def test_a_run_that_never_skips_enough_hands_out_its_last_network():
    recipe = FitRecipe(steps=6, warmup_steps=1, peak_rate=0.02, validation_steps=1)
    result = fit(
        NETWORK, start(), batch_at, recipe, synthesis=SYNTHESIS, feature_scale=SCALE, plan=SKIPPING,
        validate=lambda params: pytest.fail("was compared"),
    )  # fmt: skip
    assert (result.best_step, result.validation_db) == (6, None)
