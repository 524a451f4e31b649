import threading

import numpy as np
import pytest

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.compression.quantize import integer_weights, recurrent_grid, snap
from npuexplore.compression.sparsity import layer_masks
from npuexplore.errors import BadInput, NpuexploreError
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint
from npuexplore.train.apply import mask_of, one_shot
from npuexplore.train.fit import FitRecipe, FitState, fit
from npuexplore.train.model import Treatment, forward, init_params
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.pruning import pruning_ramp
from npuexplore.workload.network import Network

BANDS, BINS = 6, 9
NETWORK = Network.model_validate(
    {
        "schema": "npuexplore.network/1",
        "name": "tiny",
        "frame_clock": {"window_samples": 16, "hop_samples": 8},
        "bands": BANDS,
        "layers": [
            {"kind": "lstm", "name": "lstm", "hidden_units": 8},
            {"kind": "gru", "name": "gru", "hidden_units": 8},
            {"kind": "dense", "name": "fc", "output_features": 7, "activation": "relu"},
            {"kind": "dense", "name": "mask", "output_features": BANDS, "activation": "sigmoid"},
        ],
    }
)
SYNTHESIS = np.repeat(np.eye(BANDS, dtype=np.float32), 2, axis=1)[:, :BINS]
SCALE = np.full(BANDS, 0.7, np.float32)
PLAN = CompressionPlan(
    layers={
        "lstm": LayerPlan(structure="block", block=(2, 3), sparsity_frac=0.5, weight_bits=4),
        "gru": LayerPlan(structure="unit", sparsity_frac=0.25, activation_bits=16),
        "fc": LayerPlan(structure="weight", sparsity_frac=0.6),
    }
)


def batch_at(step):
    """Speech that comes and goes band by band, in noise that stays."""
    rng = np.random.default_rng([7, step])
    bands = rng.exponential(size=(12, 4, BANDS)) * (rng.random((12, 4, BANDS)) > 0.5)
    clean = 4.0 * bands @ SYNTHESIS
    noisy = clean + rng.exponential(size=(12, 4, BINS))
    features = np.log10(noisy @ SYNTHESIS.T + 1e-3)
    return SpectralBatch(*(array.astype(np.float32) for array in (features, noisy, clean, clean)))


def start():
    return init_params(NETWORK, rng=np.random.default_rng(0))


def run(steps, params=None, **options):
    recipe = FitRecipe(steps=steps, warmup_steps=3, peak_rate=0.02, checkpoint_steps=4)
    options = {"synthesis": SYNTHESIS, "feature_scale": SCALE} | options
    return fit(NETWORK, params or start(), batch_at, recipe, **options)


def same(left, right):
    return all(
        np.array_equal(left[layer][name], array)
        for layer, entry in right.items()
        for name, array in entry.items()
    )


class Killed(Exception):
    pass


def test_training_lowers_the_loss():
    losses = run(80).losses
    assert losses.dtype == np.float32
    assert losses[-5:].mean() < losses[:5].mean() - 1.0


def test_the_given_parameters_are_left_alone():
    params = start()
    run(3, params)
    assert same(params, start())


@pytest.mark.parametrize("plan", [None, PLAN])
@pytest.mark.parametrize("killed_after", [1, 4, 6, 11, 13])
def test_a_killed_run_continues_bit_by_bit(plan, killed_after, tmp_path):
    whole = run(14, plan=plan)
    path = tmp_path / "state.npz"

    def keep(state):
        save_checkpoint(path, state.arrays, {"step": state.step})

    def kill(step, _):
        if step == killed_after:
            raise Killed

    with pytest.raises(Killed):
        run(14, plan=plan, on_checkpoint=keep, on_step=kill)
    state = None
    if path.exists():
        arrays, manifest = load_checkpoint(path)
        state = FitState(manifest["step"], arrays)
        assert state.step == (killed_after - 1) // 4 * 4
    resumed = run(14, plan=plan, state=state)
    assert same(resumed.params, whole.params)
    assert np.array_equal(resumed.losses, whole.losses)
    if plan is not None:
        assert same(resumed.masks, whole.masks)


def test_the_order_in_which_arrays_are_given_changes_nothing():
    states = []
    whole = run(6, on_checkpoint=states.append)
    backwards = {layer: dict(reversed(entry.items())) for layer, entry in reversed(start().items())}
    shuffled = FitState(4, dict(sorted(states[0].arrays.items())))
    for again in (run(6, backwards), run(6, state=shuffled)):
        assert list(again.params) == list(whole.params)
        assert [*map(list, again.params.values())] == [*map(list, whole.params.values())]
        assert same(again.params, whole.params)


def test_a_finished_state_gives_the_result_without_another_step():
    states = []
    whole = run(6, plan=PLAN, on_checkpoint=states.append)
    assert [state.step for state in states] == [4, 6]
    again = run(6, plan=PLAN, state=states[-1], on_step=lambda *_: pytest.fail("a step was repeated"))
    assert same(again.params, whole.params)


def test_a_state_of_another_network_is_refused():
    states = []
    run(4, on_checkpoint=states.append)
    wider = {layer: dict(entry) for layer, entry in start().items()}
    wider["lstm"]["w_hh"] = np.zeros((32, 9), np.float32)
    with pytest.raises(BadInput, match=r"training state: params/lstm/w_hh"):
        run(4, wider, state=states[-1])
    del states[-1].arrays["adam_v/fc/w"]
    with pytest.raises(BadInput, match=r"adam_v/fc/w: got nothing"):
        run(4, state=states[-1])


def test_batches_are_asked_for_once_each_in_order_and_one_ahead():
    asked, threads = [], set()

    def watched(step):
        asked.append(step)
        threads.add(threading.current_thread())
        return batch_at(step)

    recipe = FitRecipe(steps=5)
    fit(NETWORK, start(), watched, recipe, synthesis=SYNTHESIS, feature_scale=SCALE)
    assert asked == [0, 1, 2, 3, 4]
    assert threading.main_thread() not in threads
    assert not any(thread.is_alive() for thread in threads)


def test_a_failing_batch_stops_the_run_with_its_own_error():
    def broken(step):
        if step == 2:
            raise BadInput("speech.wav: is empty")
        return batch_at(step)

    with pytest.raises(BadInput, match=r"speech\.wav"):
        fit(NETWORK, start(), broken, FitRecipe(steps=5), synthesis=SYNTHESIS, feature_scale=SCALE)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run(value):
    def broken(step):
        batch = batch_at(step)
        if step == 3:
            batch.clean_power[0, 0, 0] = value
        return batch

    with pytest.raises(NpuexploreError, match="step 3"):
        fit(NETWORK, start(), broken, FitRecipe(steps=5), synthesis=SYNTHESIS, feature_scale=SCALE)


def test_silent_utterances_do_no_harm():
    def silent(step):
        batch = batch_at(step)
        for array in (batch.clean_power, batch.cross, batch.noisy_power):
            array[:, 0] = 0.0
        batch.clean_power[:, 1] = batch.cross[:, 1] = 0.0
        return batch

    result = fit(NETWORK, start(), silent, FitRecipe(steps=3), synthesis=SYNTHESIS, feature_scale=SCALE)
    assert np.isfinite(result.losses).all()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_feature_scale_that_cannot_divide_is_refused(value):
    with pytest.raises(BadInput, match="feature_scale"):
        run(2, feature_scale=np.full(BANDS, value, np.float32))


def test_a_retrained_network_has_exactly_the_planned_zeros():
    masks = run(20, plan=PLAN).masks
    assert (~masks["gru"]["bias"]).sum() == 3 * 2
    columns = masks["gru"]["bias"][:8]
    assert not masks["fc"]["w"][:, ~columns].any()
    assert (~masks["fc"]["w"][:, columns]).sum() == round(0.6 * 7 * 6)
    zeros = sum((~masks["lstm"][name]).sum() for name in ("w_ih", "w_hh"))
    assert abs(zeros - 0.5 * 32 * (6 + 8)) <= 6


def test_retrained_parameters_obey_their_masks_and_lie_on_the_integer_grid():
    result = run(20, plan=PLAN)
    for layer, masks in result.masks.items():
        for name, mask in masks.items():
            assert not result.params[layer][name][~mask].any()
    for layer, entry in integer_weights(result.params, PLAN, NETWORK).items():
        for name, (codes, steps) in entry.items():
            limit = 2 ** (PLAN.of(layer).weight_bits - 1) - 1
            assert np.abs(codes).max() == limit
            stored = codes.reshape(steps.size, -1) * steps[:, None]
            np.testing.assert_allclose(stored.reshape(codes.shape), result.params[layer][name], rtol=1e-6)


def test_retraining_regains_what_one_shot_compression_lost():
    baseline = run(80)
    before = one_shot(baseline.params, PLAN, NETWORK)
    after = fit(
        NETWORK,
        baseline.params,
        batch_at,
        FitRecipe(steps=80, peak_rate=0.01),
        synthesis=SYNTHESIS,
        feature_scale=SCALE,
        plan=PLAN,
    )
    unheard = batch_at(1000)

    def error_db(params):
        powers = {name: getattr(unheard, name) for name in ("noisy_power", "cross", "clean_power")}
        mask = mask_of(params, unheard.features / SCALE, NETWORK, PLAN)
        return float(head_loss(mask, synthesis=SYNTHESIS, **powers))

    assert error_db(after.params) < error_db(before) - 0.3


def states_of(**options):
    states = {}

    def watch(state):
        states[state.step] = state.arrays

    recipe = FitRecipe(steps=20, checkpoint_steps=1)
    given = {"synthesis": SYNTHESIS, "feature_scale": SCALE, "on_checkpoint": watch}
    fit(NETWORK, start(), batch_at, recipe, **given, **options)
    return states


def test_masks_stay_frozen_for_the_last_two_fifths():
    states = states_of(plan=PLAN)
    names = [name for name in states[1] if name.startswith("masks/")]
    kept = [sum(states[step][name].sum() for name in names if "/w" in name) for step in range(1, 21)]
    assert kept[0] > kept[5] > kept[11]
    for step in range(12, 21):
        assert all(
            np.array_equal(states[step][name], states[12][name]) for name in states[12] if name in names
        )


def test_under_a_frozen_mask_pruned_weights_get_no_gradient():
    states = states_of(plan=PLAN)
    pruned = states[14]["masks/fc/w"] == 0
    before, after = (states[step]["adam_m/fc/w"] for step in (14, 15))
    np.testing.assert_allclose(after[pruned], 0.9 * before[pruned], rtol=1e-6)
    assert not np.allclose(after[~pruned], 0.9 * before[~pruned], rtol=1e-3)


def test_ranges_follow_the_batches_until_the_masks_are_frozen():
    states = states_of(plan=PLAN)
    ranges = [float(states[step]["params/fc/range"]) for step in range(1, 21)]
    assert len(set(ranges[:11])) == 11
    assert len(set(ranges[11:])) == 1


def test_the_pruning_ramp_rises_to_one_and_stays_there():
    for steps in (1, 2, 7, 100):
        ramp = [pruning_ramp(step, steps) for step in range(steps)]
        assert ramp == sorted(ramp)
        assert ramp[-max(1, int(0.4 * steps)) :] == [1.0] * max(1, int(0.4 * steps))


def test_one_shot_obeys_the_masks_and_the_grid():
    params = start()
    squeezed = one_shot(params, PLAN, NETWORK)
    masks = layer_masks(params, PLAN, NETWORK)
    for layer, entry in integer_weights(params, CompressionPlan(), NETWORK).items():
        for name in entry:
            assert not squeezed[layer][name][~masks[layer][name]].any()
    codes, steps = integer_weights(squeezed, PLAN, NETWORK)["lstm"]["w_ih"]
    np.testing.assert_allclose(codes * np.repeat(steps, 8)[:, None], squeezed["lstm"]["w_ih"], rtol=1e-6)


def test_activations_of_a_planned_forward_pass_lie_on_their_grids():
    plan = CompressionPlan()
    features = batch_at(0).features / SCALE
    mask = mask_of(start(), features, NETWORK, plan)
    assert np.array_equal(mask * 256, np.rint(mask * 256))
    assert mask.max() <= 255 / 256


def test_treating_in_the_loop_equals_compressing_first():
    params, features = start(), batch_at(0).features / SCALE
    masks = layer_masks(params, PLAN, NETWORK)
    in_loop = forward(params, features, NETWORK, Treatment(PLAN, masks))
    first = mask_of(one_shot(params, PLAN, NETWORK), features, NETWORK, PLAN)
    assert np.array_equal(in_loop, first)


def test_a_relu_layer_is_rounded_on_its_observed_range():
    params, features = start(), batch_at(0).features / SCALE
    params["fc"]["range"] = np.array(0.05, np.float32)
    narrow = mask_of(params, features, NETWORK, CompressionPlan())
    params["fc"]["range"] = np.array(50.0, np.float32)
    wide = mask_of(params, features, NETWORK, CompressionPlan())
    assert not np.array_equal(narrow, wide)


def test_the_observed_range_follows_the_relu_layer_and_is_not_trained():
    result = run(10)
    assert result.params["fc"]["range"].shape == ()
    assert result.params["fc"]["range"] > 0
    assert "range" not in result.params["mask"]


def test_snapping_clips_at_both_ends_and_rounds_halves_to_even():
    grid = recurrent_grid(8).hidden
    values = np.array([-2.0, 2.0, 0.5 / 128, 1.5 / 128, -0.5 / 128], np.float32)
    snap(values, grid)
    assert (values * 128).tolist() == [-128.0, 127.0, 0.0, 2.0, 0.0]
