"""Published latencies of Cortex-M boards, a source in every row, against the counted kernels."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from statistics import median

import pytest

from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.verify import replay_folder
from npuexplore.pipeline.verify.published_tinylstms import operations, smaller_and_fewer
from npuexplore.workload.load import load_network

KEPT = Path(__file__).parent / "published_cortexm.csv"
SCORED_BOARDS = {"stm32l4r5", "numaker-m467", "stm32u575", "nrf5340", "stm32h7a3"}
SCORED_ROWS = 13


def replayed(folder: Path):
    document = replay_folder(folder)
    return document["files"]["published_cortexm"], document["skipped"]


def changed(folder: Path, edit) -> Path:
    """The kept rows with an edit to each, in a folder of their own."""
    with KEPT.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        edit(row)
    with (folder / KEPT.name).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silicon")
    shutil.copy(KEPT, folder)
    return replayed(folder)


def scored(file):
    return [row for row in file["rows_table"] if row["scored"]]


def test_scored_boards_are_within_a_fifth_on_average_by_other_boards_factors(table):
    file, _ = table
    assert {row["board"] for row in scored(file)} == SCORED_BOARDS
    assert len(scored(file)) == SCORED_ROWS
    assert file["quantities"]["latency_ms"]["mean_error_pct"] < 12.0
    assert file["quantities"]["latency_ms_zero_wait"]["mean_error_pct"] < 25.0


def test_a_falsified_row_makes_the_table_worse(tmp_path):
    def halve_the_nordic_board(row):
        if row["device"].startswith("NRF5340"):
            row["latency_ms"] = str(float(row["latency_ms"]) / 3)

    file, _ = replayed(changed(tmp_path, halve_the_nordic_board))

    assert file["quantities"]["latency_ms"]["mean_error_pct"] > 20.0


def test_the_factor_of_a_board_does_not_depend_on_its_own_rows(tmp_path, table):
    def slow_down_the_l4r5(row):
        if "L4R5" in row["device"]:
            row["latency_ms"] = str(5 * float(row["latency_ms"]))

    slowed, _ = replayed(changed(tmp_path, slow_down_the_l4r5))

    for before, after in zip(table[0]["rows_table"], slowed["rows_table"], strict=True):
        same = before["factor"] == pytest.approx(after["factor"])
        assert same == (before["board"] == "stm32l4r5" or before["core"] != "Cortex-M4")


@pytest.mark.parametrize("board", sorted(SCORED_BOARDS))
def test_a_profile_has_the_median_factor_of_its_boards_rows(board, table):
    rows = [row for row in scored(table[0]) if row["board"] == board]
    factor = median(row["measured_ms"] / row["zero_wait_ms"] for row in rows)

    assert load_profile(board).engine.memory_wait_ratio == pytest.approx(factor, rel=0.01)


def test_rows_without_a_shape_are_named_one_by_one(table):
    file, skipped = table
    assert file["rows"] + len(skipped) == len(KEPT.read_text(encoding="utf-8").splitlines()) - 1
    assert len(skipped) == 8
    assert all("shape of the network is not stated" in sentence for sentence in skipped)


def test_every_row_far_off_has_a_note(table):
    assert all(row["note"] for row in table[0]["rows_table"] if abs(row["error_pct"]) > 10)


def test_tinylstms_latencies_follow_from_our_operation_counts(table):
    figures = table[0]["quantities"]["latency_ms_at_paper_rate"]
    rows = [row for row in table[0]["rows_table"] if row["paper_rate_ms"] is not None]

    assert [row["measured_ms"] for row in rows] == [12.52, 4.26, 2.39]
    assert figures["max_abs_error_pct"] < 1.0
    assert not any(row["scored"] for row in rows)
    assert [row["ours_ms"] for row in rows] == pytest.approx([9.35, 3.38, 1.90], rel=0.03)


def test_the_pruned_network_is_as_small_as_the_paper_says():
    pruned = load_network("tinylstm-pruned")
    smaller, fewer = smaller_and_fewer(pruned)

    assert smaller == pytest.approx(11.9, rel=0.01)
    assert fewer == pytest.approx(12.52 / 4.26, rel=0.02)
    assert operations(pruned) == 2 * 326_176 + 13 * 280 + 128


def test_rows_that_nothing_is_known_of_are_left_out_with_a_reason(tmp_path):
    def name_what_nobody_knows(row):
        if "Tiny" in row["workload"] and "AD" not in row["workload"]:
            row["device"] = "some board"
        elif row["core"] == "Cortex-M7":
            row["core"] = "Cortex-M99"
        elif row["core"] == "Cortex-M33":
            row["clock_mhz"] = "0"

    file, skipped = replayed(changed(tmp_path, name_what_nobody_knows))

    assert {row["core"] for row in file["rows_table"]} == {"Cortex-M4", "Cortex-M85"}
    for reason in ("no profile of the board", "no kernels are known for Cortex-M99", "without a clock"):
        assert any(reason in sentence for sentence in skipped), reason
