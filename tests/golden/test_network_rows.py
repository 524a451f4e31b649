"""Whole small networks against what Arm's compiler Vela prints for them, weights and all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from npuexplore.pipeline.verify import replay_file

TABLE = Path(__file__).parent / "networks" / "vela_net.csv"


@pytest.fixture(scope="module")
def replayed() -> dict[str, Any]:
    return replay_file(TABLE)[0]


@pytest.mark.parametrize(
    "quantity",
    [
        "tot_cycles",
        "tot_npu_cycles",
        "sram_used_bytes",
        "dram_used_bytes",
        "offchipflash_used_bytes",
        "enc_weight_bytes",
        "tot_macs",
        "npu_ops",
        "sram_tot_access_cycles",
        "dram_tot_access_cycles",
        "offchipflash_tot_access_cycles",
    ],
)
def test_every_row_is_exact(quantity: str, replayed: dict[str, Any]) -> None:
    figures = replayed["quantities"][quantity]

    inexact = [group["where"] for group in figures["groups"] if group["exact_frac"] < 1]

    assert inexact == []
    assert replayed["rows"] >= 20
