import numpy as np
import pytest
from pydantic import ValidationError
from toy_search import NETWORK

from npuexplore.compression.plan import LayerPlan, plan_at
from npuexplore.errors import BadInput
from npuexplore.search.space import (
    SpaceSpec,
    all_choices,
    choice_row,
    dominant_structures,
    keys_of,
    only_structure,
    params_of,
    plan_keys,
    plans_from,
    random_choices,
    single_structure,
    space_for,
)
from npuexplore.search.spec import SearchSpec, refuse_unknown_objectives
from npuexplore.search.uniform import uniform_choices

SMALL = SpaceSpec(sparsity_frac=(0.0, 0.5), weight_bits=(8,))


def plans_of(space, rows):
    return [plan_at(plans_from(space, rows), index, NETWORK) for index in range(len(rows))]


def parameters(space):
    return {parameter.name: parameter.choices for parameter in space.parameters}


def test_every_layer_has_its_own_parameters_and_the_skip_rate_is_one():
    found = parameters(space_for(SMALL, NETWORK))
    assert found["gru_2.structure"] == ("weight", "block 1x16", "unit")
    assert found["gru_2.sparsity_frac"] == (0.0, 0.5)
    assert found["skip_rate_frac"] == (0.0,)
    assert len(found) == 3 * 4 + 1


def test_the_mask_layer_is_never_unit_sparse():
    assert parameters(space_for(SMALL, NETWORK))["mask.structure"] == ("weight", "block 1x16", "dense")
    tied = space_for(SpaceSpec(structures=("unit",), tied=True), NETWORK)
    for plan in plans_of(tied, all_choices(tied)):
        assert plan.of("mask").structure == "dense"
        assert plan.of("mask").weight_bits == plan.of("lstm_1").weight_bits


def test_blocks_come_from_the_study_then_from_the_part():
    assert parameters(space_for(SMALL, NETWORK, [(4, 4)]))["lstm_1.structure"][1] == "block 4x4"
    own = SpaceSpec(blocks=((2, 8), (1, 4)))
    choices = parameters(space_for(own, NETWORK, [(4, 4)]))["lstm_1.structure"]
    assert choices == ("weight", "block 2x8", "block 1x4", "unit")


def test_a_tied_space_treats_all_layers_alike():
    space = space_for(SpaceSpec(structures=("block",), sparsity_frac=(0.5, 0.7), tied=True), NETWORK)
    for plan in plans_of(space, all_choices(space)):
        assert plan.of("lstm_1") == plan.of("gru_2") == plan.of("mask")


def test_fixed_layers_keep_their_plan_and_have_no_parameters():
    kept = LayerPlan(structure="block", sparsity_frac=0.25, block=(2, 2), weight_bits=4)
    space = space_for(SpaceSpec(fixed={"gru_2": kept}), NETWORK)
    assert not any(name.startswith("gru_2") for name in parameters(space))
    rows = random_choices(space, np.random.default_rng(1), 50)
    assert all(plan.of("gru_2") == kept for plan in plans_of(space, rows))


def test_plans_say_what_their_choices_said():
    space = space_for(SpaceSpec(skip_rate_frac=(0.0, 0.2), activation_bits=(8, 16)), NETWORK)
    rows = random_choices(space, np.random.default_rng(2), 200)
    for row, plan in zip(rows, plans_of(space, rows), strict=True):
        params = params_of(space, row)
        assert plan.skip_rate_frac == params["skip_rate_frac"]
        for layer in NETWORK.layers:
            choice = plan.of(layer.name)
            word, _, shape = params[f"{layer.name}.structure"].partition(" ")
            is_dense = word == "dense" or params[f"{layer.name}.sparsity_frac"] == 0.0
            assert choice.structure == ("dense" if is_dense else word)
            assert choice.sparsity_frac == (0.0 if is_dense else params[f"{layer.name}.sparsity_frac"])
            assert choice.block == ((1, 16) if shape and not is_dense else None)
            assert choice.weight_bits == params[f"{layer.name}.weight_bits"]
            assert choice.activation_bits == params[f"{layer.name}.activation_bits"]


def test_choices_of_one_plan_have_one_key():
    space = space_for(SMALL, NETWORK)
    rows = all_choices(space)
    keys = plan_keys(plans_from(space, rows))
    assert len(rows) == space.designs == 6**3
    assert len(set(keys)) == 4 * 4 * 3  # three structures at 50 % or dense; the mask layer has two
    assert keys_of(space, [params_of(space, row) for row in rows]) == keys


def test_params_and_choice_rows_are_each_others_inverse():
    space = space_for(SpaceSpec(), NETWORK)
    for row in random_choices(space, np.random.default_rng(3), 20):
        assert choice_row(space, params_of(space, row)) == row.tolist()


def test_a_part_of_one_structure_holds_no_other():
    space = space_for(SpaceSpec(), NETWORK)
    for structure in ("weight", "block", "unit"):
        part = only_structure(space, structure)
        rows = random_choices(part, np.random.default_rng(4), 300)
        assert part.structures == (structure,)
        assert set(dominant_structures(plans_from(part, rows), NETWORK)) <= {structure, "dense"}


def test_uniform_plans_treat_layers_alike():
    space = space_for(SpaceSpec(sparsity_frac=(0.0, 0.5), weight_bits=(4, 8)), NETWORK)
    plans = plans_of(space, uniform_choices(space))
    assert {plan.of("lstm_1") for plan in plans} == {plan.of("gru_2") for plan in plans}
    assert all(plan.of("lstm_1") == plan.of("gru_2") for plan in plans)
    assert len({str(plan) for plan in plans}) == 2 * (1 + 3)


def test_the_structure_of_a_plan_is_that_of_most_of_its_sparse_weights():
    space = space_for(SpaceSpec(sparsity_frac=(0.0, 0.5)), NETWORK)
    params = params_of(space, [0] * len(space.parameters))
    sparse = {
        "lstm_1.structure": "unit",
        "lstm_1.sparsity_frac": 0.5,
        "gru_2.structure": "weight",
        "gru_2.sparsity_frac": 0.5,
    }
    rows = np.array([choice_row(space, params | sparse), choice_row(space, params)])
    assert dominant_structures(plans_from(space, rows), NETWORK) == ["unit", "dense"]


def test_a_plan_is_of_one_structure_or_mixed():
    space = space_for(SpaceSpec(), NETWORK)
    rows = random_choices(space, np.random.default_rng(8), 300)
    plans = plans_from(space, rows)
    expected = [len(set(row[row > 0])) <= 1 for row in plans.structure]
    assert single_structure(plans).tolist() == expected
    assert 0 < sum(expected) < len(expected)
    for structure in ("weight", "block", "unit"):
        part = only_structure(space, structure)
        assert single_structure(plans_from(part, random_choices(part, np.random.default_rng(9), 50))).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparsity_frac": (0.5, 0.3)}, "rising order"),
        ({"sparsity_frac": (0.5, 0.5)}, "rising order"),
        ({"sparsity_frac": (0.0,)}, "leaves every structure dense"),
        ({"sparsity_frac": (0.5, 1.0)}, "less than 1"),
        ({"sparsity_frac": (-0.1, 0.5)}, "greater than or equal to 0"),
        ({"sparsity_frac": ()}, "at least 1"),
        ({"weight_bits": (8, 4)}, "rising order"),
        ({"weight_bits": (5,)}, "2, 3, 4, 6, 8 or 16"),
        ({"structures": ("block", "block")}, "listed twice"),
        ({"structures": ("star",)}, "'unit'"),
        ({"blocks": ((0, 4),)}, "greater than or equal to 1"),
        ({"blocks": ((1, 4), (1, 4))}, "listed twice"),
        ({"structures": ("weight",), "blocks": ((1, 4),)}, "needs block among structures"),
        ({"skip_rate_frac": (0.5, 0.1)}, "rising order"),
        ({"hidden_units": (16, 16)}, "listed twice"),
        ({"hidden_units": (16,), "structures": ("weight",)}, "needs unit among structures"),
        ({"hidden_units": (16,), "tied": True}, "got tied layers"),
        ({"sparsities": (0.5,)}, "Extra inputs"),
    ],
)
def test_a_space_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SpaceSpec(**changes)


def test_a_space_reads_lists_as_yaml_gives_them():
    spec = SpaceSpec.model_validate(
        {"structures": ["block"], "sparsity_frac": [0, 0.5], "blocks": [[1, 16]], "weight_bits": [8]}
    )
    assert spec.blocks == ((1, 16),)
    assert SpaceSpec.model_validate({"hidden_units": [192, 128]}).hidden_units == (192, 128)


def test_an_unknown_fixed_layer_is_refused_with_the_layers_there_are():
    with pytest.raises(BadInput, match=r"space\.fixed: .*lstm_9.*lstm_1"):
        space_for(SpaceSpec(fixed={"lstm_9": LayerPlan()}), NETWORK)


def test_a_fixed_unit_sparse_mask_is_refused():
    with pytest.raises(BadInput, match="remove mask bands"):
        space_for(SpaceSpec(fixed={"mask": LayerPlan(structure="unit", sparsity_frac=0.5)}), NETWORK)


def test_fixing_every_layer_leaves_nothing_to_search():
    with pytest.raises(BadInput, match="leave at least one to search"):
        space_for(SpaceSpec(fixed={layer.name: LayerPlan() for layer in NETWORK.layers}), NETWORK)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": ("quality_loss_db",)}, "two to four different"),
        ({"objectives": ("latency_ms", "latency_ms", "quality_loss_db")}, "two to four different"),
        ({"objectives": ("latency_ms", "flash_bytes")}, "leave out quality_loss_db"),
        ({"objectives": ("latency", "quality_loss_db")}, "latency_ms"),
        ({"trials": 0}, "greater than or equal to 8"),
        ({"population": 1}, "greater than or equal to 4"),
        ({"sampler": "tpe", "trials": 5000}, "take hours"),
        ({"engine": "magic"}, "optuna"),
    ],
)
def test_a_search_that_cannot_work_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SearchSpec(**changes)


def test_an_objective_that_the_part_does_not_know_is_refused_by_name():
    spec = SearchSpec(objectives=("energy_uj", "latency_ms", "quality_loss_db"))
    refuse_unknown_objectives(spec, {"average_power_mw": "no energy figures"})
    with pytest.raises(BadInput, match=r"energy_uj is unknown here: toy states no energy; leave it out"):
        refuse_unknown_objectives(spec, {"energy_uj": "toy states no energy"})


def test_the_matrices_of_a_fixed_layer_keep_what_they_have_of_their_own():
    own = {"structure": "block", "block": (1, 4), "sparsity_frac": 0.9}
    kept = LayerPlan(structure="weight", sparsity_frac=0.5, w_h=own)
    space = space_for(SpaceSpec(structures=("block",), fixed={"gru_2": kept}), NETWORK)
    choices = random_choices(space, np.random.default_rng(3), 40)
    plans = plans_from(space, choices)
    for index, plan in enumerate(plans_of(space, choices)):
        assert plan.of("gru_2") == kept
        assert not plan.of("lstm_1").matrices_differ
        assert plans.matrices.sparsity_frac[index, 1] == plans.sparsity_frac[index, 0]
    assert not single_structure(plans).any()
    assert plan_keys(plans)[0] == plan_keys(plans_from(space, choices[:1]))[0]
    dense = plans_from(space, np.zeros_like(choices[:1]))
    assert dominant_structures(dense, NETWORK) == ["weight"]


SIZES = SpaceSpec(structures=("weight", "unit"), sparsity_frac=(0.0, 0.5), hidden_units=(32, 16, 12, 8))


def test_a_hidden_size_is_what_unit_sparsity_leaves_of_a_recurrent_layer():
    space = space_for(SIZES, NETWORK)
    found = parameters(space)
    assert found["lstm_1.structure"] == ("weight", "unit 32", "unit 16", "unit 12", "unit 8")
    assert found["gru_2.structure"] == ("weight", "unit 16", "unit 12", "unit 8")
    assert found["mask.structure"] == ("weight", "dense")
    rows = random_choices(space, np.random.default_rng(5), 200)
    units = {"lstm_1": 32, "gru_2": 16}
    for row, plan in zip(rows, plans_of(space, rows), strict=True):
        for name, own in units.items():
            word, _, size = params_of(space, row)[f"{name}.structure"].partition(" ")
            if word == "unit":
                kept = own - round(plan.of(name).sparsity_frac * own)
                assert kept == int(size)
                assert plan.of(name).structure == ("dense" if kept == own else "unit")


def test_sizes_start_a_search_as_sparsities_do():
    space = space_for(SIZES, NETWORK)
    found = {plan.of("lstm_1").sparsity_frac for plan in plans_of(space, uniform_choices(space))}
    assert found == {0.0, 0.5, 1 - 12 / 32, 1 - 8 / 32}
    part = only_structure(space, "unit")
    assert part.structures == ("unit",)
    assert dominant_structures(plans_from(part, all_choices(part)[-1:]), NETWORK) == ["unit"]


def test_a_space_without_sizes_does_not_mention_them():
    assert "hidden_units" not in SpaceSpec().model_dump(mode="json")
    assert SIZES.model_dump(mode="json")["hidden_units"] == [32, 16, 12, 8]


@pytest.mark.parametrize(
    ("sizes", "fixed", "message"),
    [
        ((64, 8), (), r"space\.hidden_units: got 64; the layers have 32 \(lstm_1\), 16 \(gru_2\)"),
        ((32, 24), (), r"layer gru_2 has 16 units and none of these to choose from"),
        ((8,), ("lstm_1", "gru_2"), "no recurrent layer is searched"),
    ],
)
def test_sizes_that_no_layer_can_have_are_refused(sizes, fixed, message):
    spec = SpaceSpec(hidden_units=sizes, fixed={name: LayerPlan() for name in fixed})
    with pytest.raises(BadInput, match=message):
        space_for(spec, NETWORK)
