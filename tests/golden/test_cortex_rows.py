"""The Cortex-M7 kernel coefficients against the counted kernels they were fitted to."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case

from npuexplore.cost.cortex_m.layers import sparse_product_cycles
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile

with (Path(__file__).parent / "cortex_m7.csv").open() as stream:
    ROWS = list(csv.DictReader(stream))
CHOICES = {"fc_s8": {}, "fc_s4": {"weight_bits": 4}, "fc_s16": {"activation_bits": 16}}
NAMES = {
    "csr_delta8": "csr_delta8",
    "bsr1x4": (1, 4),
    "bsr1x16": (1, 16),
    "bsr4x4": (4, 4),
    "bsr4x16": (4, 16),
}


@pytest.fixture(scope="module")
def profile() -> HardwareProfile:
    return load_profile("stm32f746")


def _with_toolchain(profile: HardwareProfile, toolchain: str) -> HardwareProfile:
    engine = profile.engine.model_copy(update={"toolchain": toolchain})
    return profile.model_copy(update={"engine": engine})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(list(row.values())[:5]))
def test_cortex_m7_kernels_cost_what_was_counted(row: dict[str, str], profile: HardwareProfile) -> None:
    ours = _ours(row, _with_toolchain(profile, row["toolchain"]))

    assert ours == pytest.approx(float(row["expected_cycles"]), rel=float(row["tolerance_frac"])), row[
        "source"
    ]


def _ours(row: dict[str, str], profile: HardwareProfile) -> float:
    inputs, outputs, kernel = int(row["inputs"]), int(row["outputs"]), row["kernel"]
    if kernel in NAMES:
        return _sparse(profile, kernel, outputs, int(row["stored_blocks"]))
    if kernel in CHOICES:
        network, plan = dense_case(inputs, outputs), first_layer_plan(**CHOICES[kernel])
    else:
        network, plan = recurrent_case(kernel[:-3], inputs, outputs), first_layer_plan()
    return float(estimate(profile, network, plan).layers.cycles[0, 1])


def _sparse(profile: HardwareProfile, name: str, outputs: int, stored: int) -> float:
    assert profile.engine.family == "cortex_m"
    block = (1, 1) if name == "csr_delta8" else NAMES[name]
    kernel = next(kernel for kernel in profile.engine.kernels.sparse if kernel.block == block)
    return float(
        sparse_product_cycles(kernel, stored=np.array([[stored]]), rows=np.array([[outputs]]), gates=1)[0, 0]
    )


@pytest.mark.shared
@pytest.mark.parametrize("kernel", ["lstm_s8", "gru_s8", "fc_s8"])
def test_every_counted_size_that_is_a_multiple_of_16_is_within_two_percent(
    kernel: str, shared_folder: Path, profile: HardwareProfile
) -> None:
    name = "cortexm_fc.csv" if kernel == "fc_s8" else "cortexm_lstm.csv"
    with (shared_folder / "reference/cortexm" / name).open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["kernel"] == kernel and _comparable(row)]
    assert rows

    for row in rows:
        outputs = int(row["out"] if kernel == "fc_s8" else row["hidden"])
        case = {"kernel": kernel, "inputs": row["in"], "outputs": outputs}

        assert _ours(case, profile) == pytest.approx(float(row["est_cycles"]), rel=0.02), case


def _comparable(row: dict[str, str]) -> bool:
    sizes = (int(row["in"]), int(row["out"]), int(row["hidden"]))
    return (
        row["core"] == "m7"
        and row["toolchain"] == "gcc12.2-Ofast"
        and row["T"] == "1"
        and (row["stateful"] == "1" or row["hidden"] == "0")
        and all(size % 16 == 0 for size in sizes)
    )
