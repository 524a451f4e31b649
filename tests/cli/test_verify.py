"""`npuexplore verify`: its document, its tables, and broken reference files."""

import json
import shutil
from pathlib import Path

import pytest

KEPT = Path(__file__).parents[1] / "golden" / "vela"
FIGURES = {"exact_frac", "mean_error_pct", "p95_error_pct", "max_abs_error_pct", "within_2pct_frac"}


def kept_lines(count=4):
    return (KEPT / "vela_fc.csv").read_text().splitlines()[: count + 1]


def write(lines, name="vela_fc.csv"):
    Path("reference").mkdir(exist_ok=True)
    Path("reference", name).write_text("\n".join(lines) + "\n")


def test_the_document_names_files_quantities_groups_and_what_was_skipped(cli, inside):
    write(kept_lines())
    write(["anything"], "notes.csv")

    outcome = cli("verify", "reference", "--json")

    document = json.loads(outcome.out)
    assert outcome.code == 0
    assert document["schema"] == "npuexplore.verify/1"
    assert document["skipped"] == ["notes.csv"]
    file = document["files"]["vela_fc"]
    assert file["rows"] == 4
    assert set(file["quantities"]["op_cycles"]) == FIGURES | {"groups"}
    group = file["quantities"]["npu_cycles"]["groups"][0]
    assert set(group) == FIGURES | {"where", "rows"}
    assert set(group["where"]) == {"accelerator", "system_config", "memory_mode"}


def test_people_get_a_table(cli, inside):
    write(kept_lines())

    outcome = cli("verify", "reference")

    assert outcome.code == 0
    assert "vela_fc: 4 rows" in outcome.out
    assert "npu_cycles" in outcome.out


def test_a_wrong_reference_is_told_from_a_right_one(cli, inside):
    header, first, *rest = kept_lines()
    place = header.split(",").index("npu_cycles")
    cells = first.split(",")
    cells[place] = str(2 * int(cells[place]))
    write([header, ",".join(cells), *rest])

    figures = json.loads(cli("verify", "reference", "--json").out)["files"]["vela_fc"]["quantities"]

    assert figures["npu_cycles"]["exact_frac"] == 0.75
    assert figures["npu_cycles"]["max_abs_error_pct"] == 50.0
    assert figures["op_cycles"]["exact_frac"] == 1.0


def cell(name, value):
    header, first, *rest = kept_lines()
    cells = first.split(",")
    cells[header.split(",").index(name)] = value
    return [header, ",".join(cells), *rest]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "empty"),
        (kept_lines(0), "no rows"),
        (["a,b", "1,2"], "columns accelerator"),
        (cell("in_features", "many"), "vela_fc.csv:2: in_features: got 'many'"),
        (cell("in_features", "-3"), "vela_fc.csv:2: in_features: got '-3'"),
        (cell("weight_bytes", "nan"), "weight_bytes: got 'nan'"),
        (cell("accelerator", "ethos-u99"), "accelerator: got 'ethos-u99'"),
        (cell("system_config", "Elsewhere"), "system_config: got"),
        (cell("memory_mode", "Dedicated"), "memory_mode: got 'Dedicated'"),
        (cell("ofm_depth_slices", "0|7|3"), "ofm_depth_slices: got '0|7|3'"),
        (cell("bits", "5"), "bits: got '5'"),
        ([*kept_lines(2), "1,2,3"], "vela_fc.csv"),
        ([*kept_lines(1), '"' + kept_lines(2)[2]], "vela_fc.csv"),
    ],
)
def test_a_broken_file_is_bad_input_in_one_sentence(cli, inside, lines, said):
    Path("reference").mkdir()
    Path("reference/vela_fc.csv").write_text("\n".join(lines) + "\n" if lines else "")

    outcome = cli("verify", "reference")

    assert outcome.code == 3
    assert said in outcome.sentence


def test_bytes_that_are_no_text_are_bad_input(cli, inside):
    Path("reference").mkdir()
    Path("reference/vela_fc.csv").write_bytes(b"\xff\xfe\x00\x80" * 9)

    assert cli("verify", "reference").code == 3


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_folder_without_files_is_bad_input(cli, inside, folder):
    Path("empty").mkdir()

    outcome = cli("verify", folder)

    assert outcome.code == 3
    assert folder in outcome.sentence


def test_an_lstm_command_beyond_its_steps_is_bad_input(cli, inside):
    Path("reference").mkdir()
    shutil.copy(KEPT / "vela_lstm.csv", "reference/vela_lstm.csv")
    header, *lines = Path("reference/vela_lstm.csv").read_text().splitlines()
    place = header.split(",").index("op_index")
    cells = lines[0].split(",")
    cells[place] = "99"
    write([header, ",".join(cells), *lines[1:3]], "vela_lstm.csv")

    outcome = cli("verify", "reference")

    assert outcome.code == 3
    assert "op_index: got 99" in outcome.sentence
