from __future__ import annotations

import numpy as np
import pytest
from cost_cases import network_of

from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.compression.quantize import integer_weights
from npuexplore.compression.sparsity import apply_masks, layer_masks
from npuexplore.cost.estimate import estimate
from npuexplore.cost.stored import stored_weight_bytes
from npuexplore.errors import BadInput
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.workload.network import matrices

BASE = load_profile("micronpu-block16")
NETWORK = network_of({"kind": "lstm", "name": "first", "hidden_units": 96}, bands=80)


def part_with(**changes):
    engine = MicroNpu.model_validate(BASE.engine.model_dump() | changes)
    return BASE.model_copy(update={"engine": engine})


def stored_of(profile, choice, weight_format):
    rng = np.random.default_rng(1)
    params = {}
    for layer, name, rows, columns in matrices(NETWORK):
        params.setdefault(layer, {})[name] = rng.standard_normal((rows, columns)).astype(np.float32)
    plan = uniform_plan(NETWORK, choice)
    pruned = apply_masks(params, layer_masks(params, plan, NETWORK))
    integers = integer_weights(pruned, plan, NETWORK)["first"]
    weights = {name: matrix for name, (matrix, _) in integers.items()}
    return stored_weight_bytes(profile, choice, weights, weight_format=weight_format)


def test_two_four_weights_take_exactly_what_the_plan_says() -> None:
    profile = part_with(sparsity_mode="two_four", formats=["dense", "two_four"])
    choice = LayerPlan(structure="two_four")

    expected = estimate(profile, NETWORK, CompressionPlan(layers={"first": choice})).layers.weight_bytes[0, 1]

    assert stored_of(profile, choice, "two_four") == expected == 4 * 96 * (40 + 48) * 10 // 8


def test_an_index_of_blocks_takes_about_what_the_plan_expects() -> None:
    profile = part_with(formats=["dense", "block_index"])
    choice = LayerPlan(structure="block", block=(1, 16), sparsity_frac=0.7)

    expected = estimate(profile, NETWORK, CompressionPlan(layers={"first": choice})).layers.weight_bytes[0, 1]

    assert stored_of(profile, choice, "block_index") == pytest.approx(expected, rel=0.01)


def test_weights_that_break_the_pattern_cannot_be_stored_as_two_four() -> None:
    profile = part_with(sparsity_mode="two_four", formats=["dense", "two_four"])

    with pytest.raises(BadInput, match="stores dense; name one of those"):
        stored_of(profile, LayerPlan(structure="weight", sparsity_frac=0.3), "two_four")
