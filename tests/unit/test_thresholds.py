"""Learned thresholds: their slopes against naive ones, and where they land."""

from __future__ import annotations

import autograd.numpy as anp
import numpy as np
import pytest
from test_fit import NETWORK, SCALE, SYNTHESIS, batch_at, start
from test_fit import run as fitted

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.compression.sparsity import UNITS, layer_masks
from npuexplore.train.fit import RetrainRecipe, fit
from npuexplore.train.group_sets import GroupSet, group_sets, set_names
from npuexplore.train.model import forward
from npuexplore.train.params import flatten, trained, unflatten
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.pruning import last_choice
from npuexplore.train.tape import value_and_gradients
from npuexplore.train.thresholds import (
    TOLERANCE_FRAC,
    WIDTH,
    achieved_plan,
    learned,
    learning_of,
    start_thresholds,
    threshold_masks,
    threshold_slopes,
)

WEIGHT = LayerPlan(structure="weight", sparsity_frac=0.8)
BLOCK = LayerPlan(structure="block", block=(2, 2), sparsity_frac=0.6)
UNIT = LayerPlan(structure="unit", sparsity_frac=0.5)
MIXED = CompressionPlan(
    layers={"lstm": UNIT, "gru": BLOCK, "fc": WEIGHT, "mask": LayerPlan(structure="two_four")}
)
PLANS = {
    "weight": CompressionPlan(layers=dict.fromkeys(("lstm", "gru", "fc", "mask"), WEIGHT)),
    "block": CompressionPlan(layers=dict.fromkeys(("lstm", "gru", "fc", "mask"), BLOCK)),
    "unit": CompressionPlan(layers=dict.fromkeys(("lstm", "gru", "fc"), UNIT)),
    "mixed": MIXED,
}


def draw(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


@pytest.mark.parametrize("elems", [3, np.array([1, 4, 4, 4, 2])])
def test_slopes_of_a_threshold_are_those_of_a_sigmoid_in_place_of_the_step(elems):
    sizes, pull, centre, deviation = np.abs(draw(5)), draw(5, seed=1), 0.7, 0.4

    def kept(theta):
        scaled = (sizes - centre - deviation * theta) / (WIDTH * deviation)
        return 1.0 / (1.0 + anp.exp(-scaled))

    theta = np.float64(0.3)
    _, loss_slope = value_and_gradients(lambda a: anp.sum(kept(a["theta"]) * pull), {"theta": theta})
    _, size_slope = value_and_gradients(lambda a: anp.sum(kept(a["theta"]) * elems), {"theta": theta})
    found = threshold_slopes(GroupSet(sizes, elems, pull), centre + deviation * 0.3, deviation)
    assert found[0] == pytest.approx(float(loss_slope["theta"]), rel=1e-6)
    assert found[1] == pytest.approx(-float(size_slope["theta"]), rel=1e-6)
    above = sizes > centre + deviation * 0.3
    assert found[2:] == pytest.approx((np.sum(above * elems), np.sum(np.ones(5) * elems)))


def loss_of(nested):
    batch = batch_at(0)
    mask = forward(nested, (batch.features / SCALE).astype(np.float64), NETWORK)
    powers = {
        name: getattr(batch, name).astype(np.float64) for name in ("noisy_power", "cross", "clean_power")
    }
    return head_loss(mask, synthesis=SYNTHESIS.astype(np.float64), **powers)


def test_the_pull_of_a_group_is_the_slope_of_the_loss_in_its_presence():
    params = unflatten({name: array.astype(np.float64) for name, array in flatten(start()).items()})
    flat = trained(params)
    _, gradients = value_and_gradients(
        lambda a: loss_of({**unflatten(a), "fc": unflatten(a)["fc"] | {"range": params["fc"]["range"]}}), flat
    )

    def with_presence(a):
        nested = {layer: dict(entry) for layer, entry in params.items()}
        lstm, gru, fc = nested["lstm"], nested["gru"], nested["fc"]
        rows = anp.concatenate([a["units"]] * 4)
        lstm["w_ih"] = lstm["w_ih"] * rows[:, None]
        lstm["w_hh"] = lstm["w_hh"] * rows[:, None] * a["units"][None, :]
        lstm["bias"] = lstm["bias"] * rows
        blocks = anp.repeat(anp.repeat(a["blocks"], 2, axis=0), 2, axis=1)
        gru["w_ih"] = gru["w_ih"] * a["units"][None, :]
        gru["w_hh"] = gru["w_hh"] * blocks
        fc["w"] = fc["w"] * a["weights"]
        return loss_of(nested)

    ones = {"units": np.ones(8), "blocks": np.ones((12, 4)), "weights": np.ones((7, 8))}
    _, expected = value_and_gradients(with_presence, ones)
    plan = CompressionPlan(layers={"lstm": UNIT, "gru": BLOCK, "fc": WEIGHT})
    names = [(name.layer, name.matrix) for name in set_names(plan, NETWORK, params)]
    found = dict(zip(names, group_sets(params, plan, NETWORK, gradients=gradients), strict=True))
    np.testing.assert_allclose(found["lstm", UNITS].pull, expected["units"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["gru", "w_hh"].pull.reshape(12, 4), expected["blocks"], rtol=1e-9)
    np.testing.assert_allclose(found["fc", "w"].pull, expected["weights"], rtol=1e-9)


def retrained(plan, steps=60, **options):
    states = {}
    options = {"method": "learned", **options}
    recipe = RetrainRecipe(steps=steps, warmup_steps=3, peak_rate=0.01, checkpoint_steps=1, **options)
    given = {"synthesis": SYNTHESIS, "feature_scale": SCALE}
    result = fit(
        NETWORK,
        fitted(10).params,
        batch_at,
        recipe,
        plan=plan,
        on_checkpoint=lambda state: states.update({state.step: state.arrays}),
        **given,
    )
    return result, states


def zeros_frac(matrices):
    return 1.0 - sum(int(m.sum()) for m in matrices) / sum(m.size for m in matrices)


@pytest.mark.parametrize("budget", ["layer", "network"])
@pytest.mark.parametrize("structure", PLANS)
def test_learned_thresholds_land_within_one_percent_of_the_target(structure, budget):
    plan = PLANS[structure]
    result, _ = retrained(plan, budget=budget)
    expected = layer_masks(start(), plan, NETWORK)

    def matrices(masks, layers):
        return [m for layer in layers for name, m in masks[layer].items() if name.startswith("w")]

    for layers in [[layer] for layer in expected] if budget == "layer" else [list(expected)]:
        wanted, found = (zeros_frac(matrices(masks, layers)) for masks in (expected, result.masks))
        largest = {"weight": 1, "block": 4, "unit": 60, "mixed": 60}[structure] if budget == "network" else 4
        smallest_step = largest / sum(m.size for m in matrices(expected, layers))
        assert found == pytest.approx(wanted, abs=max(0.01 * wanted, smallest_step))


def test_the_penalty_alone_holds_what_is_kept_near_the_schedule():
    _, states = retrained(PLANS["weight"], steps=200, budget="network")
    before = states[last_choice(200)]
    assert before["curve"][-1, 0] == pytest.approx(0.2, abs=2.5 * TOLERANCE_FRAC)
    assert before["thresholds/strength"].shape == (1,)


def test_a_penalty_that_is_missed_grows_and_one_that_is_overdone_turns():
    params = start()
    learning = learning_of(PLANS["weight"], NETWORK, params, budget="network")
    fresh = start_thresholds(learning, params)
    masks = threshold_masks(fresh, learning, params)
    gradients = {name: np.ones_like(array) for name, array in trained(params).items()}

    def step(thresholds, ramp_frac):
        return learned(
            thresholds,
            learning,
            params=params,
            gradients=gradients,
            masks=masks,
            ramp_frac=ramp_frac,
            rate=0.1,
        )

    once = step(fresh, 1.0)
    twice = step(once, 1.0)
    assert 0.0 < once.strength[0] < twice.strength[0]
    assert (once.theta > fresh.theta).all()
    sparse = threshold_masks(type(fresh)(**{**vars(fresh), "theta": fresh.theta + 10}), learning, params)
    masks = sparse
    assert step(fresh, 0.0).strength[0] < 0.0


def test_under_one_budget_what_the_loss_needs_is_kept():
    params = start()
    half = LayerPlan(structure="weight", sparsity_frac=0.5)
    plan = CompressionPlan(layers={"fc": half, "mask": half})
    learning = learning_of(plan, NETWORK, params, budget="network")
    thresholds = start_thresholds(learning, params)
    gradients = {name: np.zeros_like(array) for name, array in trained(params).items()}
    gradients["mask/w"] = -np.sign(params["mask"]["w"])
    for _ in range(80):
        thresholds = learned(
            thresholds,
            learning,
            params=params,
            gradients=gradients,
            masks=threshold_masks(thresholds, learning, params),
            ramp_frac=1.0,
            rate=0.1,
        )
    masks = threshold_masks(thresholds, learning, params)
    assert masks["mask"]["w"].mean() > 0.9
    assert masks["fc"]["w"].mean() < 0.3


@pytest.mark.parametrize("structure", PLANS)
def test_the_achieved_plan_asks_for_the_masks_that_it_describes(structure):
    result, _ = retrained(PLANS[structure], budget="network")
    again = layer_masks(result.params, result.plan, NETWORK)
    assert achieved_plan(result.plan, NETWORK, again) == result.plan
    for layer, entry in result.masks.items():
        for name, mask in entry.items():
            assert again[layer][name].sum() == mask.sum()
