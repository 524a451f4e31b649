"""Methods of retraining: what each does to masks, best networks by validation, going on after a kill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_fit import BANDS, NETWORK, PLAN, SCALE, SYNTHESIS, Killed, batch_at, same, start
from test_fit import run as fitted

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.compression.sparsity import layer_masks
from npuexplore.errors import BadInput
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint
from npuexplore.train.apply import mask_of, one_shot
from npuexplore.train.best import Diverged
from npuexplore.train.distillation import Teacher, taught_loss, teachers_target
from npuexplore.train.fit import FitRecipe, FitState, RetrainRecipe, fit
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.recipe import Distillation

METHODS = {
    "learned": {"method": "learned", "budget": "layer"},
    "network budget": {"method": "learned", "budget": "network"},
    "gradual": {"method": "gradual"},
    "frozen": {"method": "frozen"},
    "taught": {"method": "learned", "distillation": {"share_frac": 0.3}},
}


def recipe_of(steps=14, **changes):
    shared = {"steps": steps, "warmup_steps": 3, "peak_rate": 0.01, "checkpoint_steps": 4}
    return RetrainRecipe.model_validate({**shared, "validation_steps": 2, **changes})


def unheard_db(params, plan=PLAN):
    batch = batch_at(1000)
    powers = {name: getattr(batch, name) for name in ("noisy_power", "cross", "clean_power")}
    mask = mask_of(params, batch.features / SCALE, NETWORK, plan)
    return float(head_loss(mask, synthesis=SYNTHESIS, **powers))


def retrain(recipe, *, plan=PLAN, batches=batch_at, **options):
    given = {"synthesis": SYNTHESIS, "feature_scale": SCALE, "validate": unheard_db}
    return fit(NETWORK, fitted(10).params, batches, recipe, plan=plan, **{**given, **options})


@pytest.mark.parametrize("skip_rate_frac", [0.0, 0.3])
@pytest.mark.parametrize("method", METHODS)
def test_a_killed_retraining_ends_in_the_same_bytes(method, skip_rate_frac, tmp_path):
    recipe, saved, whole = recipe_of(**METHODS[method]), tmp_path / "state.npz", {}
    plan = PLAN.model_copy(update={"skip_rate_frac": skip_rate_frac})

    def keep(state):
        save_checkpoint(saved, state.arrays, {"step": state.step})
        whole[state.step] = saved.read_bytes()

    undisturbed = retrain(recipe, plan=plan, on_checkpoint=keep)
    for killed_after in (5, 9, 13):
        saved.unlink()

        def kill(step, _, killed_after=killed_after):
            if step == killed_after:
                raise Killed

        with pytest.raises(Killed):
            retrain(recipe, plan=plan, on_checkpoint=keep, on_step=kill)
        arrays, manifest = load_checkpoint(saved)
        ends = dict(whole)
        resumed = retrain(recipe, plan=plan, state=FitState(manifest["step"], arrays), on_checkpoint=keep)
        assert same(resumed.params, undisturbed.params)
        assert (resumed.best_step, resumed.validation_db) == (
            undisturbed.best_step,
            undisturbed.validation_db,
        )
        assert whole == ends


def test_frozen_masks_are_those_of_the_start_at_every_step():
    states = []
    retrain(recipe_of(method="frozen"), on_checkpoint=states.append)
    expected = layer_masks(fitted(10).params, PLAN, NETWORK)
    for state in states:
        for layer, entry in expected.items():
            for name, mask in entry.items():
                assert np.array_equal(state.arrays[f"masks/{layer}/{name}"] != 0, mask)


def test_a_pruned_network_learns_on_under_its_own_masks():
    pruned = one_shot(fitted(10).params, PLAN, NETWORK)
    tuned = fit(
        NETWORK,
        pruned,
        batch_at,
        recipe_of(method="frozen"),
        synthesis=SYNTHESIS,
        feature_scale=SCALE,
        plan=PLAN,
    ).params
    assert not np.array_equal(tuned["fc"]["w"], pruned["fc"]["w"])
    for layer, entry in layer_masks(fitted(10).params, PLAN, NETWORK).items():
        for name, mask in entry.items():
            assert not tuned[layer][name][~mask].any()


def test_thresholds_that_learn_lose_less_than_masks_chosen_at_once():
    plan = CompressionPlan(
        layers={name: LayerPlan(structure="weight", sparsity_frac=0.8) for name in ("lstm", "gru", "fc")}
    )
    learned, frozen = (
        unheard_db(retrain(recipe_of(100, method=method), plan=plan).params, plan)
        for method in ("learned", "frozen")
    )
    assert learned < frozen - 0.1


def test_the_network_of_the_best_validation_comes_back():
    losses = iter([-3.0, -5.0, -4.0])
    tried = []

    def validate(params):
        tried.append(params)
        return next(losses)

    result = retrain(recipe_of(), validate=validate)
    assert (result.best_step, result.validation_db) == (12, -5.0)
    assert same(result.params, tried[1])


def test_networks_are_not_compared_while_their_masks_still_move():
    states = []
    retrain(recipe_of(), on_checkpoint=states.append)
    assert states[-1].arrays["validation"][:, 0].tolist() == [10, 12, 14]


def test_training_stops_when_nothing_better_is_found_for_long_enough(tmp_path):
    losses = {2: -4.0, 4: -6.0, 6: -5.0, 8: -5.5}
    recipe = FitRecipe(steps=40, validation_steps=2, patience=2, checkpoint_steps=3)
    step, states = [0], []

    def count(done, _):
        step[0] = done

    result = fit(
        NETWORK,
        start(),
        batch_at,
        recipe,
        synthesis=SYNTHESIS,
        feature_scale=SCALE,
        validate=lambda _: losses[step[0] + 1],
        on_step=count,
        on_checkpoint=states.append,
    )
    assert (len(result.losses), result.best_step) == (8, 4)
    assert states[-1].step == 8
    again = fit(
        NETWORK,
        start(),
        batch_at,
        recipe,
        synthesis=SYNTHESIS,
        feature_scale=SCALE,
        state=states[-1],
        validate=lambda _: pytest.fail("trained on"),
    )
    assert same(again.params, result.params)


def broken_after(step):
    def batches(index):
        batch = batch_at(index)
        return batch if index < step else replace(batch, noisy_power=batch.noisy_power * np.float32(np.nan))

    return batches


def test_a_run_whose_loss_is_no_number_stops_with_its_best_network():
    with pytest.raises(
        Diverged, match=r"step 12: loss nan .* must be finite; look for silent or broken"
    ) as caught:
        retrain(recipe_of(), batches=broken_after(12))
    assert caught.value.best is not None
    assert caught.value.best.step in (10, 12)
    assert np.isfinite(unheard_db(caught.value.best.params))


def test_a_run_that_becomes_no_better_than_silence_stops_and_says_so():
    losses = iter([-5.0, 0.5])
    with pytest.raises(Diverged, match=r"0\.50 dB is no better than silence, after -5\.00 dB at step 10"):
        retrain(recipe_of(), validate=lambda _: next(losses))


@pytest.mark.parametrize("target", ["spectra", "masks"])
def test_a_network_that_does_what_its_teacher_does_is_at_the_floor(target):
    params, batch = start(), batch_at(3)
    features = batch.features / SCALE
    teacher = Teacher(params, Distillation(target=target, share_frac=1.0))
    aim = teachers_target(teacher, features, NETWORK, synthesis=SYNTHESIS, noisy_power=batch.noisy_power)
    same_mask = mask_of(params, features, NETWORK)
    other = np.ones((*features.shape[:2], BANDS), np.float32)
    assert float(taught_loss(np.float32(9.0), same_mask, teacher, aim)) == pytest.approx(-30.0, abs=1e-3)
    assert float(taught_loss(np.float32(9.0), other, teacher, aim)) > -10.0


def test_a_teacher_brings_the_network_nearer_to_what_it_does():
    batch, before = batch_at(1000), mask_of(fitted(10).params, batch_at(1000).features / SCALE, NETWORK)

    def distance(**changes):
        after = mask_of(retrain(recipe_of(60, **changes)).params, batch.features / SCALE, NETWORK, PLAN)
        return float(np.square(after - before).mean())

    assert distance(distillation={"target": "masks", "share_frac": 0.9}) < 0.8 * distance()


def plan_of(**layers):
    return CompressionPlan(layers={name: LayerPlan(**choice) for name, choice in layers.items()})


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (
            plan_of(lstm={"structure": "block", "block": (16, 16), "sparsity_frac": 0.5}),
            "layers.lstm: a block of 16 x 16 covers all of w_ih, which has 8 x 6 weights in each gate: no "
            "sparsity_frac of 0.5 can be reached; choose smaller blocks, or weight or unit",
        ),
        (
            plan_of(fc={"structure": "unit", "sparsity_frac": 0.99}),
            "layers.fc: sparsity_frac: got 0.99 of 7 units, which leaves none; at most 0.857 can be reached",
        ),
    ],
)
def test_a_target_that_a_structure_cannot_reach_is_refused_before_training(plan, sentence):
    with pytest.raises(BadInput) as caught:
        retrain(recipe_of(), plan=plan, batches=lambda _: pytest.fail("trained"))
    assert str(caught.value) == sentence
