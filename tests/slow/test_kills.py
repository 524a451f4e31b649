"""A study killed again and again, at every stage and at random moments, ends in the same bytes.

Takes about two minutes; `make test-slow` runs it.
"""

import random
import time

import pytest
import tiny_study
from command_line import program, run_program
from processes import PATIENCE_S, marked, none_within

KEPT = ("results.json", "report.html")
MOMENTS = (
    ".lock",
    "manifest.json",
    "cache",
    "cache/segments.part",
    "cache/segments.part/noise.npy",
    "cache/segments",
    "cache/validation.npy",
    "training/baseline.npz",
    "curves/baseline.csv",
    "baseline.npz",
    "stages",
    "stages/sensitivity-rows.jsonl",
    "stages/sensitivity.json",
    "search.log",
    "training",
    "picks",
    "stages/evaluation-baseline.json",
    "report.html",
    "results.json",
)


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    study = tiny_study.write_study(folder)
    return ("study", "run", study, "--data", tiny_study.write_corpus(folder / "data"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, command):
    """The files of a run in one go."""
    runs = tmp_path_factory.mktemp("whole")
    outcome = run_program(*command, "--runs", runs)
    assert outcome.code == 0, outcome.err
    return files_of(runs / "tiny")


def files_of(run):
    names = [*KEPT, "baseline.npz", *(f"picks/{path.name}" for path in (run / "picks").glob("*.npz"))]
    names += [f"curves/{path.name}" for path in (run / "curves").glob("*.csv")]
    return {name: (run / name).read_bytes() for name in names}


def networks(run):
    """Finished networks and what shows that one was written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in (*run.glob("baseline.npz"), *run.glob("picks/*.npz"))
    }


def run_until(command, runs, stop, *, signal_number=9):
    """Starts the study, kills it when `stop()` holds; True when it ended by itself."""
    mark = f"kill-{runs.name}-{random.random()}"
    process = program(*command, "--runs", runs, environment={"NPUEXPLORE_TEST": mark})
    while process.poll() is None and not stop():
        time.sleep(0.001)
    process.send_signal(signal_number) if process.poll() is None else None
    _, err = process.communicate()
    assert none_within(lambda: marked(mark), seconds=PATIENCE_S)
    assert process.returncode in (0, -signal_number), err
    return process.returncode == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_run_killed_at_every_stage_is_finished_in_the_same_bytes(command, whole, tmp_path, workers):
    run = tmp_path / "tiny"
    finished = {}
    for moment in MOMENTS:
        run_until((*command, "--workers", workers), tmp_path, (run / moment).exists)
        assert networks(run).items() >= finished.items()
        finished = networks(run)
    assert run_program(*command, "--runs", tmp_path).code == 0
    assert networks(run).items() >= finished.items()
    assert files_of(run) == whole
    assert not [path for path in run.rglob("*") if path.name.endswith(".part")]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("signal_number", [9, 15])
def test_a_run_killed_at_random_moments_is_finished_in_the_same_bytes(
    command, whole, tmp_path, seed, signal_number
):
    rng = random.Random(seed)
    run = tmp_path / "tiny"
    finished, ended, patience = {}, False, 0.6
    while not ended:
        until = time.monotonic() + rng.uniform(0.3, patience)
        ended = run_until(command, tmp_path, lambda: time.monotonic() > until, signal_number=signal_number)  # noqa: B023
        assert networks(run).items() >= finished.items()
        finished, patience = networks(run), patience + 0.5
    assert files_of(run) == whole


def test_fresh_starts_over_and_ends_in_the_same_bytes(command, whole, tmp_path):
    run_until(command, tmp_path, (tmp_path / "tiny" / "picks").exists)
    before = networks(tmp_path / "tiny")
    assert run_program(*command, "--runs", tmp_path, "--fresh").code == 0
    assert not before.items() & networks(tmp_path / "tiny").items()
    assert files_of(tmp_path / "tiny") == whole
