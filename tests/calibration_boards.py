"""Made-up boards: coefficients that are known, and measurements that follow from them with known errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate import Calibrated, Said, calibrate
from npuexplore.pipeline.calibrate.coefficients import ALL, Coefficient, engine_of
from npuexplore.pipeline.calibrate.measurements import measurements_of
from npuexplore.pipeline.calibrate.pricing import bench_of
from npuexplore.pipeline.calibrate.table import read_rows

HEADER = "kind,inputs,outputs,structure,sparsity,block,network,cycles"
FC = ["fc,32,32,,,,", "fc,64,64,,,,", "fc,128,128,,,,", "fc,256,256,,,,"]
LSTM = ["lstm,16,32,,,,", "lstm,16,64,,,,", "lstm,128,128,,,,"]
BLOCKS = ["fc,128,128,block,0.8,4x16,", "fc,256,256,block,0.8,4x16,"]
ALL_CASES = [*FC, *LSTM, *BLOCKS, "network,,,,,,tinylstm"]


def cycles_of(
    profile: HardwareProfile, cases: Sequence[str], path: Path, truth: Mapping[Coefficient, float]
) -> np.ndarray:
    """What cases take on a part with some true coefficients."""
    write(cases, np.ones(len(cases)), path)
    measurements = measurements_of(read_rows(path), clock_hz=profile.clock_hz)
    engine = engine_of(profile)
    bench = bench_of(profile, engine, measurements)
    return bench.estimated({each: each.of(engine) for each in ALL} | dict(truth))


def write(cases: Sequence[str], cycles: Sequence[float] | np.ndarray, path: Path) -> Path:
    lines = [HEADER, *(f"{case},{taken:.1f}" for case, taken in zip(cases, cycles, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def calibrated(path: Path, profile: str = "stm32f746", **options: object) -> Calibrated:
    return calibrate(path, load_profile(profile), said=Said(), today="2026-01-31", **options)  # type: ignore[arg-type]
