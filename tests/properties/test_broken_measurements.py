"""Files of measurements with anything in them: a calibration or one sentence, never anything else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npuexplore.errors import NpuexploreError
from npuexplore.hardware.draft import drafted
from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.calibrate import EXAMPLE, Said, calibrate
from npuexplore.pipeline.calibrate.written import profile_text

PROFILE = load_profile("stm32f746")
LINES = EXAMPLE.splitlines()
CELLS = st.sampled_from(
    ["", "-1", "0", "1", "64", "0.5", "nan", "1e308", "1e-308", "9" * 40, "²", "fc", "lstm", "network",
     "dense", "block", "weight", "two_four", "unit", "4x16", "999x1", "tinylstm", "640-8", "1-1x64",
     "lstm8-9", "\x1b[2J", '"', "'", ",", "2026-01-31", "١٢", "on: # {", "*x", "\\"]
)  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_cell_is_used_or_refused_in_a_sentence(tmp_path: Path, data: st.DataObject) -> None:
    rows = [line.split(",") for line in LINES]
    for _ in range(data.draw(st.integers(1, 3))):
        line = data.draw(st.integers(2, len(rows) - 1))
        rows[line][data.draw(st.integers(0, len(rows[line]) - 1))] = data.draw(CELLS)
    text = "\n".join(",".join(row) for row in rows)
    assert_used_or_refused(tmp_path, text.encode())


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(EXAMPLE)), noise=st.binary(max_size=12), kept=st.integers(0, len(EXAMPLE)))
def test_torn_files_are_used_or_refused_in_a_sentence(
    tmp_path: Path, cut: int, noise: bytes, kept: int
) -> None:
    text = EXAMPLE.encode()
    assert_used_or_refused(tmp_path, text[:cut] + noise + text[kept:])


def assert_used_or_refused(folder: Path, content: bytes) -> None:
    path = folder / "measured.csv"
    path.write_bytes(content)
    refusal = None
    try:
        result = calibrate(path, PROFILE, said=Said(), today="2026-01-31")
    except NpuexploreError as error:
        refusal = str(error)
    if refusal is not None:
        assert refusal.startswith(str(path))
        return
    interval = result.calibration.interval
    assert 0 < interval.low_ratio < 1 < interval.high_ratio
    for each, value in result.values.items():
        assert each.least <= value <= each.most
    written = drafted(profile_text(result, "board", base="stm32f746"), folder / "board.yaml").profile
    assert written.calibration == result.calibration
