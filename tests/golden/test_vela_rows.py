"""The Ethos-U55-128 profile against what Arm's compiler Vela prints for the same cases."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case

from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.cost.estimate import estimate
from npuexplore.cost.ethos_u import product_npu_cycles
from npuexplore.cost.front_end import front_end_costs
from npuexplore.cost.result import Estimate
from npuexplore.cost.traffic import route_of
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import load_network

with (Path(__file__).parent / "vela_u55_128.csv").open() as stream:
    ROWS = list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def profile() -> HardwareProfile:
    return load_profile("ethos-u55-128")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(list(row.values())[:8]))
def test_ethos_u55_costs_what_vela_says(row: dict[str, str], profile: HardwareProfile) -> None:
    ours = _ours(row, profile)

    expected, tolerance = float(row["expected"]), float(row["tolerance_frac"])
    assert ours == pytest.approx(expected, rel=tolerance, abs=0.5), row["source"]


def _ours(row: dict[str, str], profile: HardwareProfile) -> float:
    choice = _choice(row)
    inputs, outputs = int(row["inputs"]), int(row["outputs"])
    if row["case"] == "net":
        network = load_network("tinylstm")
        plan = uniform_plan(network, LayerPlan(**choice))
    else:
        network = (
            dense_case(inputs, outputs) if row["case"] == "fc" else recurrent_case("lstm", inputs, outputs)
        )
        plan = first_layer_plan(**choice) if choice else CompressionPlan()
    result = estimate(profile, network, plan, memory_mode=row["memory_mode"])
    if row["quantity"] == "sram_used_bytes":
        front_end = front_end_costs(network, profile.front_end)
        beside = front_end.resident_bytes + front_end.spectrum_bytes + profile.runtime.stack_bytes
        return float(result.sram_bytes[0]) - beside
    return _first_or_all(result, row)


def _first_or_all(result: Estimate, row: dict[str, str]) -> float:
    values = result.layers.cycles if "cycles" in row["quantity"] else result.layers.weight_bytes
    network_layers = values[0, 1:]
    return float(network_layers.sum() if row["case"] == "net" else network_layers[0])


def _choice(row: dict[str, str]) -> dict[str, object]:
    kind, _, block = row["structure"].partition("_")
    choice: dict[str, object] = {"structure": kind, "weight_bits": int(row["weight_bits"])}
    if kind != "dense":
        choice["sparsity_frac"] = float(row["sparsity_frac"])
    if block:
        choice["block"] = tuple(int(side) for side in block.split("x"))
    return choice


@pytest.mark.shared
def test_npu_cycles_of_every_unbuffered_product_agree_within_one_percent(
    shared_folder: Path, profile: HardwareProfile
) -> None:
    with (shared_folder / "reference/vela/vela_fc.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if _comparable(row)]
    assert profile.engine.family == "ethos_u"
    for mode in ("Shared_Sram", "Sram_Only"):
        route = route_of(profile, mode)
        chosen = [row for row in rows if row["memory_mode"] == mode]
        inputs, outputs, expected = (
            np.array([[int(row[key])] for row in chosen])
            for key in ("in_features", "out_features", "npu_cycles")
        )

        ours = product_npu_cycles(
            profile.engine,
            inputs=inputs,
            outputs=outputs,
            input_bytes=np.ones_like(inputs),
            output_bytes=np.ones_like(inputs),
            cycles_per_elem=profile.engine.output_cycles_per_elem,
            activation_memory=route.activation_memory,
            bias_latency_cycles=route.weight_memory.read_latency_cycles,
        )

        assert np.abs(ours / expected - 1.0).max() < 0.01
        assert (ours == expected).mean() > 0.98


def _comparable(row: dict[str, str]) -> bool:
    return (
        row["accelerator"] == "ethos-u55-128"
        and row["system_config"] == "Ethos_U55_High_End_Embedded"
        and not row["weight_buffering"]
    )
