"""A scale for each output of dense layers: the grid, the plan, what it costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, network_of, recurrent_case

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, plan_at, uniform_plan
from npuexplore.compression.quantize import integer_weights
from npuexplore.cost import states
from npuexplore.cost.choices import choice_tables, totals_of_choices
from npuexplore.cost.cortex_m.layers import channel_scale_cycles
from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.estimate import estimate
from npuexplore.errors import BadInput
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.kernels.product import product_kernel
from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network, write_network
from npuexplore.search.space import SpaceSpec, plans_from, random_choices, space_for
from npuexplore.train.apply import one_shot
from npuexplore.train.model import init_params

M7 = load_profile("stm32f746")
NETWORK = dense_case(24, 10)
CHANNEL = first_layer_plan(scales="channel")


def uneven_params() -> dict[str, dict[str, np.ndarray]]:
    """Weights of which each output is ten times as large as the one before."""
    params = init_params(NETWORK, rng=np.random.default_rng(0))
    params["first"]["w"] *= (10.0 ** -np.arange(10, dtype=np.float32))[:, None]
    return params


def test_each_output_has_a_step_of_its_own() -> None:
    codes, steps = integer_weights(uneven_params(), CHANNEL, NETWORK)["first"]["w"]

    assert steps.shape == (10,)
    assert np.abs(codes).max(axis=1).tolist() == [127] * 10
    whole, one = integer_weights(uneven_params(), CompressionPlan(), NETWORK)["first"]["w"]
    assert one.shape == (1,)
    assert not whole[4:].any()


def test_training_and_deployment_share_the_grid() -> None:
    params = uneven_params()
    small = one_shot(params, CHANNEL, NETWORK)
    codes, steps = integer_weights(small, CHANNEL, NETWORK)["first"]["w"]

    np.testing.assert_allclose(codes * steps[:, None], small["first"]["w"], rtol=1e-6)
    np.testing.assert_allclose(small["first"]["w"], params["first"]["w"], rtol=0, atol=float(steps[0]) / 2)


def test_a_plan_mentions_its_scales_only_where_there_are_several() -> None:
    assert "scales" not in LayerPlan().model_dump(mode="json")
    assert CHANNEL.model_dump(mode="json")["layers"]["first"]["scales"] == "channel"
    batch = batch_plans([CHANNEL, CompressionPlan()], NETWORK)
    assert plan_at(batch, 0, NETWORK).of("first") == CHANNEL.of("first")
    assert plan_at(batch, 1, NETWORK).of("first") == LayerPlan()
    assert batch_plans([CompressionPlan()], NETWORK).channel_scales is None


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_layers_refuse_scales_per_channel(kind: str) -> None:
    with pytest.raises(BadInput, match=rf"layers.first.scales: got channel; {kind} kernels"):
        batch_plans([CHANNEL], recurrent_case(kind, 8, 8))


def test_one_choice_for_all_layers_scales_the_dense_ones_per_channel() -> None:
    network = recurrent_case("lstm", 8, 8)
    plan = uniform_plan(network, LayerPlan(scales="channel"))

    assert [plan.of(name).scales for name in ("first", "mask")] == ["tensor", "channel"]
    batch_plans([plan], network)


def test_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    trained = TrainedNetwork(
        NETWORK, one_shot(uneven_params(), CHANNEL, NETWORK), np.ones(24, np.float32), CHANNEL, {}
    )
    write_network(tmp_path / "net.npz", trained)

    found = read_network(tmp_path / "net.npz")

    assert found.plan == CHANNEL
    assert np.array_equal(found.params["first"]["w"], trained.params["first"]["w"])


def test_int8_layers_run_in_the_kernel_of_scales_per_channel() -> None:
    engine = M7.engine
    assert isinstance(engine, CortexM)
    one, own = (
        estimate(M7, NETWORK, plan).layers.compute_cycles[0, 1] for plan in (CompressionPlan(), CHANNEL)
    )
    sizes = {"inputs": np.array(24), "outputs": np.array(10)}
    tensor, channel = (
        float(product_cycles(product_kernel(engine.kernels_of, engine.toolchain, name), **sizes))
        for name in ("fc_s8", "fc_s8_perch")
    )
    assert own - one == pytest.approx(engine.cycles_ratio * (channel - tensor), abs=1)


@pytest.mark.parametrize("bits", [{"weight_bits": 4}, {"activation_bits": 16}])
def test_other_kernels_take_as_much_more_as_int8_does_beside_its_loops(bits: dict[str, int]) -> None:
    engine = M7.engine
    assert isinstance(engine, CortexM)
    one, own = (
        estimate(M7, NETWORK, first_layer_plan(**bits, **scales)).layers.compute_cycles[0, 1]
        for scales in ({}, {"scales": "channel"})
    )
    more = float(channel_scale_cycles(engine, inputs=np.array(24), outputs=np.array(10)))
    assert own - one == pytest.approx(engine.cycles_ratio * more, abs=1)
    assert own > one


def test_flash_holds_a_multiplier_and_a_shift_of_each_output() -> None:
    def flash_bytes(profile: str, plan: CompressionPlan) -> int:
        return int(estimate(load_profile(profile), NETWORK, plan).flash_bytes[0])

    assert flash_bytes("stm32f746", CHANNEL) == flash_bytes("stm32f746", CompressionPlan()) + 10 * 8
    assert flash_bytes("ethos-u55-128", CHANNEL) == flash_bytes("ethos-u55-128", CompressionPlan())


def test_layers_in_one_state_and_tables_of_choices_tell_scales_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of({"kind": "lstm", "name": "lstm", "hidden_units": 6}, bands=9)
    choices = [[LayerPlan()], [LayerPlan(), LayerPlan(scales="channel")]]
    plans = [CompressionPlan(layers={"mask": choices[1][index % 2]}) for index in range(100)]

    by_state = estimate(M7, network, plans)
    monkeypatch.setattr(states, "FEWEST_PLANS", 10**9)
    one_by_one = estimate(M7, network, plans)
    tables = choice_tables(M7, network, choices)
    looked_up = totals_of_choices(tables, np.array([[0, index % 2] for index in range(100)]))

    assert np.array_equal(by_state.cycles, one_by_one.cycles)
    assert np.array_equal(looked_up.cycles, one_by_one.cycles)
    assert np.array_equal(looked_up.flash_bytes, one_by_one.flash_bytes)
    assert one_by_one.cycles[0] != one_by_one.cycles[1]


def test_sparse_kernels_scale_each_output_too() -> None:
    sparse = {"structure": "block", "sparsity_frac": 0.9, "block": (1, 16)}
    network = dense_case(256, 64)
    one, own = (
        estimate(M7, network, first_layer_plan(**sparse, **scales)) for scales in ({}, {"scales": "channel"})
    )
    assert one.layers.weight_format[0, 1] == own.layers.weight_format[0, 1] > 0
    assert own.layers.compute_cycles[0, 1] > one.layers.compute_cycles[0, 1]


def test_an_estimate_says_what_it_takes_for_granted_of_scales_per_channel() -> None:
    def said(profile: str, plan: CompressionPlan) -> bool:
        return any(
            "fc_s8_perch" in line for line in estimate(load_profile(profile), NETWORK, plan).assumptions
        )

    assert said("stm32f746", CHANNEL)
    assert not said("stm32f746", CompressionPlan())
    assert not said("ethos-u55-128", CHANNEL)


def test_a_layer_that_a_study_fixes_keeps_its_scales() -> None:
    network = network_of({"kind": "lstm", "name": "lstm", "hidden_units": 6}, bands=9)
    space = space_for(SpaceSpec(fixed={"mask": LayerPlan(scales="channel")}), network)

    plans = plans_from(space, random_choices(space, np.random.default_rng(0), 5))

    assert [plan_at(plans, index, network).of("mask").scales for index in range(5)] == ["channel"] * 5
    assert {plan_at(plans, index, network).of("lstm").scales for index in range(5)} == {"tensor"}
