"""Shipped parts against what was published of them: throughput of fully connected layers, peak rates."""

from __future__ import annotations

import pytest
from cost_cases import network_of

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.doubts import peak_macs_per_cycle
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import source_of
from npuexplore.workload.network import Network


@pytest.fixture(scope="module")
def autoencoder() -> Network:
    """MLPerf Tiny's anomaly detection: 640-128-128-128-128-8-128-128-128-128-640, 264,192 MACs."""
    widths = (128, 128, 128, 128, 8, 128, 128, 128, 128)
    layers = [
        {"kind": "dense", "name": f"fc_{index}", "output_features": width, "activation": "relu"}
        for index, width in enumerate(widths)
    ]
    return network_of(*layers, bands=640)


def layer_cycles(name: str, network: Network) -> list[int]:
    """Cycles of each layer, without the front end."""
    result = estimate(load_profile(name), network, CompressionPlan())
    return [int(cycles) for cycles in result.layers.cycles[0, 1:]]


def test_gap9_detects_anomalies_as_often_as_greenwaves_says(autoencoder: Network) -> None:
    cycles = sum(layer_cycles("gap9", autoencoder))

    assert 370e6 / cycles == pytest.approx(5691.6, rel=0.02)  # MLPerf Tiny v1.0, gap9_800_370


def test_mg24_multiplies_as_fast_as_silicon_labs_says(autoencoder: Network) -> None:
    cycles = layer_cycles("mg24", autoencoder)[:-1]  # the last layer's sigmoid is the CPU's
    macs = 264_192 - 128 * 640

    assert macs / sum(cycles) == pytest.approx(184.23 * 264_192 / 78e6, rel=0.02)  # MLPerf Tiny v1.0


@pytest.mark.parametrize(
    ("name", "gops"),
    [("nuvoton-m55m1", 111), ("stm32n6", 600), ("mcxn947", 4.8), ("nrf54lm20b", 8), ("ti-f28p55x", 1.2)],
)
def test_the_array_does_what_the_maker_states(name: str, gops: float) -> None:
    profile = load_profile(name)

    macs_per_cycle = peak_macs_per_cycle(profile.engine)

    assert macs_per_cycle is not None
    assert 2 * macs_per_cycle * profile.clock_hz / 1e9 == pytest.approx(gops, rel=0.05)


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("max78000", {"lstm", "gru", "sigmoid", "tanh"}),
        ("max78002", {"lstm", "gru", "sigmoid", "tanh"}),
        ("ti-f28p55x", {"lstm", "gru", "sigmoid", "tanh"}),
        ("mg24", {"lstm", "gru", "sigmoid", "tanh"}),
        ("nrf54lm20b", {"gru", "sigmoid", "tanh"}),
        ("stm32n6", {"gru"}),
    ],
)
def test_what_a_part_cannot_run_is_left_to_its_cpu(name: str, left_out: set[str]) -> None:
    profile = load_profile(name)
    everything = {"dense", "conv1x1", "lstm", "gru", "relu", "sigmoid", "tanh"}

    assert profile.engine.family == "micronpu"
    assert everything - set(profile.engine.runs) == left_out
    assert profile.fallback_cpu is not None


def test_the_facts_that_are_only_remembered_are_called_assumed() -> None:
    remembered = {
        "alif-e7-hp": "memories.mram.capacity_bytes", "max78000": "engine.inputs_per_cycle",
        "himax-hx6538": "memories.sram.capacity_bytes", "nrf54lm20b": "memories.rram.capacity_bytes",
        "ti-f28p55x": "peak_ops_per_s",
    }  # fmt: skip
    for name, key in remembered.items():
        entry = source_of(load_profile(name), key)
        assert entry is not None
        assert (name, entry.source) == (name, "assumed")
