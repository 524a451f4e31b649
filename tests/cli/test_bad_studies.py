"""Studies that cannot be run, and places they cannot be run in."""

import os
import sys

import pytest
import tiny_study
from command_line import everything_in

from npuexplore.pipeline import study_job


def test_a_study_that_nothing_fits_says_so_before_it_reads_any_sound(
    cli, inside, tiny, recordings, monkeypatch
):
    monkeypatch.setattr(study_job, "gather", lambda *_, **__: pytest.fail("the data was read"))
    study = tiny_study.write_study(inside / "hard", limits={"deadline_share_frac": 0.001})
    outcome = cli("study", "run", study, "--data", recordings)
    assert outcome.code == 1
    assert "latency_ms" in outcome.sentence
    assert not (inside / "runs").exists()


@pytest.mark.parametrize(
    ("storage", "code", "says"),
    [
        ("memory:", 2, "several processes need a database"),
        ("sqlite:////nowhere/trials.db", 4, "the storage cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_shared_is_refused_before_any_training(
    cli, inside, recordings, monkeypatch, storage, code, says
):
    monkeypatch.setattr(study_job, "gather", lambda *_, **__: pytest.fail("the data was read"))
    study = tiny_study.write_study(inside / "shared")
    outcome = cli("study", "run", study, "--data", recordings, "--storage", storage)
    assert (outcome.code, says in outcome.sentence) == (code, True)
    assert not (inside / "runs").exists()


@pytest.mark.parametrize("verb", [("study", "run"), ("train",), ("search",), ("retrain",)])
def test_a_memory_that_is_all_reserved_fits_nothing(cli, inside, recordings, verb):
    study = tiny_study.write_study(inside / "hard", limits={"reserved_flash_bytes": 10**12})
    outcome = cli(*verb, study, "--data", recordings)
    assert outcome.code == 1
    assert "limits.reserved_flash_bytes" in outcome.sentence
    assert not (inside / "runs").exists()


@pytest.mark.parametrize("verb", [("study", "run"), ("retrain",)])
def test_a_block_that_covers_a_layer_is_bad_input(cli, inside, recordings, verb):
    study = tiny_study.write_study(inside / "wide", space={"blocks": [[16, 16]]})
    text = (inside / "wide" / "net.yaml").read_text()
    (inside / "wide" / "net.yaml").write_text(text.replace("hidden_units: 8", "hidden_units: 10"))
    outcome = cli(*verb, study, "--data", recordings)
    assert outcome.code == 3
    assert "a block of 16 x 16 covers all of w_ih, which has 10 x 16 weights in each gate" in outcome.sentence
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
