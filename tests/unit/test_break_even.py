from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cost_cases import dense_case, network_of

from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.cost.break_even import Candidate, Comparison, Scope, candidates, compare, first_step
from npuexplore.cost.break_even_document import comparison_document
from npuexplore.cost.estimate import estimate
from npuexplore.cost.part import part_of
from npuexplore.cost.what_if import changed_profile, default_what_ifs, read_what_if
from npuexplore.errors import BadInput, UsageError
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

MICRONPU = load_profile("micronpu-block16")
M7 = load_profile("stm32f746")
TINYLSTM = load_network("tinylstm")
SMALL = network_of({"kind": "lstm", "name": "first", "hidden_units": 12}, bands=20)


def whole(profile: HardwareProfile, network: Network, **scope: Any) -> Comparison:
    return compare(Scope(part_of(profile, network), **{"weight_bits": 8, "activation_bits": 8, **scope}))


def curve_of(found: Comparison, label: str) -> Any:
    return next(curve for curve in found.curves if curve.candidate.label == label)


def test_a_part_is_compared_over_the_structures_that_it_can_use() -> None:
    two_four = MICRONPU.engine.model_copy(
        update={"sparsity_mode": "two_four", "formats": ("dense", "two_four")}
    )

    labels = [each.label for each in candidates(MICRONPU)]
    assert labels == ["weight", "block 1x16", "unit"]
    assert "2:4" in [each.label for each in candidates(MICRONPU.model_copy(update={"engine": two_four}))]


@pytest.mark.parametrize("profile", [MICRONPU, M7])
@pytest.mark.parametrize("structure", ["weight", "block"])
def test_the_break_even_is_the_first_amount_that_beats_dense(
    profile: HardwareProfile, structure: str
) -> None:
    """Against a walk over every amount, one estimate each."""
    candidate = [each for each in candidates(profile) if each.structure == structure][-1]
    rows, columns = candidate.block or (1, 1)
    groups = 4 * -(-12 // rows) * (-(-20 // columns) + -(-12 // columns))
    found = compare(Scope(part_of(profile, SMALL), 8, 8, layer=0))
    dense = estimate(profile, SMALL, CompressionPlan()).layers

    curve = curve_of(found, candidate.label)
    for figure, break_even in (
        ("cycles", curve.faster_from_zeros_frac),
        ("weight_bytes", curve.smaller_from_zeros_frac),
    ):
        first = None
        for group in range(1, groups):
            choice = LayerPlan(structure=structure, sparsity_frac=group / groups, block=candidate.block)
            layers = estimate(profile, SMALL, CompressionPlan(layers={"first": choice})).layers
            if getattr(layers, figure)[0, 1] < getattr(dense, figure)[0, 1]:
                first = 1.0 - layers.kept_macs[0, 1] / dense.macs[0, 1]
                break
        assert break_even == first


def test_zeros_count_alike_for_all_structures() -> None:
    found = whole(MICRONPU, TINYLSTM)

    for curve in found.curves:
        for point in curve.points:
            assert point.zeros_frac == pytest.approx(point.wanted_zeros_frac, abs=0.005)


def test_the_share_of_units_is_the_one_that_leaves_those_zeros() -> None:
    point = next(p for p in curve_of(whole(MICRONPU, TINYLSTM), "unit").points if p.wanted_zeros_frac == 0.75)

    plan = uniform_plan(TINYLSTM, LayerPlan(structure="unit", sparsity_frac=point.sparsity_frac))
    layers = estimate(MICRONPU, TINYLSTM, plan).layers
    assert 0.45 < point.sparsity_frac < 0.55  # (1 - u)^2 = 0.25
    assert 1.0 - layers.kept_macs[0].sum() / layers.macs[0].sum() == pytest.approx(point.zeros_frac)
    assert layers.cycles[0, 1:].sum() == point.cycles
    assert layers.weight_bytes[0].sum() == point.weight_bytes


def test_points_are_what_an_estimate_says_of_their_plans() -> None:
    found = whole(M7, TINYLSTM, weight_bits=4)
    dense = estimate(M7, TINYLSTM, uniform_plan(TINYLSTM, LayerPlan(weight_bits=4))).layers
    assert found.dense_cycles == dense.cycles[0, 1:].sum()

    for curve in found.curves:
        for point in curve.points[::4]:
            choice = LayerPlan(
                structure=curve.candidate.structure,
                block=curve.candidate.block,
                sparsity_frac=point.sparsity_frac,
                weight_bits=4,
            )
            layers = estimate(M7, TINYLSTM, uniform_plan(TINYLSTM, choice)).layers
            assert point.cycles == layers.cycles[0, 1:].sum()
            assert point.weight_bytes == layers.weight_bytes[0].sum()
            assert point.speed_up == pytest.approx(found.dense_cycles / point.cycles)


def test_what_never_pays_says_so() -> None:
    engine = MicroNpu.model_validate(
        MICRONPU.engine.model_dump() | {"sparsity_mode": "none", "formats": ["dense"]}
    )

    found = whole(MICRONPU.model_copy(update={"engine": engine}), SMALL)

    weight = curve_of(found, "weight")
    assert weight.faster_from_zeros_frac is None
    assert weight.smaller_from_zeros_frac is None
    assert curve_of(found, "unit").faster_from_zeros_frac is not None


def test_the_mask_layer_is_not_compared_under_unit() -> None:
    last = compare(Scope(part_of(MICRONPU, TINYLSTM), 8, 8, layer=3))

    assert [curve.candidate.label for curve in last.curves] == ["weight", "block 1x16"]


def test_a_layer_with_one_unit_and_one_weight_has_nothing_to_compare() -> None:
    found = compare(Scope(part_of(MICRONPU, dense_case(1, 1)), 8, 8, layer=0))

    assert found.curves == ()


@pytest.mark.parametrize("first", [0, 1, 77, 4_000, 99_999])
def test_the_first_step_that_pays_is_found_among_very_many(first: int) -> None:
    assert first_step(lambda steps: steps >= first, 100_000) == first
    assert first_step(lambda steps: np.zeros(steps.size, bool), 100_000) is None


def test_widths_that_the_part_refuses_are_refused() -> None:
    with pytest.raises(BadInput, match=r"weight_bits: got 2; stm32f746 allows 4 and 8"):
        whole(M7, TINYLSTM, weight_bits=2)


@pytest.mark.parametrize(
    "text", ["", "decode", "decode=", "decode=x", "speed=2", "decode=2,decode=3", "index=0", "decode=1e3"]
)
def test_a_what_if_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--what-if"):
        read_what_if(text)


def test_costs_are_multiplied_and_rates_divided() -> None:
    changed = changed_profile(MICRONPU, read_what_if("decode=0.5,index=2"))

    assert changed is not None
    assert isinstance(changed.engine, MicroNpu)
    assert changed.engine.decoded_bytes_per_cycle == 32.0
    assert changed.engine.cycles_per_block_row == 16
    assert changed.engine.map_bits_per_granule == 2
    assert changed_profile(M7, {"decode": 2.0}) is None


def test_a_document_holds_the_network_its_layers_and_the_what_ifs() -> None:
    part = part_of(MICRONPU, TINYLSTM, memory_mode="weights_in_sram")

    document = comparison_document(
        part, weight_bits=8, activation_bits=8, what_ifs=default_what_ifs(MICRONPU)
    )

    assert document["schema"] == "npuexplore.compare-structures/1"
    assert [layer["name"] for layer in document["layers"]] == ["lstm_1", "lstm_2", "fc_1", "fc_2"]
    factors = [each["cost_factors"] for each in document["what_if"]]
    assert factors == [{"decode": 0.5}, {"decode": 2.0}, {"index": 0.5}, {"index": 2.0}]
    dearer = document["what_if"][-1]["structures"][1]["break_even"]["cycles_zeros_frac"]
    assert dearer >= document["structures"][1]["break_even"]["cycles_zeros_frac"]


def test_a_candidate_names_itself() -> None:
    assert Candidate("block", (4, 16)).label == "block 4x16"
