"""Whatever a user gets wrong is one sentence, a named exit code, and nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_study
import yaml
from command_line import program, run_program

from npuexplore.documents.shipped import shipped_folder
from npuexplore.pipeline import study as study_module

ESTIMATE = ("estimate", "--profile", "micronpu-block16", "--network", "tinylstm")


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ---- the command line itself


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("estimat",), "No such command 'estimat'"),
        (("estimate",), "Missing option '--profile'"),
        (("estimate", "--nonsense"), "No such option: --nonsense"),
        ((*ESTIMATE, "--sparsity", "half"), "Invalid value for '--sparsity'"),
        ((*ESTIMATE, "--structure", "diagonal", "--sparsity", "0.5"), "--structure 'diagonal': allowed are"),
        ((*ESTIMATE, "--structure", "weight"), "--structure weight: how sparse?"),
        ((*ESTIMATE, "--sparsity", "0.5"), "--sparsity 0.5: of what?"),
        ((*ESTIMATE, "--structure", "weight", "--sparsity", "1"), "--sparsity 1: allowed is 0 to below 1"),
        ((*ESTIMATE, "--structure", "weight", "--sparsity", "-0.1"), "--sparsity -0.1: allowed is"),
        ((*ESTIMATE, "--structure", "weight", "--sparsity", "nan"), "--sparsity nan: allowed is"),
        ((*ESTIMATE, "--structure", "weight", "--sparsity", "inf"), "--sparsity inf: allowed is"),
        ((*ESTIMATE, "--structure", "block", "--sparsity", "0.5", "--block", "0x4"), "--block '0x4': write"),
        ((*ESTIMATE, "--structure", "block", "--sparsity", "0.5", "--block", "999x9"), "--block '999x9'"),
        (
            (*ESTIMATE, "--structure", "weight", "--sparsity", "0.5", "--block", "1x4"),
            "--block 1x4: goes with",
        ),
        ((*ESTIMATE, "--weight-bits", "7"), "--weight-bits 7: allowed are 4 and 8"),
        ((*ESTIMATE, "--activation-bits", "4"), "--activation-bits 4: allowed are 8 and 16"),
        ((*ESTIMATE, "--skip-rate", "1"), "--skip-rate 1: allowed is 0 to below 1"),
        ((*ESTIMATE, "--memory-mode", "dream"), "memory mode: got 'dream'; profile micronpu-block16 has"),
        ((*ESTIMATE, "--plan", "x.yaml", "--weight-bits", "8"), "--plan and --weight-bits"),
        (("study", "run", "quickstart", "--workers", "0"), "Invalid value for '--workers'"),
        (("study", "run", "quickstart", "--name", "../up"), "--name '../up': not a folder name"),
        (("study", "run", "quickstart", "--name", ""), "--name '': not a folder name"),
        (("study", "run", "hearing-aid"), "give its folder with --data FOLDER"),
        (("data", "inspect", ".", "--rate", "1"), "Invalid value for '--rate'"),
        (("data", "synth", "x", "--seed", "-1"), "Invalid value for '--seed'"),
    ],
)
def test_a_wrong_command_line_is_usage(cli, inside, arguments, sentence):
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert sentence in outcome.sentence
    assert outcome.out == ""
    assert everything_in(inside) == []


@pytest.mark.parametrize("arguments", [(), ("study",), ("profile",), ("data",)])
def test_without_a_verb_the_help_is_shown(cli, arguments):
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert "Usage: npuexplore" in outcome.out + outcome.err


# ---- YAML

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


# ---- sound


def spoil_stereo(path):
    import soundfile

    soundfile.write(path, np.zeros((16_000, 2)) + 0.1, 16_000)


def spoil_nan(path):
    import soundfile

    soundfile.write(path, np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")


def spoil_rate(path):
    import soundfile

    soundfile.write(path, np.zeros(4_000) + 0.1, 4_000)


def spoil_truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def spoil_directory(path):
    path.unlink()
    path.mkdir()


SPOILERS = {
    "2 channels": spoil_stereo,
    "not numbers": spoil_nan,
    "sample rate of 4000 Hz": spoil_rate,
    "truncated": spoil_truncated,
    "0 bytes": lambda path: os.truncate(path, 0),
    "cannot be read as WAV": lambda path: path.write_text("no sound at all"),
}


@pytest.fixture
def spoilt(inside, recordings):
    """A function that spoils one speech file of a copy of the recordings."""

    def spoil(problem):
        shutil.copytree(recordings, inside / "data")
        SPOILERS[problem](inside / "data" / "speech" / "bert_1.wav")
        return everything_in(inside)

    return spoil


@pytest.mark.parametrize("problem", SPOILERS)
def test_a_study_with_a_bad_sound_file_leaves_nothing_behind(cli, spoilt, inside, tiny, problem):
    before = spoilt(problem)
    for verb in (("study", "run"), ("train",)):
        outcome = cli(*verb, tiny, "--data", "data")
        assert outcome.code == 3
        assert outcome.sentence.startswith("data/speech/bert_1.wav: ")
        assert problem in outcome.sentence
    assert everything_in(inside) == before


@pytest.mark.parametrize("problem", SPOILERS)
def test_inspecting_enhancing_and_scoring_a_bad_sound_file_is_bad_input(
    cli, spoilt, finished, inside, problem
):
    before = spoilt(problem)
    bad = "data/speech/bert_1.wav"
    for arguments in (
        ("data", "inspect", "data"),
        ("enhance", f"{finished}:baseline", bad, "out.wav"),
        ("evaluate", f"{finished}:baseline", "--clean", "data/speech", "--noisy", "data/speech"),
    ):
        outcome = cli(*arguments)
        assert outcome.code == 3
        assert outcome.sentence.startswith(bad)
        assert problem in outcome.sentence
        assert outcome.out == ""
    assert everything_in(inside) == before


def test_a_file_name_that_is_no_text_is_bad_input(cli, inside, tiny, recordings):
    shutil.copytree(recordings, inside / "data")
    try:
        os.rename("data/speech/bert_1.wav", b"data/speech/bert_\xff.wav")
    except OSError:
        pytest.skip("this file system keeps no such name")
    for arguments in (("study", "run", tiny, "--data", "data"), ("data", "inspect", "data")):
        outcome = cli(*arguments)
        assert outcome.code == 3
        assert "is not UTF-8; rename it" in outcome.sentence


def test_a_name_with_line_breaks_and_escapes_stays_on_one_line(cli, inside):
    outcome = cli("data", "inspect", "a\nb\x1b[31m")
    assert outcome.code == 3
    assert outcome.sentence.startswith("a?b?[31m: no such folder")


@pytest.mark.parametrize("output", [("--json",), ()])
def test_a_terminal_without_utf_8_shows_what_it_can(output):
    outcome = run_program(*ESTIMATE, *output, environment={"PYTHONIOENCODING": "ascii"})
    assert outcome.code == 0
    assert outcome.out.isascii()


def test_a_study_whose_data_was_mended_goes_on_without_ado(
    cli, spoilt, inside, tiny, recordings, monkeypatch
):
    spoilt("truncated")
    assert cli("study", "run", tiny, "--data", "data").code == 3
    shutil.copy(recordings / "speech" / "bert_1.wav", "data/speech/bert_1.wav")
    monkeypatch.setattr(study_module, "_run_stages", lambda *_: None)
    assert cli("train", tiny, "--data", "data").code == 0


@pytest.mark.parametrize("shape", ["nothing", "no noise", "two speakers", "two noises", "pairs alone"])
def test_a_folder_that_cannot_teach_is_bad_input(cli, inside, tiny, recordings, shape):
    data = inside / "data"
    if shape == "nothing":
        data.mkdir()
    else:
        shutil.copytree(recordings, data)
    if shape == "no noise":
        shutil.rmtree(data / "noise")
    if shape == "two speakers":
        for path in (*data.glob("speech/anna*"), *data.glob("speech/bert*")):
            path.unlink()
    if shape == "two noises":
        for number in (0, 1):
            (data / "noise" / f"hiss_{number}.wav").unlink()
    if shape == "pairs alone":
        shutil.rmtree(data / "noise")
        (data / "speech").rename(data / "clean")
        shutil.copytree(data / "clean", data / "noisy")
    outcome = cli("study", "run", tiny, "--data", data)
    assert outcome.code == 3
    assert outcome.sentence
    assert not (inside / "runs" / "tiny").exists()


# ---- studies


def test_a_study_that_nothing_fits_says_so_before_it_reads_any_sound(
    cli, inside, tiny, recordings, monkeypatch
):
    monkeypatch.setattr(study_module, "gather", lambda *_, **__: pytest.fail("the data was read"))
    study = tiny_study.write_study(inside / "hard", limits={"deadline_share_frac": 0.001})
    outcome = cli("study", "run", study, "--data", recordings)
    assert outcome.code == 1
    assert "latency_ms" in outcome.sentence
    assert not (inside / "runs").exists()


@pytest.mark.parametrize("verb", [("study", "run"), ("train",), ("search",), ("retrain",)])
def test_a_memory_that_is_all_reserved_fits_nothing(cli, inside, recordings, verb):
    study = tiny_study.write_study(inside / "hard", limits={"reserved_flash_bytes": 10**12})
    outcome = cli(*verb, study, "--data", recordings)
    assert outcome.code == 1
    assert "limits.reserved_flash_bytes" in outcome.sentence
    assert not (inside / "runs").exists()


def test_without_the_demo_voices_the_extra_is_named_and_nothing_is_written(cli, inside, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    for arguments in (("study", "run", "quickstart"), ("data", "synth", "voices")):
        outcome = cli(*arguments)
        assert outcome.code == 4
        assert "npuexplore[demo]" in outcome.sentence
        assert "--data" in outcome.sentence
    assert everything_in(inside) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_runs_that_cannot_be_written_are_an_environment_error(cli, inside, tiny, recordings):
    (inside / "runs").mkdir(mode=0o555)
    outcome = cli("study", "run", tiny, "--data", recordings)
    assert outcome.code == 4
    assert outcome.sentence


def test_a_file_in_place_of_the_runs_folder_is_an_environment_error(cli, inside, tiny, recordings):
    (inside / "runs").write_text("a file")
    outcome = cli("study", "run", tiny, "--data", recordings)
    assert outcome.code == 4
    assert outcome.sentence.startswith("runs/tiny: the run directory cannot be written")


def test_a_folder_of_other_things_is_not_taken_for_a_run(cli, inside, tiny, recordings):
    (inside / "runs" / "tiny" / "picks").mkdir(parents=True)
    (inside / "runs" / "tiny" / "picks" / "me.jpg").write_text("mine")
    before = everything_in(inside)
    for options in ((), ("--fresh",)):
        outcome = cli("study", "run", tiny, "--data", recordings, *options)
        assert outcome.code == 2
        assert "holds 'picks' but no run of a study" in outcome.sentence
    assert [path for path in everything_in(inside) if not path.endswith(".lock")] == before


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


# ---- the world around


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(28, "No space left on device", "/disk/x"), 4, "/disk/x: No space left on device"),
        (PermissionError(13, "Permission denied", "y"), 4, "y: Permission denied"),
        (MemoryError(), 4, "not enough memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(cli, monkeypatch, error, code, sentence):
    def fail(_):
        raise error

    monkeypatch.setattr("npuexplore.hardware.load.load_profile", fail)
    outcome = cli(*ESTIMATE)
    assert outcome.code == code
    assert sentence in outcome.sentence


def test_a_reader_that_leaves_early_is_no_error_of_ours():
    process = program(*ESTIMATE, "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_sentence():
    with open("/dev/full", "w") as full:
        process = subprocess.run(
            [sys.executable, "-m", "npuexplore", *ESTIMATE, "--json"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert process.returncode == 4
    assert process.stderr.splitlines()[-1].startswith("npuexplore: No space left on device")


def test_closed_streams_are_no_error():
    command = f"{sys.executable} -m npuexplore {' '.join(ESTIMATE)} >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


def test_a_program_of_its_own_refuses_like_a_call():
    outcome = run_program("estimate", "--profile", "nothing", "--network", "tinylstm")
    assert outcome.code == 3
    assert outcome.sentence.startswith("hardware profile 'nothing'")
