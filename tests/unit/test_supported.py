from __future__ import annotations

import pytest
from cost_cases import network_of

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, uniform_plan
from npuexplore.cost.choices import choice_tables
from npuexplore.cost.estimate import estimate
from npuexplore.errors import BadInput
from npuexplore.hardware.engines import activation_widths, weight_widths
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.workload.load import load_network

TINYLSTM = load_network("tinylstm")


@pytest.mark.parametrize("name", list_profiles())
def test_every_width_is_estimated_or_refused_by_name(name: str) -> None:
    profile = load_profile(name)
    for bits in (2, 3, 4, 6, 8, 16):
        plan = CompressionPlan(layers={"lstm_2": LayerPlan(weight_bits=bits)})
        if bits in weight_widths(profile.engine):
            assert estimate(profile, TINYLSTM, plan).weight_bytes[0] > 0
        else:
            with pytest.raises(BadInput, match=rf"layers\.lstm_2\.weight_bits: got {bits}; {name} allows"):
                estimate(profile, TINYLSTM, plan)


@pytest.mark.parametrize("name", list_profiles())
def test_every_width_of_activations_is_estimated_or_refused_by_name(name: str) -> None:
    profile = load_profile(name)
    for bits in (8, 16):
        plan = CompressionPlan(layers={"fc_1": LayerPlan(activation_bits=bits)})
        if bits in activation_widths(profile.engine):
            assert estimate(profile, TINYLSTM, plan).cycles[0] > 0
        else:
            with pytest.raises(BadInput, match=rf"layers\.fc_1\.activation_bits: got {bits}; {name} allows"):
                estimate(profile, TINYLSTM, plan)


def test_the_first_offence_among_many_plans_is_named() -> None:
    plans = batch_plans([uniform_plan(TINYLSTM, LayerPlan(weight_bits=bits)) for bits in (8, 4, 6)], TINYLSTM)

    with pytest.raises(BadInput, match=r"layers\.lstm_1\.weight_bits: got 6; stm32f746 allows 4 and 8"):
        estimate(load_profile("stm32f746"), TINYLSTM, plans)


def test_the_tables_of_a_search_refuse_what_an_estimate_refuses() -> None:
    choices = [[LayerPlan(), LayerPlan(weight_bits=2)] for _ in TINYLSTM.layers]

    with pytest.raises(BadInput, match=r"layers\.lstm_1\.weight_bits: got 2"):
        choice_tables(load_profile("micronpu-block16"), TINYLSTM, choices)


def test_a_layer_without_an_engine_or_a_cpu_is_refused_by_name() -> None:
    profile = load_profile("micronpu-block16")
    engine = profile.engine.model_copy(update={"runs": ("dense", "sigmoid")})
    network = network_of({"kind": "gru", "name": "first", "hidden_units": 4}, bands=8)

    with pytest.raises(BadInput, match=r"layers\.first: needs gru and tanh; the engine of micronpu"):
        estimate(profile.model_copy(update={"engine": engine}), network, CompressionPlan())
