"""Profiles calibrated on published silicon: MLPerf Tiny's anomaly detection, there and back again.

Rows: published_cortexm.csv, each with its source. Expected ratios are made by hand: measured cycles over
those of the same kernels with memory that never waits.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

PUBLISHED = Path(__file__).with_name("published_cortexm.csv")
AD_MACS = 264_192
CASES = [
    # profile, board, stack, rows, mean of their cycles per MAC in the file
    ("stm32l4r5", "NUCLEO?L4R5ZI*", "microTVM + CMSIS-NN*", 2, 3.909),
    ("stm32l4r5", "NUCLEO?L4R5ZI*", "X-CUBE-AI 7*", 2, 3.916),
    ("nrf5340", "NRF5340-DK*", "microTVM + CMSIS-NN*", 2, 3.042),
    ("stm32u575", "NUCLEO?U575ZI*", "X-CUBE-AI 7*", 2, 3.203),
    ("stm32h7a3", "NUCLEO?H7A3ZI*", "X-CUBE-AI [78]*", 3, 2.093),
]


def without_wait(base: str) -> None:
    """zero.yaml: the part as if its memory never waited, so that nothing published is in it."""
    Path("zero.yaml").write_text(
        f"schema: npuexplore.profile/1\nname: zero\nbased_on: [{base}]\nengine: {{memory_wait_ratio: 1.0}}\n"
        "sources: [{of: [engine.memory_wait_ratio], source: assumed, cite: to be calibrated}]\n"
    )


@pytest.mark.parametrize(("base", "board", "stack", "rows", "cycles_per_mac"), CASES)
def test_published_rows_make_a_round_trip(cli, inside, base, board, stack, rows, cycles_per_mac):
    without_wait(base)
    asked = ("calibrate", PUBLISHED, "--where", f"device={board}", "--where", f"stack={stack}", "--json")

    there = json.loads(cli(*asked, "--profile", "zero.yaml", "--output", "measured.yaml").out)
    back = json.loads(cli(*asked, "--profile", "measured.yaml", "--output", "again.yaml").out)

    (wait,) = there["coefficients"]
    estimated = there["rows"][0]["before_cycles"] / AD_MACS
    assert len(there["rows"]) == rows
    assert wait["key"] == "engine.memory_wait_ratio"
    assert wait["after"] == pytest.approx(cycles_per_mac / estimated, rel=0.03)
    assert back["errors"]["before"] == pytest.approx(there["errors"]["after"], abs=0.02)
    assert back["coefficients"][0]["after"] == pytest.approx(wait["after"], rel=1e-3)
    interval = there["calibration"]["interval"]
    for row in back["rows"]:
        low, high = (row["before_cycles"] * interval[end] for end in ("low_ratio", "high_ratio"))
        assert low < row["measured_cycles"] < high
    assert stack.partition("*")[0].partition(" [")[0] in there["calibration"]["stack"]


def test_kernels_that_beat_the_counted_ones_are_said_to_be_others(cli, inside):
    without_wait("stm32l4r5")
    outcome = cli(
        "calibrate", PUBLISHED, "--profile", "zero.yaml", "--where", "core=Cortex-M4",
        "--where", "stack=Plumerai*", "--where", "device=NUCLEO?L4R5ZI", "--json",
    )  # fmt: skip
    document = json.loads(outcome.out)
    assert [each["key"] for each in document["coefficients"]] == [
        "engine.memory_wait_ratio",
        "engine.ratios.product",
    ]
    assert "it runs other kernels" in document["remarks"][0]


def test_rows_without_a_shape_name_themselves(cli, inside):
    outcome = cli("calibrate", PUBLISHED, "--profile", "stm32l4r9", "--where", "device=STM32L4R9AI")
    assert outcome.code == 3
    assert "workload: got 'Simple LSTM (Keras RNN guide)'" in outcome.sentence
    assert "select other rows with --where" in outcome.sentence
