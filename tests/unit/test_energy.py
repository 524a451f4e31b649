from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cost_cases import dense_case, network_of
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.energy import network_energy_uj, unknown_energy_keys
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import FallbackCpu, HardwareProfile
from npuexplore.workload.counts import network_tables

MICRONPU = load_profile("micronpu-block16")
WITH_CONVOLUTION = network_of(
    {"kind": "conv1x1", "name": "first", "positions": 4, "output_channels": 8}, bands=32
)
DENSE = CompressionPlan()


def with_energy(**figures: float | None) -> HardwareProfile:
    return MICRONPU.model_copy(update={"energy": MICRONPU.energy.model_copy(update=figures)})


def test_macs_of_a_convolution_have_a_price_of_their_own() -> None:
    costs = replace(costs_of(np.zeros((1, 2), np.int64)), executed_macs=np.array([[4_000, 3_000]]))

    energy = network_energy_uj(
        with_energy(pj_per_mac=0.5, pj_per_conv_mac=0.1), network_tables(WITH_CONVOLUTION), costs
    )

    assert energy.tolist() == [[pytest.approx(1e-6 * 400), pytest.approx(1e-6 * 1_500)]]


def test_macs_of_other_layers_do_not_have_it() -> None:
    cheap, dear = (
        estimate(with_energy(pj_per_conv_mac=price), dense_case(32, 32), DENSE).energy_uj
        for price in (0.1, 0.5)
    )

    assert cheap is not None
    assert dear is not None
    assert cheap[0] == dear[0]


def test_without_that_price_only_networks_with_a_convolution_have_an_unknown_energy() -> None:
    result = estimate(with_energy(pj_per_conv_mac=None), WITH_CONVOLUTION, DENSE)

    assert result.energy_uj is None
    assert any("no sourced energy.pj_per_conv_mac" in sentence for sentence in result.assumptions)
    assert estimate(with_energy(pj_per_conv_mac=None), dense_case(32, 32), DENSE).energy_uj is not None


FALLBACK = FallbackCpu(
    core="Cortex-M33",
    cycles_per_mac=2.0,
    cycles_per_lut_elem=20.0,
    cycles_per_elementwise_op=4.0,
    cycles_per_handover=100,
    engine_cycles_per_cpu_cycle=2.5,
    pj_per_cycle=40.0,
)


def test_the_fallback_cpu_burns_its_own_cycles() -> None:
    profile = MICRONPU.model_copy(update={"fallback_cpu": FALLBACK})

    energy = network_energy_uj(profile, network_tables(dense_case(8, 8)), costs_of(np.array([[1_000, 250]])))

    assert energy.tolist() == [[pytest.approx(1e-6 * 400 * 40.0), pytest.approx(1e-6 * 100 * 40.0)]]


def test_a_fallback_cpu_without_its_energy_makes_energy_unknown() -> None:
    fallback = FALLBACK.model_copy(update={"pj_per_cycle": None})
    profile = MICRONPU.model_copy(update={"fallback_cpu": fallback})

    assert unknown_energy_keys(profile, ("sram",)) == ["fallback_cpu.pj_per_cycle"]


def costs_of(cpu_cycles: NDArray[np.int64]) -> EngineCosts:
    """An engine that does nothing but wait for the fallback CPU."""
    nothing = np.zeros_like(cpu_cycles)
    return EngineCosts(
        terms={"cpu": cpu_cycles},
        compute_cycles=cpu_cycles,
        cycles=cpu_cycles,
        memory_cycles={},
        memory_bytes={},
        weight_bytes=nothing,
        weight_format=nothing.astype(np.int8),
        formats=("dense",),
        executed_macs=nothing,
        elementwise_ops=nothing,
    )
