"""What a user types wrong, and what the system refuses: one sentence and a named exit code."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import COMPARE, ESTIMATE, everything_in, program, run_program


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
        ((*ESTIMATE, "--weight-bits", "7"), "--weight-bits 7: allowed are 2, 3, 4, 6, 8 and 16"),
        ((*ESTIMATE, "--activation-bits", "4"), "--activation-bits 4: allowed are 8 and 16"),
        ((*ESTIMATE, "--skip-rate", "1"), "--skip-rate 1: allowed is 0 to below 1"),
        ((*ESTIMATE, "--memory-mode", "dream"), "memory mode: got 'dream'; profile micronpu-block16 has"),
        ((*ESTIMATE, "--plan", "x.yaml", "--weight-bits", "8"), "--plan and --weight-bits"),
        ((*COMPARE, "--weight-bits", "5"), "--weight-bits 5: allowed are 2, 3, 4, 6, 8 and 16"),
        ((*COMPARE, "--activation-bits", "32"), "--activation-bits 32: allowed are 8 and 16"),
        ((*COMPARE, "--memory-mode", "dream"), "memory mode: got 'dream'; profile micronpu-block16 has"),
        ((*COMPARE, "--what-if", "magic=2"), "--what-if 'magic=2': write a factor of cost for decode or"),
        ((*COMPARE, "--what-if", "decode=1000"), "--what-if 'decode=1000': decode 1000 is out of range"),
        (("study", "run", "quickstart", "--workers", "0"), "Invalid value for '--workers'"),
        (("study", "run", "quickstart", "--name", "../up"), "--name '../up': not a folder name"),
        (("study", "run", "quickstart", "--name", ""), "--name '': not a folder name"),
        (("study", "run", "hearing-aid"), "give its folder with --data FOLDER"),
        (("data", "synth", "x", "--rate", "1"), "Invalid value for '--rate'"),
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


def test_a_name_with_line_breaks_and_escapes_stays_on_one_line(cli, inside):
    outcome = cli("data", "inspect", "a\nb\x1b[31m")
    assert outcome.code == 3
    assert outcome.sentence.startswith("a?b?[31m: no such folder")


@pytest.mark.parametrize("output", [("--json",), ()])
def test_a_terminal_without_utf_8_shows_what_it_can(output):
    outcome = run_program(*ESTIMATE, *output, environment={"PYTHONIOENCODING": "ascii"})
    assert outcome.code == 0
    assert outcome.out.isascii()
