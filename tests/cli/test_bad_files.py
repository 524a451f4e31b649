"""Bad YAML, JSON and paths: one sentence with its place, exit code 3."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_study
import yaml
from command_line import ESTIMATE, everything_in

from npuexplore.documents.shipped import shipped_folder

PROFILE = (shipped_folder("hw_profiles") / "micronpu-block16.yaml").read_text()
NETWORK = yaml.safe_dump(tiny_study.NETWORK, sort_keys=False)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (NETWORK + "colour: red\n", "colour"),
        (NETWORK + "bands: 16\n", "given twice"),
        (NETWORK.replace("bands: 16", "bands: -16"), "bands: got -16"),
        (NETWORK.replace("bands: 16", "bands: 99999999"), "bands: got 99999999"),
        (NETWORK.replace("hidden_units: 8", "hidden_units: 1e9", 1), "1e9"),
        (NETWORK.replace("bands: 16", "bands: 0x10"), "write it in base 10 (16)"),
        (NETWORK.replace("hop_samples: 256", "hop_samples: 300"), "must divide"),
        ("", "empty"),
        ("- 1\n", "a list"),
        ("a: [\n", "not YAML"),
        ("a: !!python/object:os.system x\n", "tag"),
        ("\0", "not text"),
    ],
)
def test_a_bad_network_file_is_bad_input_with_its_place(cli, inside, text, place):
    Path("net.yaml").write_text(text)
    outcome = cli("estimate", "--profile", "stm32f746", "--network", "net.yaml")
    assert outcome.code == 3
    assert outcome.sentence.startswith("net.yaml")
    assert place in outcome.sentence
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("clock_hz: 200000000", "clock_hz: -1", "clock_hz: got -1"),
        ("clock_hz: 200000000", "clock_hz: 200e6", "write 200000000"),
        ("clock_hz:", "clock_herz:", "did you mean"),
        ("clock_hz: 200000000", "clock_hz: 200000000\nclock_hz: 1", "given twice"),
    ],
)
@pytest.mark.parametrize("verb", ["show", "check"])
def test_a_bad_profile_file_is_bad_input_with_its_place(cli, inside, verb, old, new, place):
    assert old in PROFILE
    Path("part.yaml").write_text(PROFILE.replace(old, new))
    outcome = cli("profile", verb, "part.yaml")
    assert outcome.code == 3
    assert outcome.sentence.startswith("part.yaml:")
    assert place in outcome.sentence


@pytest.mark.parametrize(
    "text",
    ["layers: {lstm_9: {structure: weight, sparsity_frac: 0.5}}", "layers: {fc_2: {structure: unit}}",
     "layers: {lstm_1: {structure: block}}", "skip_rate_frac: 2.0", "layer: {}"],
)  # fmt: skip
def test_a_plan_that_does_not_fit_its_network_is_bad_input(cli, inside, text):
    Path("plan.yaml").write_text(text)
    assert cli(*ESTIMATE, "--plan", "plan.yaml").sentence
    assert cli(*ESTIMATE, "--plan", "plan.yaml").code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("estimate", "--profile", "{}", "--network", "tinylstm"),
        ("estimate", "--profile", "stm32f746", "--network", "{}"),
        (*ESTIMATE, "--plan", "{}"),
        ("profile", "show", "{}"),
        ("profile", "check", "{}"),
        ("study", "run", "{}"),
        ("train", "{}"),
        ("study", "status", "{}"),
        ("study", "resume", "{}"),
        ("report", "{}"),
        ("enhance", "{}", "in.wav", "out.wav"),
        ("evaluate", "{}", "--clean", "c", "--noisy", "n"),
        ("data", "inspect", "{}"),
    ],
)
@pytest.mark.parametrize("what", ["missing.yaml", "missing.npz", "folder", "empty", "x" * 300, ""])
def test_anything_in_place_of_a_file_is_bad_input(cli, inside, arguments, what):
    Path("folder").mkdir()
    Path("empty").touch()
    outcome = cli(*(argument.replace("{}", what) for argument in arguments))
    assert outcome.code == 3, outcome.err
    assert outcome.sentence
    assert outcome.out == ""
    assert everything_in(inside) == ["empty", "folder"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "npuexplore.results/0"}', '{"schema": 3}'])
def test_results_of_another_kind_are_refused(cli, inside, finished, tiny, recordings, text):
    shutil.copytree(finished, inside / "runs" / "tiny")
    (inside / "runs" / "tiny" / "results.json").write_text(text)
    for arguments in (("report", "runs/tiny"), ("study", "run", tiny, "--data", recordings)):
        outcome = cli(*arguments)
        assert outcome.code == 3
        assert "not results of this version" in outcome.sentence


@pytest.mark.parametrize("key", ["study", "baseline", "picks", "front", "profile"])
def test_results_with_holes_are_refused(cli, inside, finished, tiny, recordings, key):
    shutil.copytree(finished, inside / "runs" / "tiny")
    results = inside / "runs" / "tiny" / "results.json"
    whole = json.loads(results.read_text())
    results.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
    assert cli("report", "runs/tiny").code == 3
    assert cli("study", "run", tiny, "--data", recordings).code == 3
