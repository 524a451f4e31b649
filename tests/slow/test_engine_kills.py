"""A search by each engine, killed at its turning points, ends in the same bytes."""

import shutil
import time

import pytest
import tiny_study
import yaml
from command_line import program, run_program

SEARCHES = {
    "exact": {"engine": "exact"},
    "evolve": {"engine": "evolve", "evaluations": 5_000, "population": 20},
    "auto": {"engine": "auto", "evaluations": 5_000, "population": 20, "trials": 200},
}
MOMENTS = ("stages/search-found.json", "search.log", "stages/search.json")
KEPT = ("stages/search-found.json", "stages/search.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sounds, and a run whose network and sensitivities the searches start from."""
    made = tmp_path_factory.mktemp("inputs")
    tiny_study.write_corpus(made / "data")
    study = tiny_study.write_study(made / "first")
    outcome = run_program("train", study, "--data", made / "data", "--runs", made / "runs")
    assert outcome.code == 0, outcome.err
    return made


def command_of(folder, place, engine):
    """The search of a study in its own folder."""
    shutil.copy(folder / "runs" / "tiny" / "baseline.npz", place / "trained.npz")
    path = tiny_study.write_study(place / "mine", baseline={"steps": 0, "start": "../trained.npz"})
    document = yaml.safe_load(path.read_text())
    document["search"] = SEARCHES[engine]
    path.write_text(yaml.safe_dump(document))
    return ("search", path, "--data", folder / "data", "--runs", place / "runs")


def kept(place):
    return {name: (place / "runs" / "tiny" / name).read_bytes() for name in KEPT}


@pytest.mark.parametrize("engine", SEARCHES)
def test_a_search_killed_where_it_turns_ends_in_the_same_bytes(folder, tmp_path, engine):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for place in (whole, killed):
        place.mkdir()
        command = command_of(folder, place, engine)
        for moment in MOMENTS if place is killed else ():
            process = program(*command)
            while process.poll() is None and not (place / "runs" / "tiny" / moment).exists():
                time.sleep(0.001)
            process.kill()
            process.communicate()
        outcome = run_program(*command)
        assert outcome.code == 0, outcome.err
    assert kept(killed) == kept(whole)
