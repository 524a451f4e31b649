"""Studies that start from a trained network, from the command line."""

import json
import shutil

import pytest
import tiny_study
from command_line import everything_in

from npuexplore.pipeline import study as study_module
from npuexplore.pipeline.checkpoints import read_network, write_network


@pytest.fixture
def start(inside, finished):
    """A trained network of the tiny study, elsewhere."""
    shutil.copy(finished / "baseline.npz", inside / "trained.npz")
    return inside / "trained.npz"


def study_from(folder, start, **baseline):
    return tiny_study.write_study(folder, baseline={"start": str(start), "steps": 0, **baseline})


def test_a_study_runs_from_a_network_as_it_is(cli, inside, start, recordings):
    study = study_from(inside / "mine", start)
    outcome = cli("train", study, "--data", recordings)
    assert outcome.code == 0, outcome.err
    run = inside / "runs" / "tiny"
    assert (run / "baseline.npz").read_bytes() == start.read_bytes()
    assert not (run / "cache").exists()
    assert not (run / "curves").exists()
    status = json.loads(cli("study", "status", run, "--json").out)
    assert status["stages"]["baseline"] == "finished"
    assert status["stages"]["search"] == "to do"

    start.unlink()
    outcome = cli("study", "resume", run, "--data", recordings, "--json")
    assert outcome.code == 0, outcome.err
    results = json.loads(outcome.out)
    training = read_network(run / "baseline.npz").training
    assert results["baseline"]["start"] == {
        "digest": results["study"]["baseline"]["start"], "network": "tinynet", **training
    }  # fmt: skip
    assert results["baseline"]["credits"] == training["credits"]
    assert results["seeds"]["baseline"] == training["seed"]
    assert any("starts from a network trained before" in text for text in results["assumptions"])
    page = (run / "report.html").read_text()
    assert "the start as it is" in page
    assert results["study"]["baseline"]["start"] in page
    assert str(inside) not in page + (run / "results.json").read_text()


def test_a_study_may_train_on_from_a_network(cli, inside, start, recordings):
    study = study_from(inside / "mine", start, steps=3)
    assert cli("train", study, "--data", recordings).code == 0
    run = inside / "runs" / "tiny"
    trained, before = read_network(run / "baseline.npz"), read_network(start)
    assert trained.training["steps"] == 3
    assert trained.training["start"]["steps"] == before.training["steps"]
    assert (trained.feature_scale == before.feature_scale).all()
    assert "start" not in json.loads(cli("study", "status", run, "--json").out)["stages"]["picks"]


def test_the_run_of_another_start_is_refused_with_the_difference(cli, inside, start, finished, recordings):
    study = study_from(inside / "mine", start)
    assert cli("train", study, "--data", recordings).code == 0
    before = everything_in(inside / "runs")
    shutil.copy(inside / "runs" / "tiny" / "baseline.npz", inside / "kept.npz")
    study_from(inside / "mine", inside / "kept.npz")
    assert cli("train", study, "--data", recordings).code == 0
    study_from(inside / "mine", inside / "other.npz")
    write_other(start, inside / "other.npz")
    outcome = cli("train", study, "--data", recordings)
    assert outcome.code == 2
    assert "study.baseline.start: " in outcome.sentence
    assert everything_in(inside / "runs") == before


def write_other(source, target):
    write_network(target, read_network(source), half=True)


@pytest.mark.parametrize("verb", [("study", "run"), ("train",), ("search",), ("retrain",)])
def test_a_start_that_is_not_there_is_said_before_anything_is_written(cli, inside, recordings, verb):
    study = study_from(inside / "mine", "nowhere.npz")
    before = everything_in(inside)
    outcome = cli(*verb, study, "--data", recordings)
    assert outcome.code == 3
    assert "baseline.start: model 'nowhere.npz': no such file" in outcome.sentence
    assert everything_in(inside) == before


def test_a_pruned_start_is_said_before_anything_is_written(cli, inside, finished, recordings):
    (pick, *_) = (finished / "picks").glob("*.npz")
    study = study_from(inside / "mine", f"{finished}:{pick.stem}")
    before = everything_in(inside)
    outcome = cli("study", "run", study, "--data", recordings)
    assert outcome.code == 3
    assert "holds a compressed network" in outcome.sentence
    assert everything_in(inside) == before


def test_a_run_stopped_before_it_had_its_start_gets_it_from_the_same_command(
    cli, inside, start, recordings, monkeypatch
):
    study = study_from(inside / "mine", start)
    with monkeypatch.context() as stopped:
        stopped.setattr(study_module, "keep_start", interrupt)
        assert cli("train", study, "--data", recordings).code == 130
    run = inside / "runs" / "tiny"
    assert (run / "manifest.json").exists()
    outcome = cli("study", "resume", run, "--data", recordings)
    assert outcome.code == 3
    assert "go on with `npuexplore study run STUDY.yaml`" in outcome.sentence
    assert cli("train", study, "--data", recordings).code == 0
    assert (run / "baseline.npz").read_bytes() == start.read_bytes()


def interrupt(*_):
    raise KeyboardInterrupt
