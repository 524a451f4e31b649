from __future__ import annotations

import numpy as np
import pytest
from drawn_cases import NETWORKS, PROFILES, SPARSITY, cases, layer_plans, networks, plans_for, profiles
from hypothesis import given, settings
from hypothesis import strategies as st

from npuexplore.compression.plan import CompressionPlan, LayerPlan, batch_plans, unit_keepers
from npuexplore.cost import estimate as estimate_module
from npuexplore.cost.estimate import estimate
from npuexplore.cost.result import Estimate
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.network import Network


def run(profile: HardwareProfile, network: Network, plan: CompressionPlan) -> Estimate:
    return estimate(profile, network, plan)


def run_in_place(profile: HardwareProfile, network: Network, plan: CompressionPlan) -> Estimate:
    """In a mode where weights are read where they lie: a compiler that copies some to SRAM first weighs
    that by estimates of its own, and takes more SRAM, and at times more cycles and bytes, when it begins
    to."""
    modes = profile.memory_modes
    in_place = [name for name, mode in modes.items() if mode.staging in (None, mode.weights)]
    default = profile.default_memory_mode
    return estimate(profile, network, plan, memory_mode=default if default in in_place else in_place[0])


@given(cases())
def test_totals_are_the_sums_of_their_layers(case: tuple[HardwareProfile, Network, CompressionPlan]) -> None:
    result = run(*case)

    for name in ("macs", "kept_macs", "cycles", "weight_bytes"):
        assert getattr(result, name)[0] == getattr(result.layers, name)[0].sum()
    assert result.layer_names[0] == "front_end"


@given(cases())
def test_work_that_is_kept_is_within_the_work_there_was(
    case: tuple[HardwareProfile, Network, CompressionPlan],
) -> None:
    layers = run(*case).layers

    assert (layers.kept_macs <= layers.macs).all()
    assert (layers.kept_macs >= 0).all()
    assert (layers.weight_bytes[:, 1:] > 0).all()
    assert (layers.cycles > 0).all()


@given(cases())
def test_a_layer_is_never_faster_than_its_compute_and_each_of_its_memories(
    case: tuple[HardwareProfile, Network, CompressionPlan],
) -> None:
    layers = run(*case).layers

    assert (layers.cycles >= layers.compute_cycles).all()
    for cycles in layers.memory_cycles.values():
        assert (layers.cycles >= cycles).all()


@given(networks.flatmap(lambda network: st.tuples(st.just(network), plans_for(network))))
def test_cycles_are_never_below_the_roofline_of_the_mac_array(case: tuple[Network, CompressionPlan]) -> None:
    for name, macs_per_cycle in (("ethos-u55-128", 128), ("micronpu-block16", 128)):
        layers = run(PROFILES[name], *case).layers

        assert (layers.cycles * macs_per_cycle >= layers.kept_macs).all()


@given(profiles, networks, st.data())
def test_more_zeros_never_take_more_bytes_or_cycles_within_a_structure(
    profile: HardwareProfile, network: Network, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([layer.name for layer in network.layers[:-1]]))
    choice = data.draw(
        layer_plans(keeps_units=False, profile=profile).filter(
            lambda plan: plan.structure in ("weight", "block")
        )
    )
    fewer, more = sorted(data.draw(st.tuples(SPARSITY, SPARSITY)))

    sparse, sparser = (
        run_in_place(
            profile,
            network,
            CompressionPlan(layers={name: choice.model_copy(update={"sparsity_frac": sparsity})}),
        )
        for sparsity in (fewer, more)
    )

    for figure in ("sram_bytes", "kept_macs", "cycles"):
        assert getattr(sparser, figure)[0] <= getattr(sparse, figure)[0], figure
    if profile.engine.family == "ethos_u85" and sparser.cycles[0] < sparse.cycles[0]:
        return  # the weights may have changed to a faster format that takes more bytes
    for figure in ("weight_bytes", "flash_bytes"):
        assert getattr(sparser, figure)[0] <= getattr(sparse, figure)[0], figure


@given(profiles, networks, st.data())
def test_removing_units_never_takes_more_bytes_or_weights(
    profile: HardwareProfile, network: Network, data: st.DataObject
) -> None:
    whole = unit_keepers(network)
    name = data.draw(st.sampled_from([layer.name for layer in network.layers if layer.name not in whole]))
    fewer, more = sorted(data.draw(st.tuples(SPARSITY, SPARSITY)))

    larger, smaller = (
        run_in_place(
            profile,
            network,
            CompressionPlan(layers={name: LayerPlan(structure="unit", sparsity_frac=sparsity)}),
        )
        for sparsity in (fewer, more)
    )

    for figure in ("weight_bytes", "flash_bytes", "sram_bytes", "kept_macs"):
        assert getattr(smaller, figure)[0] <= getattr(larger, figure)[0], figure


@given(cases(), st.floats(1.0, 16.0), st.data())
def test_a_wider_memory_is_never_slower(
    case: tuple[HardwareProfile, Network, CompressionPlan], factor: float, data: st.DataObject
) -> None:
    profile, network, plan = case
    name = data.draw(st.sampled_from(sorted(profile.memories)))
    region = profile.memories[name]
    wider = region.model_copy(update={"bytes_per_cycle": region.bytes_per_cycle * round(factor, 2)})
    faster = profile.model_copy(update={"memories": {**profile.memories, name: wider}})

    before, after = run_in_place(profile, network, plan), run_in_place(faster, network, plan)

    assert (after.layers.cycles <= before.layers.cycles).all()


@given(cases(), st.integers(1_000_000, 2_000_000_000))
def test_another_clock_changes_time_and_not_cycles(
    case: tuple[HardwareProfile, Network, CompressionPlan], clock_hz: int
) -> None:
    profile, network, plan = case
    other = profile.model_copy(update={"clock_hz": clock_hz})

    before, after = run(profile, network, plan), run(other, network, plan)

    assert (after.layers.cycles == before.layers.cycles).all()
    ratio = profile.clock_hz / clock_hz
    assert after.latency_ms[0] == pytest.approx(before.latency_ms[0] * ratio, rel=1e-12)


@given(profiles, networks, st.data())
@settings(max_examples=30)
def test_plans_together_cost_exactly_what_they_cost_apart(
    profile: HardwareProfile, network: Network, data: st.DataObject
) -> None:
    plans = data.draw(st.lists(plans_for(network, profile), min_size=2, max_size=5))

    together = estimate(profile, network, plans)

    for index, plan in enumerate(plans):
        apart = estimate(profile, network, plan)
        for name, values in vars(apart.layers).items():
            if name != "memory_cycles":
                assert (values[0] == getattr(together.layers, name)[index]).all(), name
        for name in ("flash_bytes", "sram_bytes", "latency_ms", "mean_latency_ms", "real_time_factor"):
            assert getattr(apart, name)[0] == getattr(together, name)[index], name
        if apart.energy_uj is not None and together.energy_uj is not None:
            assert apart.energy_uj[0] == together.energy_uj[index]


def test_costing_in_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, profile = NETWORKS["tinylstm"], PROFILES["micronpu-block16"]
    plans = batch_plans(
        [
            CompressionPlan(layers={"lstm_1": LayerPlan(structure="weight", sparsity_frac=share / 40)})
            for share in range(40)
        ],
        network,
    )

    whole = estimate(profile, network, plans)
    monkeypatch.setattr(estimate_module, "CHUNK_PLANS", 7)
    chunked = estimate(profile, network, plans)

    assert np.array_equal(whole.layers.cycles, chunked.layers.cycles)
    assert np.array_equal(whole.flash_bytes, chunked.flash_bytes)
    assert whole.energy_uj is not None
    assert chunked.energy_uj is not None
    assert np.array_equal(whole.energy_uj, chunked.energy_uj)


@given(cases())
def test_skipping_frames_changes_the_mean_and_not_the_worst_case(
    case: tuple[HardwareProfile, Network, CompressionPlan],
) -> None:
    profile, network, plan = case

    skipping = run(profile, network, plan)
    always = run(profile, network, plan.model_copy(update={"skip_rate_frac": 0.0}))

    assert skipping.latency_ms[0] == always.latency_ms[0]
    assert skipping.mean_latency_ms[0] <= always.mean_latency_ms[0]
    assert skipping.mean_latency_ms[0] >= skipping.layers.cycles[0, 0] * 1000.0 / profile.clock_hz * 0.999
