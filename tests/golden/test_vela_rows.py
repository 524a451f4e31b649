"""Every Ethos-U against what Arm's compiler Vela prints for the same cases."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from npuexplore.compression.plan import LayerPlan, uniform_plan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import compose_profile
from npuexplore.pipeline.verify import replay_file
from npuexplore.workload.load import load_network

TABLES = Path(__file__).parent / "vela"
STRUCTURES = {"dense": "dense", "unstructured": "weight", "nm24": "two_four"}
CYCLES_TOLERANCE_FRAC = {"Sram_Only": 0.002, "Shared_Sram": 0.002, "Dedicated_Sram_384KB": 0.025}
"""The coder's mean size stands for that of the recorded weights; staging decides on it, too."""
BYTES_TOLERANCE_FRAC = 0.01


def _net_rows() -> list[dict[str, str]]:
    with (TABLES / "vela_net.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def replayed() -> dict[str, Any]:
    return {stem: replay_file(TABLES / f"{stem}.csv")[0] for stem in ("vela_fc", "vela_lstm")}


@pytest.mark.parametrize("stem", ["vela_fc", "vela_lstm"])
def test_the_kept_rows_lie_on_every_part(stem: str, replayed: dict[str, Any]) -> None:
    groups = replayed[stem]["quantities"]["npu_cycles"]["groups"]

    parts = {group["where"]["accelerator"] for group in groups if "accelerator" in group["where"]}

    assert len(parts) == 11
    assert replayed[stem]["rows"] >= 300


@pytest.mark.parametrize("stem", ["vela_fc", "vela_lstm"])
def test_every_quantity_of_every_kept_row_is_exact(stem: str, replayed: dict[str, Any]) -> None:
    quantities = replayed[stem]["quantities"]

    inexact = {name: json.dumps(figures) for name, figures in quantities.items() if figures["exact_frac"] < 1}

    assert {"npu_cycles", "op_cycles", "sram_access_cycles", "mac_cycles"} <= set(quantities)
    assert inexact == {}


@pytest.mark.parametrize("row", _net_rows(), ids=lambda row: "-".join(list(row.values())[:7]))
def test_the_papers_network_costs_what_vela_says(row: dict[str, str]) -> None:
    profile = compose_profile(row["accelerator"], row["system_config"].lower())
    network = load_network("tinylstm")
    choice: dict[str, Any] = {"structure": STRUCTURES[row["structure"]], "weight_bits": int(row["bits"])}
    if choice["structure"] != "dense":
        choice["sparsity_frac"] = float(row["sparsity"])

    result = estimate(
        profile, network, uniform_plan(network, LayerPlan(**choice)), memory_mode=row["memory_mode"]
    )

    cycles, tolerance = int(result.layers.cycles[0, 1:].sum()), CYCLES_TOLERANCE_FRAC[row["memory_mode"]]
    assert cycles == pytest.approx(int(row["tot_cycles"]), rel=tolerance), row["source"]
    assert int(result.weight_bytes[0]) == pytest.approx(
        int(row["enc_weight_bytes"]), rel=BYTES_TOLERANCE_FRAC
    )
