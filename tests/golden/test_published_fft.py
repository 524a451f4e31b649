"""CMSIS-DSP's FFTs against published cycle counts, which `benchmarks/kernel_fits/dsp.py` fits them to."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from npuexplore.cost.fft import complex_fft_cycles, real_fft_cycles
from npuexplore.cost.front_end import BANDS_OPS, SPREAD_OPS
from npuexplore.documents.shipped import shipped_folder
from npuexplore.hardware.kernels.dsp import DspKernel, dsp_kernel

HERE = Path(__file__).parent
FITTER = HERE.parents[1] / "benchmarks" / "kernel_fits" / "dsp.py"
with (HERE / "published_fft.csv").open() as stream:
    ROWS = list(csv.DictReader(stream))


def _one_call(kind: str, length: int, kernel: DspKernel) -> float:
    if kind == "bands":
        return length * BANDS_OPS * kernel.gathered_cycles_per_op
    if kind == "spread":
        return length * SPREAD_OPS * kernel.gathered_cycles_per_op
    return {"cfft": complex_fft_cycles, "rfft": real_fft_cycles}[kind](length, kernel)


def _ours(row: dict[str, str]) -> float:
    kernel, total = dsp_kernel(row["core"], row["arithmetic"]), 0.0
    for item in row["calls"].split("+"):
        times, _, call = item.partition("*")
        kind, _, length = call.partition(":")
        total += int(times) * _one_call(kind, int(length), kernel)
    return total


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: "-".join([row["core"], row["arithmetic"], row["calls"]])
)
def test_ffts_take_what_was_published(row: dict[str, str]) -> None:
    tolerance = float(row["tolerance_pct"]) / 100.0

    assert _ours(row) == pytest.approx(float(row["cycles"]), rel=tolerance), row["source"]


def test_the_table_is_what_the_fit_gives() -> None:
    shipped = json.loads((shipped_folder("hw_profiles") / "kernels" / "dsp.json").read_text())
    fitted = _fitter().table(HERE / "published_fft.csv")

    assert shipped["source"] == fitted["source"]
    for ours, theirs in zip(shipped["kernels"], fitted["kernels"], strict=True):
        assert {name: ours[name] for name in ("core", "arithmetic", "radix", "sources")} == {
            name: theirs[name] for name in ("core", "arithmetic", "radix", "sources")
        }
        assert ours["butterfly_cycles"] == pytest.approx(theirs["butterfly_cycles"], rel=1e-4)


def _fitter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_dsp", FITTER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
