"""Odd sizes, 16-bit inputs and 1x1 convolutions on every Ethos-U, against what Vela printed for them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from npuexplore.cost.ethos_u.commands import blocks_of
from npuexplore.cost.ethos_u.lowering import INPUT, OUTPUT, Command
from npuexplore.cost.ethos_u.placement import final_placement
from npuexplore.cost.ethos_u.pricing import Sizes, price, products_of
from npuexplore.cost.traffic import route_of
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.load import compose_profile

PRODUCT = Command("product", (INPUT,), OUTPUT)
with (Path(__file__).parent / "vela" / "products.csv").open() as stream:
    ROWS = list(csv.DictReader(stream))


@pytest.mark.parametrize("part", sorted({row["accelerator"] for row in ROWS}))
def test_products_that_are_read_in_place_cost_what_vela_says(part: str) -> None:
    rows = [row for row in ROWS if row["accelerator"] == part]
    assert len(rows) == 15

    for row in rows:
        expected = {"ofm_block": row["ofm_block"], "ifm_block_depth": int(row["ifm_block_depth"])}
        names = ("mac_cycles", "ao_cycles", "cmd_cycles", *(() if row["staged"] == "1" else ("npu_cycles",)))
        expected |= {name: int(row[name]) for name in names}
        ours = _ours(row)
        assert {name: ours[name] for name in expected} == expected, (row, row["source"])


def _ours(row: dict[str, str]) -> dict[str, object]:
    profile = compose_profile(part := row["accelerator"], row["system_config"].lower())
    assert isinstance(profile.engine, EthosU), part
    sizes = Sizes(
        inputs=np.array([int(row["inputs"])]),
        units=np.array([int(row["outputs"])]),
        activation_bytes=np.array([int(row["input_bits"]) // 8]),
        two_four=np.array([False]),
        positions=int(row["positions"]),
    )
    placement = final_placement(route_of(profile, row["memory_mode"]), staged=row["staged"] == "1")
    blocks = blocks_of(profile.engine, products_of(profile.engine, PRODUCT, sizes))
    cycles = price(profile.engine, PRODUCT, sizes, placement, blocks=blocks).cycles
    return {
        "ofm_block": f"{blocks.height[0]}x{blocks.width[0]}x{blocks.depth[0]}",
        "ifm_block_depth": int(blocks.ifm_depth[0]),
        "npu_cycles": int(cycles.npu[0]),
        "mac_cycles": int(cycles.mac[0]),
        "ao_cycles": int(cycles.output[0]),
        "cmd_cycles": int(cycles.issue[0]),
    }
