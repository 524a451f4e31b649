"""Recurrent layers whose two matrices are treated differently: plans, costs and stored bytes."""

from __future__ import annotations

import numpy as np
import pytest
from cost_cases import first_layer_plan, network_of, recurrent_case

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, plan_at
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import apply_masks, layer_masks
from npuexplore.cost import states
from npuexplore.cost.choices import choice_tables, totals_of_choices
from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.cortex_m.recurrent import matvec_kernels
from npuexplore.cost.cortex_m.sparse import row_cycles
from npuexplore.cost.estimate import estimate
from npuexplore.cost.explain import explain
from npuexplore.cost.stored import stored_weight_bytes
from npuexplore.errors import BadInput
from npuexplore.hardware.kernels.sparse import sparse_kernels
from npuexplore.hardware.load import load_profile

PARTS = ("micronpu-block16", "gap9", "stm32f746", "ethos-u55-128", "ethos-u85-256")
LSTM = recurrent_case("lstm", 32, 32)
HALF = {"structure": "weight", "sparsity_frac": 0.5}
BLOCKS = {"structure": "block", "block": (1, 16), "sparsity_frac": 0.75, "weight_bits": 4}


def layer(profile, plan, network=LSTM):
    """Figures of the layer `first`."""
    result = estimate(load_profile(profile), network, plan)
    own = result.layers
    return {
        "cycles": int(own.cycles[0, 1]),
        "kept_macs": int(own.kept_macs[0, 1]),
        "weight_bytes": int(own.weight_bytes[0, 1]),
        "weight_format": result.formats[own.weight_format[0, 1]],
    }


@pytest.mark.parametrize(
    ("whole", "own", "settled"),
    [
        (HALF, {"weight_bits": 4}, ("weight", 0.5, None, 4)),
        (HALF, {"structure": "dense"}, ("dense", 0.0, None, 8)),
        (HALF, {"structure": "two_four"}, ("two_four", 0.5, None, 8)),
        (HALF, {"structure": "block", "block": (4, 4)}, ("block", 0.5, (4, 4), 8)),
        (BLOCKS, {"sparsity_frac": 0.5}, ("block", 0.5, (1, 16), 4)),
        (BLOCKS, {"block": (4, 4)}, ("block", 0.75, (4, 4), 4)),
        (BLOCKS, {"structure": "weight"}, ("weight", 0.75, None, 4)),
        ({}, HALF, ("weight", 0.5, None, 8)),
        ({"structure": "unit", "sparsity_frac": 0.5}, {"weight_bits": 4}, ("unit", 0.5, None, 4)),
    ],
)
def test_a_matrix_takes_from_its_layer_what_it_does_not_have_itself(whole, own, settled):
    choice = LayerPlan(**whole, w_h=own)
    found = choice.of_matrix("w_hh")
    assert (found.structure, found.sparsity_frac, found.block, found.weight_bits) == settled
    assert choice.of_matrix("w_ih") == LayerPlan(**whole).of_matrix("w")


@pytest.mark.parametrize("profile", PARTS)
@pytest.mark.parametrize("whole", [HALF, BLOCKS, {"structure": "two_four"}])
def test_matrices_that_repeat_their_layers_choice_cost_what_the_layer_costs(profile, whole):
    plain = layer(profile, first_layer_plan(**whole))
    assert layer(profile, first_layer_plan(**whole, w_x=whole, w_h=whole)) == plain
    assert layer(profile, first_layer_plan(w_x=whole, w_h=whole)) == plain


@pytest.mark.parametrize("profile", PARTS)
def test_in_a_square_layer_it_does_not_matter_which_matrix_is_treated_how(profile):
    one, other = HALF, BLOCKS
    alike = [layer(profile, first_layer_plan(**each)) for each in (one, other)]
    crossed = [
        layer(profile, first_layer_plan(w_x=one, w_h=other)),
        layer(profile, first_layer_plan(w_x=other, w_h=one)),
    ]
    for name in ("kept_macs", "weight_bytes"):
        assert abs(sum(each[name] for each in crossed) - sum(each[name] for each in alike)) <= 2, name
    assert crossed[0]["cycles"] == pytest.approx(crossed[1]["cycles"], abs=2)
    assert alike[1]["cycles"] < crossed[0]["cycles"] < alike[0]["cycles"] or profile == "gap9"


@pytest.mark.parametrize("profile", PARTS)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_waterfall_of_a_layer_whose_matrices_differ_adds_up(profile, kind):
    network = recurrent_case(kind, 33, 19)
    result = estimate(load_profile(profile), network, first_layer_plan(**HALF, w_h=BLOCKS))
    waterfall = explain(result, 0, which="none").waterfall
    assert sum(int(cycles[0, 1]) for cycles in waterfall.values()) == int(result.layers.cycles[0, 1])
    assert waterfall["useful_macs"][0, 1] > 0
    assert all((cycles >= 0).all() for cycles in waterfall.values())


def test_a_micronpu_stores_each_matrix_in_the_format_that_suits_it():
    found = layer("micronpu-block16", first_layer_plan(w_h=BLOCKS))
    blocks = 4 * 32 * 2
    assert found["weight_format"] == "dense + block_bitmap"
    assert found["weight_bytes"] == 4 * 32 * 32 + (blocks + blocks // 4 * 16 * 4) // 8
    assert found["kept_macs"] == 4 * 32 * 32 + blocks // 4 * 16


def test_a_cortex_m_runs_a_kernel_of_its_own_for_each_matrix():
    core = "m7", "gcc12.2-Ofast"
    sparse = next(each for each in sparse_kernels(*core) if each.block == (1, 16))
    dense, found = (layer("stm32f746", first_layer_plan(**own)) for own in ({}, {"w_h": BLOCKS}))
    stored, rows = 4 * 32 * 2 // 4, 4 * 32
    product = product_cycles(matvec_kernels(*core, "lstm_s8"), inputs=np.array(32), outputs=np.array(32))
    row = np.dot([9 / 16, 6 / 16, 1 / 16], row_cycles(sparse, np.arange(3)))
    instead = rows * row + 4 * sparse.cycles_per_call
    assert found["weight_format"] == "dense + block_index_1x16"
    assert found["cycles"] == pytest.approx(dense["cycles"] + instead - 4 * product, abs=2)
    bits = stored * (16 * 8 + sparse.index_bits) + rows * sparse.row_bits
    assert found["weight_bytes"] == 4 * 32 * 32 + bits // 8


@pytest.mark.parametrize("profile", ["ethos-u55-128", "ethos-u85-256"])
def test_on_ethos_u_only_the_stream_of_the_matrix_that_is_pruned_gets_shorter(profile):
    network = recurrent_case("lstm", 64, 32)
    both, input_only, state_only, none = (
        layer(profile, first_layer_plan(**own), network)
        for own in ({"w_x": BLOCKS, "w_h": BLOCKS}, {"w_x": BLOCKS}, {"w_h": BLOCKS}, {})
    )
    saved = [none["weight_bytes"] - each["weight_bytes"] for each in (input_only, state_only, both)]
    assert saved[0] > saved[1] > 4 * 32 * 32 * 0.6
    assert saved[2] == pytest.approx(saved[0] + saved[1], abs=8)
    assert none["cycles"] > state_only["cycles"] > input_only["cycles"] > both["cycles"]


def test_two_of_four_in_one_matrix_is_not_lost_beside_blocks_in_the_other():
    plan = first_layer_plan(w_x={"structure": "two_four"}, w_h=BLOCKS)
    dense, half = layer("ethos-u85-256", first_layer_plan()), layer("ethos-u85-256", plan)
    assert half["kept_macs"] == 4 * 32 * 16 + 4 * 32 * 32 // 4
    assert half["weight_bytes"] < 0.6 * dense["weight_bytes"]


def test_matrices_that_differ_in_bits_alone_are_pruned_together():
    odd = recurrent_case("gru", 7, 4)
    plain, narrow = (
        layer("micronpu-block16", first_layer_plan(structure="weight", sparsity_frac=0.3, w_h=own), odd)
        for own in (None, {"weight_bits": 4})
    )
    weights = 3 * 4 * (7 + 4)
    assert plain["kept_macs"] == narrow["kept_macs"] == weights - round(0.3 * weights)
    assert narrow["weight_bytes"] == 3 * 4 * 7 + 3 * 4 * 4 // 2
    sparser = {"structure": "weight", "sparsity_frac": 0.3001}
    apart = layer(
        "micronpu-block16", first_layer_plan(w_x={**sparser, "sparsity_frac": 0.3}, w_h=sparser), odd
    )
    assert apart["kept_macs"] == weights - round(0.3 * 3 * 4 * 7) - round(0.3 * 3 * 4 * 4)


def test_a_width_that_a_part_cannot_store_is_refused_by_the_name_of_the_matrix():
    with pytest.raises(BadInput, match=r"layers\.first\.w_h\.weight_bits: got 4; .* allows 8"):
        layer("nrf54lm20b", first_layer_plan(w_h={"weight_bits": 4}))
    with pytest.raises(BadInput, match=r"layers\.first\.w_x\.weight_bits: got 4"):
        layer("nrf54lm20b", first_layer_plan(w_x={"weight_bits": 4}, weight_bits=8, w_h=HALF))


def test_a_layer_with_one_matrix_is_refused_by_name():
    plan = CompressionPlan(layers={"mask": LayerPlan(w_h={"weight_bits": 4})})
    with pytest.raises(BadInput, match=r"layers\.mask\.w_h: a dense layer has one matrix"):
        estimate(load_profile("stm32f746"), LSTM, plan)


def test_plans_go_through_arrays_and_come_back():
    network = network_of(
        {"kind": "lstm", "name": "first", "hidden_units": 8},
        {"kind": "gru", "name": "second", "hidden_units": 8},
        bands=8,
    )
    choices = [
        LayerPlan(**HALF, w_x={"structure": "dense"}, w_h={**BLOCKS, "weight_bits": 2}),
        LayerPlan(**BLOCKS, w_x={"block": (4, 4)}),
        LayerPlan(**BLOCKS, w_h={"structure": "two_four"}),
        LayerPlan(structure="unit", sparsity_frac=0.5, w_x={"weight_bits": 4}),
        LayerPlan(w_h={"structure": "weight", "sparsity_frac": 0.0}),
        LayerPlan(w_x=BLOCKS, w_h=BLOCKS),
        LayerPlan(),
    ]
    plans = [CompressionPlan(layers={"first": one, "second": LayerPlan(**HALF)}) for one in choices]
    batch = batch_plans(plans, network)
    for index, choice in enumerate(choices):
        back = plan_at(batch, index, network)
        for name in ("w_ih", "w_hh"):
            assert back.of("first").of_matrix(name) == choice.of_matrix(name)
        assert back.of("second") == LayerPlan(**HALF)
        again = CompressionPlan.model_validate_json(back.model_dump_json())
        assert again == back
    assert "w_h" not in LayerPlan().model_dump()


@pytest.mark.parametrize("profile", PARTS)
def test_many_plans_cost_what_each_costs_alone(profile, monkeypatch):
    ways = [{}, HALF, {**HALF, "w_h": BLOCKS}, {**HALF, "w_x": BLOCKS}, {"w_h": {"weight_bits": 4}}, BLOCKS]
    choices = [LayerPlan(**way) for way in ways]
    picked = np.random.default_rng(5).integers(0, len(choices), 150)
    plans = [first_layer_plan(**ways[index]) for index in picked]
    part = load_profile(profile)
    monkeypatch.setattr(states, "FEWEST_PLANS", 10)
    together = estimate(part, LSTM, plans)
    alone = [estimate(part, LSTM, first_layer_plan(**way)) for way in ways]
    tables = choice_tables(part, LSTM, [choices, [LayerPlan()]])
    totals = totals_of_choices(tables, np.stack([picked, np.zeros_like(picked)], axis=1))
    for name in ("cycles", "weight_bytes", "flash_bytes", "sram_bytes", "kept_macs"):
        expected = [int(getattr(alone[index], name)[0]) for index in picked]
        assert getattr(together, name).tolist() == expected, name
        assert getattr(totals, name).tolist() == expected, name
    names = [together.formats[code] for code in together.layers.weight_format[:, 1]]
    assert names == [alone[index].formats[alone[index].layers.weight_format[0, 1]] for index in picked]


@pytest.mark.parametrize("profile", ["micronpu-block16", "stm32f746"])
def test_real_weights_are_stored_in_what_was_estimated(profile):
    plan = first_layer_plan(w_h=BLOCKS)
    rng = np.random.default_rng(3)
    params = {
        "first": {"w_ih": rng.normal(size=(128, 32)), "w_hh": rng.normal(size=(128, 32))},
        "mask": {"w": rng.normal(size=(32, 32))},
    }
    params = apply_masks(params, layer_masks(params, plan, LSTM))
    integers = {name: values for name, (values, _) in integer_weights(params, plan, LSTM)["first"].items()}
    found = layer(profile, plan)
    assert np.abs(integers["w_hh"]).max() == 7
    assert np.abs(integers["w_ih"]).max() == 127
    stored = stored_weight_bytes(
        load_profile(profile), plan.of("first"), integers, weight_format=found["weight_format"]
    )
    assert stored == pytest.approx(found["weight_bytes"], rel=0.02)
    assert stored_weight_bytes(load_profile(profile), plan.of("first"), integers) <= stored
