"""`npuexplore verify` on counted recurrent layers and element-wise passes: groups, broken cells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

KEPT = Path(__file__).parents[1] / "golden"


@pytest.fixture
def folder(inside):
    Path("reference").mkdir()
    return Path("reference")


@pytest.mark.parametrize(("name", "worst_pct"), [("cortexm_lstm", 0.7), ("cortexm_elementwise", 7)])
def test_counted_rows_are_replayed_by_kernel_and_core(cli, folder, name, worst_pct):
    shutil.copy(KEPT / f"{name}.csv", folder)

    outcome = cli("verify", "reference", "--json")

    assert outcome.code == 0
    document = json.loads(outcome.out)
    figures = document["files"][name]["quantities"]["est_cycles"]
    assert figures["max_abs_error_pct"] < worst_pct
    assert {tuple(group["where"]) for group in figures["groups"]} == {
        ("kernel",),
        ("core", "toolchain", "kernel"),
    }
    assert document["skipped"] == []


@pytest.mark.parametrize(
    ("name", "was", "put", "said"),
    [
        ("cortexm_lstm", "m33,", "m99,", "cortexm_lstm.csv:2: core: got 'm99'"),
        ("cortexm_lstm", "gru_s8", "rnn_s8", "kernel: got 'rnn_s8'; allowed: gru_s8, lstm_s8"),
        ("cortexm_lstm", ",1,1,", ",1,2,", "stateful: got '2'; allowed: 0, 1"),
        ("cortexm_lstm", ",17,", ",-17,", "hidden: got '-17'; give a whole number"),
        ("cortexm_elementwise", "clang22-O3", "armcc", "toolchain: got 'armcc'"),
        ("cortexm_elementwise", "act_sigmoid_s16,", "act_gelu_s16,", "kernel: got 'act_gelu_s16'"),
        ("cortexm_elementwise", ",n,", ",count,", "columns n are missing"),
    ],
)
def test_a_broken_cell_is_named_with_its_line(cli, folder, name, was, put, said):
    header, first, *_ = (KEPT / f"{name}.csv").read_text().splitlines()
    text = f"{header}\n{first}\n"
    assert was in text
    (folder / f"{name}.csv").write_text(text.replace(was, put, 1))

    outcome = cli("verify", "reference")

    assert outcome.code == 3
    assert said in outcome.sentence
