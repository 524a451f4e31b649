"""The trained network that a baseline starts from: found, checked, known by its contents."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import test_jobs
import tiny_study
from test_jobs import pool_folder  # noqa: F401

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network, write_network
from npuexplore.pipeline.jobs import train
from npuexplore.pipeline.problem import load_problem, problem_document, problem_of
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.start import digest_of, keep_start, refuse_own_start
from npuexplore.train.model import init_params
from npuexplore.workload.network import Network

TRAINING = {"seed": 9, "steps": 700, "frames": 5, "credits": ["CC-BY-SA-3.0 (Ada)"]}
PLAN = CompressionPlan(layers={"lstm_1": LayerPlan(weight_bits=4)})


def write_start(path, *, plan=None, training=TRAINING, **changes):
    network = Network.model_validate({**tiny_study.NETWORK, **changes})
    params = init_params(network, rng=np.random.default_rng(1))
    write_network(path, TrainedNetwork(network, params, np.ones(network.bands, np.float32), plan, training))
    return path


def study_from(folder, start="start.npz", **baseline):
    baseline = {"steps": 0, "start": str(start), **baseline}
    return tiny_study.write_study(folder, baseline=baseline)


@pytest.fixture
def study(tmp_path):
    path = study_from(tmp_path / "study")
    write_start(path.parent / "start.npz")
    return path


def test_a_start_is_seen_from_the_study_and_then_from_the_working_folder(study, tmp_path, monkeypatch):
    beside = load_problem(study)
    monkeypatch.chdir(tmp_path)
    write_start(tmp_path / "start.npz", name="othernet")
    assert load_problem(study).start == beside.start
    (study.parent / "start.npz").unlink()
    elsewhere = load_problem(study)
    assert elsewhere.start.path.samefile(tmp_path / "start.npz")
    assert elsewhere.start.digest != beside.start.digest


def test_a_start_may_be_the_baseline_of_a_run_beside_the_study_or_among_the_runs(tmp_path):
    for number, start in enumerate(("own:baseline", "tiny:baseline")):
        study = study_from(tmp_path / f"study{number}", start)
        folders = {"own:baseline": study.parent / "own", "tiny:baseline": tmp_path / "runs" / "tiny"}
        folders[start].mkdir(parents=True)
        made = write_start(folders[start] / "baseline.npz")
        assert load_problem(study, runs=tmp_path / "runs").start.path.samefile(made)


def test_the_shipped_network_is_a_start():
    problem = load_problem("tinylstm-stm32f746")
    assert problem.start.digest == digest_of(problem.start.path.read_bytes())
    assert read_network(problem.start.path).network == problem.network


def test_a_run_knows_its_start_by_contents_and_not_by_place(study, tmp_path):
    document = problem_document(load_problem(study))
    assert document["study"]["baseline"]["start"] == digest_of((study.parent / "start.npz").read_bytes())
    moved = study_from(tmp_path / "moved", tmp_path / "copied.npz")
    shutil.copy(study.parent / "start.npz", tmp_path / "copied.npz")
    assert problem_document(load_problem(moved)) == document
    assert str(tmp_path) not in json.dumps(document)
    write_start(tmp_path / "copied.npz", name="renamed")
    assert problem_document(load_problem(moved)) != document


def test_a_problem_with_a_start_comes_back_from_its_document(study):
    problem = load_problem(study)
    again = problem_of(json.loads(json.dumps(problem_document(problem))), where="here")
    assert again == problem
    assert again.start is None


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 torn"), "is not a whole checkpoint"),
        (lambda path: path.write_bytes(b""), "is not a whole checkpoint"),
        (lambda path: write_start(path, plan=PLAN), "holds a compressed network, and a baseline is a float"),
        (
            lambda path: write_start(path, training={"credits": "CC0"}),
            "training.credits: got 'CC0'; a list of licences",
        ),
        (lambda path: write_start(path, training={"steps": "many"}), "training.steps: got 'many'"),
        (
            lambda path: write_start(path, layers=[*tiny_study.NETWORK["layers"][1:]]),
            "holds network tinynet, whose layers are not those of tinynet",
        ),
        (
            lambda path: write_start(path, frame_clock={"window_samples": 400, "hop_samples": 160}),
            "trained on windows of 400 samples every 160 at 16000 Hz; those of tinynet are 512 samples",
        ),
    ],
)
def test_a_start_that_cannot_be_one_is_one_sentence(tmp_path, make, sentence):
    study = study_from(tmp_path)
    make(tmp_path / "start.npz")
    with pytest.raises(BadInput) as caught:
        load_problem(study)
    assert str(caught.value).startswith(f"{study}: baseline.start: ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tinylstmm", "no/such:baseline", "tiny:../../x", "", "sha256:abc"])
def test_a_start_that_nothing_is_called_is_one_sentence(tmp_path, name):
    with pytest.raises(BadInput, match=r"baseline.start") as caught:
        load_problem(study_from(tmp_path, name))
    assert "\n" not in str(caught.value)


def test_a_start_may_have_another_name_and_deadline(tmp_path):
    clock = {**tiny_study.NETWORK["frame_clock"], "deadline_ms": 3.0}
    study = study_from(tmp_path)
    write_start(tmp_path / "start.npz", name="sister", frame_clock=clock)
    assert load_problem(study).start is not None


@pytest.mark.parametrize("start", [None, "missing"])
def test_no_steps_need_a_start(tmp_path, start):
    study = tiny_study.write_study(tmp_path, baseline={"steps": 0, "start": start})
    with pytest.raises(BadInput, match=r"baseline.start: .*missing" if start else r"baseline.steps: got 0"):
        load_problem(study)


def test_a_start_that_is_taken_as_it_is_becomes_the_baseline_byte_by_byte(study, tmp_path):
    problem, run = load_problem(study), RunDirectory(tmp_path / "run")
    assert keep_start(run, problem.study.baseline, problem.start)
    assert run.baseline.read_bytes() == problem.start.path.read_bytes()
    assert not keep_start(run, problem.study.baseline, None)


def test_a_start_to_train_on_from_is_kept_beside_the_baseline(study, tmp_path):
    problem, run = load_problem(study), RunDirectory(tmp_path / "run")
    recipe = problem.study.baseline.model_copy(update={"steps": 3})
    assert keep_start(run, recipe, problem.start)
    assert run.start.read_bytes() == problem.start.path.read_bytes()
    assert not run.baseline.exists()


def test_a_start_that_changed_in_between_is_not_taken(study, tmp_path):
    problem, run = load_problem(study), RunDirectory(tmp_path / "run")
    write_start(problem.start.path, name="changed")
    with pytest.raises(BadInput, match="has changed since the study was read"):
        keep_start(run, problem.study.baseline, problem.start)
    assert not run.folder.exists()


def test_a_run_without_its_start_names_the_command_that_brings_it(study, tmp_path):
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(BadInput, match="go on with `npuexplore study run"):
        keep_start(run, load_problem(study).study.baseline, None)


def test_starting_over_does_not_remove_the_start(study):
    start = load_problem(study).start
    with pytest.raises(UsageError, match="--fresh would remove"):
        refuse_own_start(start, study.parent)
    refuse_own_start(start, study.parent / "runs")
    refuse_own_start(None, study.parent)


def test_what_is_trained_on_from_a_start_says_so_and_keeps_its_credits(tmp_path, pool_folder):  # noqa: F811
    start = write_start(tmp_path / "start.npz")
    job = test_jobs.job_in(tmp_path, pool_folder, start=start)
    tuned = train(job)
    assert tuned.training["credits"] == ["CC-BY-SA-3.0 (Ada)", "CC0"]
    assert tuned.training["start"] == {
        "digest": digest_of(start.read_bytes()),
        "network": "tinynet",
        **TRAINING,
    }
    assert tuned.training["steps"] == 7
    plain = train(replace(job, start=None, output=tmp_path / "plain.npz"))
    assert not np.array_equal(plain.params["lstm_1"]["w_hh"], tuned.params["lstm_1"]["w_hh"])
    pick = train(replace(job, start=job.output, plan=PLAN, output=tmp_path / "pick.npz"))
    assert pick.training["credits"] == tuned.training["credits"]
    assert "start" not in pick.training


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_start_that_may_not_be_read_is_one_sentence(study):
    (study.parent / "start.npz").chmod(0)
    with pytest.raises(BadInput, match="cannot be read"):
        load_problem(study)
