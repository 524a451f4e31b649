"""Encoded weights against what Arm's compiler Vela stores of the same ones."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npuexplore.compression.mlw.size import encoded_bytes
from npuexplore.cost.ethos_u.blocks import product_blocks
from npuexplore.cost.ethos_u.coder import stream_order
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.load import compose_profile
from npuexplore.pipeline.verify import replay_file
from npuexplore.pipeline.verify.weights import recorded_weights

TABLES = Path(__file__).parent / "vela"
CASE = (
    "accelerator", "in_features", "out_features", "structure", "sparsity", "bits", "weight_format",
    "ofm_depth_slices",
)  # fmt: skip


def _products() -> list[dict[str, str]]:
    with (TABLES / "vela_fc.csv").open() as stream:
        rows = {tuple(row[name] for name in CASE): row for row in csv.DictReader(stream)}
    return list(rows.values())


@pytest.fixture(scope="module")
def replayed() -> dict[str, Any]:
    return replay_file(TABLES / "vela_encoding.csv")[0]["quantities"]


@pytest.mark.parametrize("row", _products(), ids=lambda row: "-".join(row[name] for name in CASE))
def test_weights_take_the_bytes_that_vela_stores(row: dict[str, str]) -> None:
    engine = compose_profile(row["accelerator"], row["system_config"].lower()).engine
    assert isinstance(engine, EthosU)

    assert _ours(row, engine) == int(row["weight_bytes"]), row["source"]


def test_formats_slices_and_sizes_of_the_kept_rows_are_vela_s(replayed: dict[str, Any]) -> None:
    assert replayed["weight_bytes"]["exact_frac"] == 1.0


def test_plans_expect_the_bytes_that_vela_stores(replayed: dict[str, Any]) -> None:
    expected = replayed["expected_weight_bytes"]

    assert expected["mean_error_pct"] <= 2.0
    assert expected["p95_error_pct"] <= 6.0


def _ours(row: dict[str, str], engine: EthosU) -> int:
    inputs, outputs = int(row["in_features"]), int(row["out_features"])
    two_four = "Sparse2_4" in row["weight_format"]
    blocks = product_blocks(
        engine,
        inputs=np.array([inputs]),
        outputs=np.array([outputs]),
        input_bytes=np.array([1]),
        two_four=np.array([two_four]),
    )
    weights = recorded_weights(
        outputs,
        inputs,
        structure=row["structure"],
        sparsity=float(row["sparsity"]),
        bits=int(row["bits"]),
        seed=int(row["seed"]),
    )
    return encoded_bytes(
        weights,
        stream=stream_order(
            engine,
            ublock_depth=int(blocks.ublock_depth[0]),
            ifm_depth=int(blocks.ifm_depth[0]),
            part_kernel=bool(blocks.part_kernel[0]),
            two_four=two_four,
        ),
        ofm_block_depth=int(blocks.depth[0]),
        slices=[int(bound) for bound in row["ofm_depth_slices"].split("|")],
        weight_format="fast" if "Fast" in row["weight_format"] else "default",
    )
