import numpy as np
import pytest
import tiny_study
from hypothesis import given
from hypothesis import strategies as st

from npuexplore.audio.mixtures import fixed_mixtures
from npuexplore.audio.sources import Recording, Split
from npuexplore.audio.stft import front_end
from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, plan_at
from npuexplore.errors import BadInput
from npuexplore.pipeline.checkpoints import TrainedNetwork
from npuexplore.pipeline.quality import (
    _cases,
    bits_keys,
    calibration_batch,
    fitted_recovery_frac,
    measure_sensitivity,
    sensitivity_model,
    spectral_quality_db,
    zeros_keys,
)
from npuexplore.search.space import SpaceSpec, all_choices, plans_from, random_choices, space_for
from npuexplore.train.model import init_params
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(tiny_study.NETWORK)
SPEC = SpaceSpec(
    structures=("weight", "block", "unit"),
    sparsity_frac=(0.0, 0.5, 0.75),
    blocks=((1, 4), (4, 1)),
    weight_bits=(4, 8),
    activation_bits=(8, 16),
)
SPACE = space_for(SPEC, NETWORK, [])
CHOICES = st.builds(
    LayerPlan,
    structure=st.just("block"),
    sparsity_frac=st.sampled_from([0.1, 0.5, 0.9999]),
    block=st.tuples(st.integers(1, 256), st.integers(1, 256)),
    weight_bits=st.sampled_from([4, 8]),
    activation_bits=st.sampled_from([8, 16]),
) | st.builds(
    LayerPlan,
    structure=st.sampled_from(["weight", "unit"]),
    sparsity_frac=st.sampled_from([0.0, 0.1, 0.5, 0.9999]),
    weight_bits=st.sampled_from([4, 8]),
    activation_bits=st.sampled_from([8, 16]),
)


def keys_of(choice):
    plans = batch_plans([CompressionPlan(layers={"lstm_1": choice})], NETWORK)
    return int(zeros_keys(plans)[0, 0]), int(bits_keys(plans)[0, 0])


def invented_rows(rng):
    """A row for every case of SPACE with a loss that only depends on the case."""
    rows = measured_cases()
    return [{**row, "one_shot_loss_db": round(float(rng.uniform(0.0, 2.0)), 4)} for row in rows]


def measured_cases():
    return [{"layer": layer, **choice.model_dump(mode="json")} for layer, choice in _cases(SPACE)]


@given(CHOICES, CHOICES)
def test_choices_share_a_key_only_when_they_do_the_same(left, right):
    same_bits = (left.weight_bits, left.activation_bits) == (right.weight_bits, right.activation_bits)
    if left.sparsity_frac == right.sparsity_frac == 0.0:
        same_zeros = True
    else:
        same_zeros = all(
            getattr(left, name) == getattr(right, name) for name in ("structure", "sparsity_frac", "block")
        )
    assert (keys_of(left)[0] == keys_of(right)[0]) == same_zeros
    assert (keys_of(left)[1] == keys_of(right)[1]) == same_bits


def test_blocks_of_one_area_are_told_apart():
    shapes = [(1, 16), (16, 1), (4, 4), (2, 8), (256, 256)]
    keys = {keys_of(LayerPlan(structure="block", sparsity_frac=0.5, block=shape))[0] for shape in shapes}
    assert len(keys) == len(shapes)


def test_every_plan_of_the_space_has_a_loss():
    model = sensitivity_model(invented_rows(np.random.default_rng(1)), NETWORK, recovery_frac=0.5)
    plans = plans_from(SPACE, random_choices(SPACE, np.random.default_rng(2), 300))
    assert (model.loss_db(plans) >= 0.0).all()


def test_the_loss_of_a_plan_is_the_sum_of_the_losses_of_its_layers():
    model = sensitivity_model(invented_rows(np.random.default_rng(1)), NETWORK, recovery_frac=0.25)
    plans = plans_from(SPACE, random_choices(SPACE, np.random.default_rng(2), 40))
    dense = model.loss_db(batch_plans([CompressionPlan()], NETWORK))[0]
    for index, whole in enumerate(model.loss_db(plans)):
        plan = plan_at(plans, index, NETWORK)
        alone = [CompressionPlan(layers={name: plan.of(name)}) for name in plan.layers]
        parts = model.loss_db(batch_plans(alone, NETWORK)) - dense
        assert whole == pytest.approx(dense + parts.sum())


def test_a_single_layer_loses_what_was_measured_times_what_retraining_leaves():
    rows = invented_rows(np.random.default_rng(1))
    model = sensitivity_model(rows, NETWORK, recovery_frac=0.25)
    dense_db = {
        row["layer"]: row["one_shot_loss_db"]
        for row in rows
        if row["structure"] == "dense" and (row["weight_bits"], row["activation_bits"]) == (8, 8)
    }
    row = next(r for r in rows if r["structure"] == "dense" and r["weight_bits"] == 4)
    plan = CompressionPlan(
        layers={row["layer"]: LayerPlan(weight_bits=4, activation_bits=row["activation_bits"])}
    )
    others = sum(loss for layer, loss in dense_db.items() if layer != row["layer"])
    assert model.loss_db(batch_plans([plan], NETWORK))[0] == pytest.approx(
        0.25 * (row["one_shot_loss_db"] + others)
    )


def test_zeros_are_charged_what_they_lose_beyond_the_bits():
    layer = NETWORK.layers[0].name
    rows = [
        {"layer": each.name, **LayerPlan().model_dump(mode="json"), "one_shot_loss_db": 0.1}
        for each in NETWORK.layers
    ]
    sparse = LayerPlan(structure="weight", sparsity_frac=0.5)
    rows.append({"layer": layer, **sparse.model_dump(mode="json"), "one_shot_loss_db": 0.7})
    model = sensitivity_model(rows, NETWORK, recovery_frac=1.0)
    plans = batch_plans([CompressionPlan(), CompressionPlan(layers={layer: sparse})], NETWORK)
    dense_db, sparse_db = model.loss_db(plans)
    assert sparse_db - dense_db == pytest.approx(0.6)


def test_a_choice_that_was_not_measured_is_refused():
    model = sensitivity_model(invented_rows(np.random.default_rng(1)), NETWORK, recovery_frac=0.5)
    other = CompressionPlan(layers={"lstm_1": LayerPlan(structure="weight", sparsity_frac=0.51)})
    with pytest.raises(BadInput, match="not measured"):
        model.loss_db(batch_plans([other], NETWORK))


def test_the_recovery_is_the_slope_of_achieved_over_one_shot_losses():
    one_shot = np.array([1.0, 2.0, 4.0])
    assert fitted_recovery_frac(one_shot, 0.3 * one_shot) == pytest.approx(0.3)
    assert fitted_recovery_frac(one_shot, -one_shot) == 0.0
    assert fitted_recovery_frac(np.zeros(3), one_shot) is None


@pytest.fixture(scope="module")
def calibration():
    voice = Recording("a", "a", tiny_study.syllables(120.0, seconds=2.0), "")
    hiss = Recording("h", "h", 0.1 * np.random.default_rng(3).standard_normal(32_000).astype(np.float32), "")
    pairs = fixed_mixtures(
        Split((voice,), (hiss,)), count=2, seconds=1.0, rate_hz=16_000, snr_db=(0.0, 10.0), seed=1
    )
    geometry = front_end(NETWORK)
    return calibration_batch(pairs, geometry), geometry


def untrained(plan=None, bias=0.0):
    params = init_params(NETWORK, rng=np.random.default_rng(4))
    params["fc_2"]["bias"] += np.float32(bias)
    scale = np.ones(NETWORK.bands, np.float32)
    return TrainedNetwork(network=NETWORK, params=params, feature_scale=scale, plan=plan, training={})


def test_a_mask_of_ones_has_the_quality_of_the_noisy_sound(calibration):
    batch, geometry = calibration
    open_mask = untrained(bias=30.0)
    snr = batch.clean_power.sum((0, 2)) / (batch.noisy_power - 2 * batch.cross + batch.clean_power).sum(
        (0, 2)
    )
    expected_db = float(np.mean(10.0 * np.log10(snr)))
    assert spectral_quality_db(open_mask, batch, geometry) == pytest.approx(expected_db, abs=0.05)


def test_every_case_of_the_space_is_measured_once(calibration):
    rows = measure_sensitivity(untrained(), SPACE, *calibration)
    assert [{k: row[k] for k in row if k != "one_shot_loss_db"} for row in rows] == measured_cases()
    keys = [
        (
            row["layer"],
            *keys_of(LayerPlan.model_validate({k: row[k] for k in LayerPlan.model_fields if k in row})),
        )
        for row in rows
    ]
    assert len(set(keys)) == len(keys)
    assert all(row["one_shot_loss_db"] >= 0.0 for row in rows)
    sensitivity_model(rows, NETWORK, recovery_frac=1.0)


def test_a_layer_that_is_not_searched_is_measured_as_it_is_fixed():
    fixed = LayerPlan(structure="weight", sparsity_frac=0.5, weight_bits=4)
    space = space_for(SPEC.model_copy(update={"fixed": {"fc_1": fixed}}), NETWORK, [])
    found = [choice for layer, choice in _cases(space) if layer == "fc_1"]
    assert found == [LayerPlan(weight_bits=4), fixed]


def test_unit_zeros_are_never_measured_on_the_mask_layer(calibration):
    rows = measured_cases()
    assert {row["structure"] for row in rows if row["layer"] == "fc_2"} == {"dense", "weight", "block"}
    assert {row["structure"] for row in rows if row["layer"] == "lstm_1"} == {
        "dense",
        "weight",
        "block",
        "unit",
    }


def test_a_fixed_layer_whose_matrices_differ_is_measured_as_it_is():
    own = {"structure": "block", "block": (1, 4), "sparsity_frac": 0.8, "weight_bits": 4}
    fixed = LayerPlan(structure="weight", sparsity_frac=0.5, w_h=own)
    space = space_for(SPEC.model_copy(update={"fixed": {"lstm_1": fixed}}), NETWORK, [])
    found = [choice for layer, choice in _cases(space) if layer == "lstm_1"]
    assert found == [LayerPlan(w_h={"weight_bits": 4}), fixed]
    rows = [
        {"layer": layer, **choice.model_dump(mode="json"), "one_shot_loss_db": float(choice == fixed)}
        for layer, choice in _cases(space)
    ]
    model = sensitivity_model(rows, NETWORK, recovery_frac=0.5)
    assert model.loss_db(plans_from(space, all_choices(space)[:3])).tolist() == [0.5, 0.5, 0.5]
    assert keys_of(fixed) != keys_of(LayerPlan(**own, w_x={"structure": "weight", "sparsity_frac": 0.5}))
    other = LayerPlan(structure="weight", sparsity_frac=0.5, w_h={**own, "sparsity_frac": 0.7})
    unmeasured = batch_plans([CompressionPlan(layers={"lstm_1": other})], NETWORK)
    with pytest.raises(BadInput, match="was not measured"):
        model.loss_db(unmeasured)
