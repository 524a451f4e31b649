"""`npuexplore verify` on counted Cortex-M kernels: fractional and missing references, broken cells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

KEPT = Path(__file__).parents[1] / "golden" / "cortexm_fc.csv"
HOT = "core,toolchain,kernel,asymptotic_est_cycles_per_mac"
HOT_ROWS = ["m4,clang22-O3,fc_s8,3.0012", "m4,clang22-O3,fc_s16,", "m4,clang22-O3,gru_s8,"]


@pytest.fixture
def folder(inside):
    Path("reference").mkdir()
    return Path("reference")


def replayed(cli, name):
    outcome = cli("verify", "reference", "--json")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    return document["files"][name], document["skipped"]


def test_counted_products_are_replayed_by_kernel_core_and_inputs(cli, folder):
    shutil.copy(KEPT, folder)

    file, left_out = replayed(cli, "cortexm_fc")

    figures = file["quantities"]["est_cycles"]
    assert file["rows"] == len(KEPT.read_text().splitlines()) - 1
    assert figures["mean_error_pct"] < 0.2
    assert {tuple(group["where"]) for group in figures["groups"]} == {
        ("kernel",),
        ("core", "toolchain", "kernel"),
        ("kernel", "inputs"),
    }
    assert left_out == []


def test_a_reference_that_is_no_whole_number_is_compared_as_it_is(cli, folder):
    header, first, *_ = KEPT.read_text().splitlines()
    cells = dict(zip(header.split(","), first.split(","), strict=False))
    doubled = first.replace(cells["est_cycles"], str(2 * float(cells["est_cycles"])))
    (folder / "cortexm_fc.csv").write_text("\n".join([header, doubled]) + "\n")

    file, _ = replayed(cli, "cortexm_fc")

    assert file["quantities"]["est_cycles"]["max_abs_error_pct"] == pytest.approx(50, abs=0.1)


def test_rows_without_a_reference_or_without_a_loop_of_their_own_are_left_out_with_a_sentence(cli, folder):
    (folder / "hot_loops.csv").write_text("\n".join([HOT, *HOT_ROWS]) + "\n")

    file, left_out = replayed(cli, "hot_loops")

    figures = file["quantities"]["asymptotic_est_cycles_per_mac"]
    assert file["rows"] == 2
    assert sum(group["rows"] for group in figures["groups"]) == 2
    assert figures["max_abs_error_pct"] < 0.1
    assert any("rows of gru_s8: 1" in sentence for sentence in left_out)
    assert any("not counted" in sentence for sentence in left_out)


@pytest.mark.parametrize(
    ("was", "put", "said"),
    [
        ("m33,", "m99,", "cortexm_fc.csv:2: core: got 'm99'"),
        ("clang22-O3", "gcc99", "toolchain: got 'gcc99'"),
        ("fc_s16", "fc_s2", "kernel: got 'fc_s2'"),
        (",19,", ",19.5,", "in: got '19.5'; give a whole number"),
        ("736.5", "soon", "est_cycles: got 'soon'; give a number"),
        ("736.5", "", "est_cycles: got ''; give a number"),
    ],
)
def test_a_broken_cell_is_named_with_its_line(cli, folder, was, put, said):
    header, first, *_ = KEPT.read_text().splitlines()
    (folder / "cortexm_fc.csv").write_text("\n".join([header, first.replace(was, put, 1)]) + "\n")

    outcome = cli("verify", "reference")

    assert outcome.code == 3
    assert said in outcome.sentence


def test_the_line_of_a_broken_reference_counts_rows_that_are_left_out(cli, folder):
    lines = [HOT, HOT_ROWS[2], "m4,clang22-O3,fc_s8,soon"]
    (folder / "hot_loops.csv").write_text("\n".join(lines) + "\n")

    assert "hot_loops.csv:3:" in cli("verify", "reference").sentence


def test_the_line_of_a_broken_cell_counts_rows_that_are_left_out_and_blank_lines(cli, folder):
    lines = [HOT, HOT_ROWS[2], "", "  ", HOT_ROWS[0].replace("m4,", "m99,", 1)]
    (folder / "hot_loops.csv").write_text("\n".join(lines) + "\n")

    assert "hot_loops.csv:5: core: got 'm99'" in cli("verify", "reference").sentence
