"""docs/calibrate.md: the columns, limits and coefficients that it names are those of the code."""

from __future__ import annotations

import re

from npuexplore.documents.shipped import shipped_folder
from npuexplore.pipeline.calibrate import EXAMPLE
from npuexplore.pipeline.calibrate.coefficients import ALL, PER_LAYER
from npuexplore.pipeline.calibrate.columns import SYNONYMS, TIMES, normalised, recognised
from npuexplore.pipeline.calibrate.left_out import LEVEL_FRAC
from npuexplore.pipeline.calibrate.plausible import FURTHEST
from npuexplore.pipeline.calibrate.shapes import KINDS, WIDTHS

PAGE = (shipped_folder("hw_profiles").parent / "docs" / "calibrate.md").read_text(encoding="utf-8")
COLUMNS = PAGE.partition("| column | also called | holds |")[2].partition("\n\n")[0]


def test_every_column_is_described_and_every_described_name_is_known() -> None:
    rows = [line.split("|")[1:3] for line in COLUMNS.splitlines()[2:]]
    named = [name for first, _ in rows for name in re.findall(r"`([^`]+)`", first)]
    others = [name for _, second in rows for name in re.split(r"[,;]| or | beside ", second.replace("`", ""))]
    known = {name for names in (*SYNONYMS.values(), *TIMES.values()) for name in names}

    assert {normalised(name) for name in named} <= known
    assert all(set(named) & set(names) for meaning, names in SYNONYMS.items() if meaning != "clock_hz"
               and meaning != "sparsity_pct")  # fmt: skip
    for other in filter(None, map(normalised, others)):
        of = recognised([other]).of
        assert of or other in ("latency", "unit"), other


def test_kinds_coefficients_and_limits_are_those_of_the_code() -> None:
    for kind in re.findall(r"fc_s\d+|lstm_s\d+|gru_s\d+", PAGE):
        name, width = kind.rsplit("_", 1)
        assert name in KINDS
        assert f"_{width}" in WIDTHS
    assert all(each.key in PAGE for each in ALL)
    assert f"{100 * LEVEL_FRAC:.0f} % of measurements" in PAGE
    assert f"{FURTHEST:.0f} times its estimate" in PAGE
    assert all(each.most_error_frac == 0.1 for each in ALL if each.is_ratio)
    assert "must be at most 10 %" in PAGE
    assert f"at most {100 * PER_LAYER.most_error_frac:.0f} % of the cycles of a 64x64 layer" in " ".join(
        PAGE.split()
    )


def test_the_example_has_the_rows_that_the_page_asks_for() -> None:
    for row in (
        "fc,32,32",
        "fc,64,64",
        "fc,256,256",
        "lstm,16,32",
        "lstm,128,128",
        "fc,128,128,block,0.8,4x16",
    ):
        assert row in EXAMPLE
