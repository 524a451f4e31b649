"""A study and a worker on one PostgreSQL, each a process of its own."""

import json
import shutil

import pytest
import tiny_study
from cluster import PASSWORD
from command_line import output_of, program, run_program

TRIALS = 60


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A study and its data, and a run whose baseline is trained and whose sensitivities are measured."""
    folder = tmp_path_factory.mktemp("inputs")
    search = {"trials": TRIALS, "population": 8, "screened_plans": 32}
    study = tiny_study.write_study(folder, search=search, retrain={"steps": 2, "checkpoint_steps": 2})
    data = tiny_study.write_corpus(folder / "data")
    outcome = run_program("search", study, "--data", data, "--runs", folder / "ready")
    assert outcome.code == 0, outcome.err
    run = folder / "ready" / "tiny"
    for leftover in (run / "search.log", *run.glob("stages/search*")):
        leftover.unlink()
    return study, data, folder / "ready"


def ready(inputs, tmp_path):
    """The command that goes on with the search of a ready run, and its run directory."""
    study, data, run = inputs
    shutil.copytree(run, tmp_path / "runs")
    return ("study", "run", study, "--data", data, "--runs", tmp_path / "runs"), tmp_path / "runs" / "tiny"


def test_a_worker_that_knows_only_the_url_does_its_share_and_nothing_tells_the_password(
    inputs, tmp_path, url
):
    command, run = ready(inputs, tmp_path)
    worker = program("study", "worker", "--storage", url, "--wait", "300", "--json")
    main = program(*command, "--storage", url, "--heartbeat", "2")
    helped, searched = output_of(worker, 400), output_of(main, 400)
    assert (helped.code, searched.code) == (0, 0), helped.err + searched.err
    said = json.loads(helped.out)
    assert said["schema"] == "npuexplore.worker/1"
    assert said["study"] == "tiny"
    assert said["finished"] == said["target"] == TRIALS
    assert 0 < said["trials"] < TRIALS
    results = json.loads((run / "results.json").read_text())
    assert results["picks"]
    secret = PASSWORD.encode()
    kept = [path for path in run.rglob("*") if path.is_file() and b"s3cr" in path.read_bytes()]
    assert not kept
    assert secret.decode() not in helped.out + helped.err + searched.out + searched.err
    assert "s3cr" not in helped.out + helped.err + searched.out + searched.err

    other = run_program("study", "worker", run)
    assert other.code == 2
    assert "give --storage" in other.sentence
    again = run_program(*command, "--storage", url.replace("studies", "elsewhere"))
    assert again.code == 0, "a finished run needs no storage"


def test_who_comes_too_early_is_told_so(url):
    outcome = run_program("study", "worker", "--storage", url)
    assert outcome.code == 2
    assert "no search is shared here yet" in outcome.sentence
    assert "***" in outcome.sentence
    assert "s3cr" not in outcome.sentence
