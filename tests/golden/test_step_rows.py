"""Recurrent layers and element-wise passes of every core and toolchain against what was counted."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from npuexplore.pipeline.verify import cortexm_elementwise, cortexm_lstm, replay_file

FOLDER = Path(__file__).parent


def _rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open() as stream:
        return list(csv.DictReader(stream))


def _name(row: dict[str, str]) -> str:
    return "-".join(value for key, value in row.items() if key not in ("tolerance_frac", "source"))


@pytest.mark.parametrize("row", _rows("cortexm_lstm.csv"), ids=_name)
def test_a_recurrent_layer_takes_the_cycles_that_were_counted(row: dict[str, str]) -> None:
    sizes = {name: int(row[name]) for name in ("in", "hidden", "T")}

    (ours,) = cortexm_lstm.run(pd.DataFrame([{**row, **sizes}]), FOLDER)["est_cycles"]

    assert ours == pytest.approx(float(row["est_cycles"]), rel=float(row["tolerance_frac"])), row["source"]


@pytest.mark.parametrize("row", _rows("cortexm_elementwise.csv"), ids=_name)
def test_a_pass_takes_the_cycles_that_were_counted(row: dict[str, str]) -> None:
    (ours,) = cortexm_elementwise.run(pd.DataFrame([{**row, "n": int(row["n"])}]), FOLDER)["est_cycles"]

    assert ours == pytest.approx(float(row["est_cycles"]), rel=float(row["tolerance_frac"])), row["source"]


@pytest.mark.shared
def test_all_counted_layers_are_met(shared_folder: Path) -> None:
    document, left_out = replay_file(shared_folder / "reference/cortexm/cortexm_lstm.csv")

    groups = document["quantities"]["est_cycles"]["groups"]
    assert left_out == []
    assert max(group["mean_error_pct"] for group in groups) <= 0.25
    assert max(group["max_abs_error_pct"] for group in groups) <= 0.7


@pytest.mark.shared
def test_all_counted_passes_are_met(shared_folder: Path) -> None:
    document, left_out = replay_file(shared_folder / "reference/cortexm/cortexm_elementwise.csv")

    figures = document["quantities"]["est_cycles"]
    assert left_out == []
    assert max(group["mean_error_pct"] for group in figures["groups"]) <= 2
    assert figures["max_abs_error_pct"] <= 7
