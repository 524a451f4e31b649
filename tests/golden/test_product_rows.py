"""Fully connected and SVDF kernels of every core and toolchain against what was counted, at odd sizes."""

from __future__ import annotations

import csv
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pandas as pd
import pytest

from npuexplore.documents.shipped import shipped_folder
from npuexplore.pipeline.verify import replay_file
from npuexplore.pipeline.verify.cortexm_fc import run

PATH = Path(__file__).parent / "cortexm_fc.csv"
with PATH.open() as stream:
    ROWS = list(csv.DictReader(stream))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(list(row.values())[:7]))
def test_a_kernel_takes_the_cycles_that_were_counted(row: dict[str, str]) -> None:
    sizes = {name: int(row[name]) for name in ("in", "out", "hidden", "T")}
    table = pd.DataFrame([{**row, **sizes}])

    (ours,) = run(table, PATH)["est_cycles"]

    assert ours == pytest.approx(float(row["est_cycles"]), rel=float(row["tolerance_frac"])), row["source"]


@pytest.mark.shared
def test_all_counted_shapes_are_met(shared_folder: Path) -> None:
    document, left_out = replay_file(shared_folder / "reference/cortexm/cortexm_fc.csv")

    groups = {
        group["where"]["kernel"]: group
        for group in document["quantities"]["est_cycles"]["groups"]
        if list(group["where"]) == ["kernel"]
    }
    assert left_out == []
    assert groups["fc_s8"]["mean_error_pct"] <= 0.1
    assert groups["fc_s8"]["max_abs_error_pct"] <= 2
    assert groups["fc_s16"]["max_abs_error_pct"] <= 0.1
    assert groups["fc_s4"]["max_abs_error_pct"] <= 1.5
    assert groups["fc_s8_perch"]["max_abs_error_pct"] <= 1
    assert groups["svdf_s8"]["max_abs_error_pct"] <= 0.2


@pytest.mark.shared
def test_cycles_per_mac_tend_to_those_of_the_hot_loops(shared_folder: Path) -> None:
    document, left_out = replay_file(shared_folder / "reference/cortexm/hot_loops.csv")

    figures = document["quantities"]["asymptotic_est_cycles_per_mac"]
    assert figures["mean_error_pct"] <= 0.3
    assert figures["max_abs_error_pct"] <= 2
    assert len(left_out) == 1


@pytest.mark.shared
@pytest.mark.parametrize("name", ["product", "svdf"])
def test_the_shipped_tables_are_what_the_fit_writes(
    name: str, shared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "kernel_fits" / f"{name}.py"
    shipped = shipped_folder("hw_profiles") / "kernels" / f"{name}.json"
    spec = spec_from_file_location(f"{name}_fit", script)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    table = pd.read_csv(shared_folder / "reference/cortexm/cortexm_fc.csv")

    fitted = module.kernels_of(table)

    assert json.loads(json.dumps(fitted)) == json.loads(shipped.read_text())["kernels"]
