"""`npuexplore calibrate`: what it writes, and files of measurements that it refuses in one sentence."""

import json
from pathlib import Path

import pytest
from command_line import everything_in

from npuexplore.documents.shipped import shipped_folder

HEADER = "kind,inputs,outputs,cycles"
ROWS = ["fc,64,64,9700", "fc,128,128,34000", "fc,256,256,129000"]
BY_CLOCK = [
    "network,latency_ms,clock_mhz,core",
    "640-128x4-8-128x4-640,2.28,216,Cortex-M7",
    "256-128-64,0.35,216,Cortex-M7",
]


def write(lines, name="measured.csv"):
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def calibrated(cli, *arguments):
    return cli("calibrate", "measured.csv", "--profile", "stm32f746", "--output", "new.yaml", *arguments)


def refused(cli, lines, *arguments):
    """The sentence about a file of measurements, after which nothing else has been written."""
    write(lines)
    outcome = calibrated(cli, *arguments)
    assert outcome.code == 3, outcome.out
    assert outcome.out == ""
    assert everything_in(Path()) == ["measured.csv"]
    return outcome.sentence


def with_cell(value, *, header=HEADER):
    first, second, third = ROWS
    return [header, first, second.rpartition(",")[0] + f",{value}", third]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("many", "measured.csv:3: cycles: got 'many'; give one plain number"),
        (
            "34000 cycles",
            "measured.csv:3: cycles: got '34000 cycles'; give one plain number, the unit stands",
        ),
        ("12 000", "without separators"),
        ("-34000", "measured.csv:3: cycles: got -34000; give a number above 0"),
        ("0", "measured.csv:3: cycles: got 0"),
        ("nan", "measured.csv:3: cycles: got 'nan'"),
        ("inf", "measured.csv:3: cycles: got 'inf'"),
        ("1e999", "measured.csv:3: cycles: got '1e999'"),
        ("", "measured.csv:3: cycles: empty"),
        ("0.157", "measured.csv:3: cycles: got 0.157, 1/"),
        ("34000000", "measured.csv:3: cycles: got 34000000, 1,0"),
        ("1,2", "measured.csv:3: 5 cells under 4 headers"),
    ],
)
def test_a_cell_that_is_no_measurement_is_named_with_line_and_column(cli, inside, value, said):
    assert said in refused(cli, with_cell(value))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "measured.csv: empty"),
        ([HEADER], "a header but no rows"),
        ([HEADER, ROWS[0]], "measured.csv:2: the only row"),
        (["inputs,outputs,cycles", *(row[3:] for row in ROWS)], "measured.csv:1: column kind missing"),
        (["kind,cycles", "fc,1", "fc,2"], "columns inputs, outputs missing"),
        (["kind,inputs,outputs", "fc,1,1", "fc,2,2"], "no column of measurements"),
        (["kind,inputs,outputs,latency", *ROWS], "measured.csv:1: latency: in what unit?"),
        (["kind,inputs,outputs,cycles,cycles", *(f"{row},1" for row in ROWS)], "two columns have this name"),
        ([HEADER, *ROWS, "conv,3,3,100"], "measured.csv:5: kind: got 'conv'; allowed: fc"),
        ([HEADER, *ROWS, ",3,3,100"], "measured.csv:5: kind: empty"),
        ([HEADER, *ROWS, "fc,,3,100"], "measured.csv:5: inputs: empty"),
        ([HEADER, *ROWS, "fc,0,3,100"], "measured.csv:5: inputs: got 0"),
        ([HEADER, *ROWS, "fc,3.5,3,100"], "measured.csv:5: inputs: got 3.5; give a whole number"),
        ([HEADER, *ROWS, "fc,99999,3,100"], "measured.csv:5: inputs: got 99999"),
        ([HEADER, *ROWS, 'fc,"3,3,100'], "measured.csv:5: no CSV"),
        ([HEADER + ",activation", *(f"{row},sine" for row in ROWS)], "activation: got 'sine'"),
        ([HEADER + ",sparsity", *(f"{row},80" for row in ROWS)], "measured.csv:2: sparsity: got 80"),
        ([HEADER + ",structure", *(f"{row},block" for row in ROWS)], "structure: block, but how sparse?"),
        ([HEADER + ",structure", *(f"{row},unit" for row in ROWS)], "is a smaller one"),
        ([HEADER + ",block", *(f"{row},4by4" for row in ROWS)], "block: got '4by4'"),
        ([HEADER + ",weight_bits", *(f"{row},5" for row in ROWS)], "measured.csv:2: weight_bits"),
        ([HEADER + ",weight_bits", *(f"{row},2" for row in ROWS)], "measured.csv:2: weight_bits"),
        ([HEADER + ",memory_mode", *(f"{row},fast" for row in ROWS)], "memory_mode: got 'fast'; profile"),
        ([HEADER + ",clock_mhz", *(f"{row},0.01" for row in ROWS)], "clock_mhz: got 0.01"),
        ([HEADER + ",core", *(f"{row},Cortex-M4" for row in ROWS)], "core: got 'Cortex-M4', but the profile"),
        ([HEADER + ",macs", *(f"{row},5" for row in ROWS)], "macs: got 5, but the shape makes 4,096"),
        ([HEADER + ",steps", *(f"{row},0" for row in ROWS)], "steps: got 0"),
        (["network,ms", "nothing,2", "nothing,2"], "measured.csv:2: network: got 'nothing'"),
        (["network,ms", "absent.yaml,2", "absent.yaml,2"], "measured.csv:2: network: network 'absent.yaml'"),
        (["network,ms", "9-99999,2", "9-8,2"], "measured.csv:2: network: got '9-99999'"),
        (["network,ms", ",2", "9-8,2"], "measured.csv:2: kind: empty"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(cli, inside, lines, said):
    assert said in refused(cli, lines)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ["kind,inputs,outputs,cycles,ms", "fc,64,64,9700,", "fc,128,128,,0.157"],
            "measured.csv:3: cycles: empty, and ms is filled, while line 2 is in cycles",
        ),
        (
            ["kind,inputs,outputs,cycles,ms", "fc,64,64,9700,0.0449", "fc,128,128,34000,0.3"],
            "measured.csv:3: ms: got 0.3, which is 64,800 cycles at 216 MHz",
        ),
        (
            ["kind,inputs,outputs,ms", "fc,64,64,0.045", "fc,128,128,157"],
            "measured.csv:3: ms: got 157, 1,",
        ),
        (
            ["kind,inputs,outputs,ms", "fc,64,64,45", "fc,128,128,157"],
            "it would fit in us, so correct the unit in the header",
        ),
        (
            ["kind,inputs,outputs,latency_us", "fc,64,64,0.045", "fc,128,128,0.157"],
            "it would fit in ms",
        ),
        (["kind,inputs,outputs,cycles", "fc,64,64,45", "fc,128,128,157"], "it would fit in us"),
        (
            ["kind,inputs,outputs,latency,unit", "fc,64,64,45,us", "fc,128,128,0.157,ms"],
            "measured.csv:3: unit: got ms, while line 2 is in us; give one unit",
        ),
        (
            ["kind,inputs,outputs,latency,unit", "fc,64,64,45,us", "fc,128,128,157,ticks"],
            "measured.csv:3: unit: got 'ticks'; allowed: cycles, ms, us",
        ),
    ],
)
def test_mixed_or_mistaken_units_are_found(cli, inside, lines, said):
    assert said in refused(cli, lines)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", b"kind,inputs,outputs,cycles\nfc,1,1,\x00\n", b"\x89PNG\r\n" * 9, b"x" * 2**21],
)
def test_a_file_that_is_no_text_is_refused(cli, inside, content):
    Path("measured.csv").write_bytes(content)
    outcome = calibrated(cli)
    assert outcome.code == 3
    assert outcome.sentence.startswith("measured.csv")
    assert everything_in(inside) == ["measured.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--coefficients", "clock"), "--coefficients 'clock'"),
        (("--coefficients", "sparse,sparse"), "given twice"),
        (("--where", "colour=red"), "--where 'colour=red'"),
        (("--where", "kind=lstm"), "no row of measured.csv matches"),
        (("--name", "both"), "give one of the two"),
        (("--date", "yesterday"), "--date 'yesterday'"),
        (("--output", "new.txt"), "'new.txt'"),
        (("--output", "a b.yaml"), "'a b.yaml'"),
        (("--profile", "ethos-u55-128"), "calibrate takes Cortex-M profiles"),
        (("--profile", "micronpu-block16"), "calibrate takes Cortex-M profiles"),
    ],
)
def test_a_wrong_command_line_writes_nothing(cli, inside, arguments, said):
    write([HEADER, *ROWS])
    outcome = calibrated(cli, *arguments)
    assert outcome.code == 2
    assert said in outcome.sentence
    assert everything_in(inside) == ["measured.csv"]


def test_what_is_needed_is_asked_for(cli, inside):
    assert "MEASURED.csv: not given" in cli("calibrate", "--profile", "stm32f746").sentence
    assert "--profile: not given" in cli("calibrate", "measured.csv").sentence
    assert cli("calibrate", "absent.csv", "--profile", "stm32f746").code == 3


def test_a_coefficient_that_the_rows_cannot_tell_is_refused_with_the_measurement_to_add(cli, inside):
    sentence = refused(cli, [HEADER, *ROWS], "--coefficients", "memory_wait_ratio,elementwise")
    assert "engine.ratios.elementwise" in sentence
    assert "add an LSTM with few inputs" in sentence


def test_an_existing_profile_is_replaced_only_when_told_to(cli, inside):
    write([HEADER, *ROWS])
    Path("new.yaml").write_text("mine\n")
    outcome = calibrated(cli)
    assert (outcome.code, Path("new.yaml").read_text()) == (2, "mine\n")
    assert "new.yaml: exists already" in outcome.sentence
    outcome = calibrated(cli, "--force")
    assert outcome.code == 0
    assert "Replaced: new.yaml" in outcome.err
    again = cli("calibrate", "measured.csv", "--profile", "new.yaml", "--output", "new.yaml", "--force")
    assert "is the profile that is calibrated" in again.sentence


def test_the_document_and_the_profile_say_what_was_measured(cli, inside):
    write([HEADER + ",colour", *(f"{row},red" for row in ROWS)])
    outcome = calibrated(
        cli, "--json", "--board", "Board 3", "--stack", "yes: #1 'on'", "--date", "2026-01-31"
    )
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["schema"] == "npuexplore.calibrate/1"
    assert document["written"] == "new.yaml"
    assert document["ignored_columns"] == ["colour"]
    assert [row["line"] for row in document["rows"]] == [2, 3, 4]
    assert {"before", "after", "one_case_left_out"} <= set(document["errors"])
    assert document["errors"]["after"]["mean_error_pct"] < document["errors"]["before"]["mean_error_pct"]

    shown = json.loads(cli("profile", "show", "new.yaml", "--json").out)

    assert cli("profile", "check", "new.yaml").code == 0
    assert shown["calibration"] == document["calibration"]
    assert shown["calibration"]["board"] == "Board 3"
    assert shown["calibration"]["stack"] == "yes: #1 'on'"
    figures = {figure["key"]: figure for figure in shown["figures"]}
    wait = figures["engine.memory_wait_ratio"]
    assert wait["source"] == "measured"
    assert "2026-01-31: 3 measurements in measured.csv" in wait["cite"]


def test_every_estimate_of_the_new_profile_has_an_interval(cli, inside):
    write([HEADER, *ROWS])
    assert calibrated(cli).code == 0
    asked = ("estimate", "--profile", "new.yaml", "--network", "tinylstm")

    document = json.loads(cli(*asked, "--json").out)
    plain = json.loads(cli(*asked[:2], "stm32f746", *asked[3:], "--json").out)

    low, high = document["totals"]["latency_ms_interval"]
    assert low < document["totals"]["latency_ms"] < high
    low, high = document["totals"]["cycles_interval"]
    assert low < document["totals"]["cycles"] < high
    assert any(sentence.startswith("calibrated on 3 measurements") for sentence in document["assumptions"])
    assert plain["totals"]["latency_ms_interval"] is None
    assert set(plain["totals"]) == set(document["totals"])
    people = cli(*asked)
    assert "time, interval" in people.out
    assert "Assumed: calibrated on 3 measurements" in people.err


def test_a_profile_that_changes_what_was_measured_is_refused(cli, inside):
    write([HEADER, *ROWS])
    calibrated(cli)
    text = (
        "schema: npuexplore.profile/1\nname: other\nbased_on: [new.yaml]\nengine: {memory_wait_ratio: 3.0}\n"
        "sources: [{of: [engine.memory_wait_ratio], source: assumed, cite: guessed}]\n"
    )
    Path("other.yaml").write_text(text)
    outcome = cli("profile", "show", "other.yaml")
    assert outcome.code == 3
    assert "calibration.coefficients.engine.memory_wait_ratio" in outcome.sentence
    Path("other.yaml").write_text(
        text.replace("{memory_wait_ratio: 3.0}", "{toolchain: clang22-O3}").replace(
            "memory_wait_ratio", "core"
        )
    )
    assert "m7 gcc12.2-Ofast were measured" in cli("profile", "show", "other.yaml").sentence
    Path("other.yaml").write_text(text + "calibration: null\n")
    assert cli("profile", "show", "other.yaml").code == 0


def test_names_and_paths_of_the_new_profile(cli, inside, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(inside))
    write([HEADER, *ROWS])
    Path("deep").mkdir()
    asked = ("calibrate", "measured.csv", "--profile")
    assert cli(*asked, "stm32f746").code == 0
    assert cli(*asked, "stm32f746", "--name", "mine").code == 0
    assert cli(*asked, "stm32f746-calibrated.yaml", "--output", "deep/twice.yaml").code == 0
    assert cli("profile", "check", "mine").code == 0
    assert cli("profile", "check", "stm32f746-calibrated.yaml").code == 0
    assert "../stm32f746-calibrated.yaml" in Path("deep/twice.yaml").read_text()
    assert cli("profile", "check", "deep/twice.yaml").code == 0


@pytest.mark.parametrize(
    "lines",
    [
        [HEADER, *ROWS],
        ["# by hand", "Layer;In;Hidden Units;Cycles (DWT)", "dense;64;64;9700", "", "Linear;128;128;34000"],
        ["kind\tin_features\tunits\tTime [µs]", "fc_s8\t64\t64\t44.9", "fc_s8\t128\t128\t157.4"],
        ["type,layer,in,out,latency,Unit", "fc,a,64,64,44.9,µs", "fc,b,128,128,157.4,us"],
        BY_CLOCK,
    ],
)
def test_columns_are_recognised_by_many_names(cli, inside, lines):
    write(lines)
    outcome = calibrated(cli, "--json")
    assert outcome.code == 0, outcome.err
    assert set(json.loads(outcome.out)["ignored_columns"]) <= {"layer"}


def test_a_file_is_read_beside_a_byte_order_mark_and_other_line_ends(cli, inside):
    Path("measured.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEADER, *ROWS]).encode())
    assert calibrated(cli).code == 0


def test_the_commands_of_the_guide_run(cli, inside):
    page = (shipped_folder("hw_profiles").parent / "docs" / "calibrate.md").read_text(encoding="utf-8")
    block = page.partition("```\n")[2].partition("```")[0]
    commands = [line.partition("#")[0].split() for line in block.splitlines()]
    assert len(commands) == 3
    for _, *arguments in commands:
        outcome = cli(*arguments[: arguments.index(">")] if ">" in arguments else arguments)
        assert outcome.code == 0, outcome.err
        if ">" in arguments:
            Path(arguments[-1]).write_text(outcome.out)
    assert "time, interval" in outcome.out
