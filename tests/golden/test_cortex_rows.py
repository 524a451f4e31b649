"""Layers of Cortex-M parts, through the estimator, against counted kernels; odd sizes among them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case

from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile

with (Path(__file__).parent / "cortex_layers.csv").open() as stream:
    ROWS = list(csv.DictReader(stream))
CHOICES = {"fc_s8": {}, "fc_s4": {"weight_bits": 4}, "fc_s16": {"activation_bits": 16}}
FAST_MEMORY = 64.0
"""Bytes per cycle that no kernel waits for."""


@pytest.fixture(scope="module")
def zero_wait() -> HardwareProfile:
    """A part whose memories are never waited for."""
    profile = load_profile("stm32f746")
    memories = {
        name: memory.model_copy(update={"bytes_per_cycle": FAST_MEMORY})
        for name, memory in profile.memories.items()
    }
    return profile.model_copy(update={"memories": memories})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(list(row.values())[:5]))
def test_a_layer_takes_what_was_counted(row: dict[str, str], zero_wait: HardwareProfile) -> None:
    core = dict.fromkeys(("core", "kernels_of"), row["core"])
    engine = zero_wait.engine.model_copy(update=core | {"toolchain": row["toolchain"]})
    profile = zero_wait.model_copy(update={"engine": engine})

    expected, tolerance = float(row["expected_cycles"]), float(row["tolerance_frac"])
    assert _cycles(row, profile) == pytest.approx(expected, rel=tolerance), row["source"]


def _cycles(row: dict[str, str], profile: HardwareProfile) -> float:
    inputs, outputs, kernel = int(row["inputs"]), int(row["outputs"]), row["kernel"]
    if kernel in CHOICES:
        network, plan = dense_case(inputs, outputs), first_layer_plan(**CHOICES[kernel])
    else:
        network, plan = recurrent_case(kernel[:-3], inputs, outputs), first_layer_plan()
    return float(estimate(profile, network, plan).layers.cycles[0, 1])
