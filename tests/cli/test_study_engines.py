"""Every engine from the command line, and what a study that names one leaves."""

import json
import shutil

import pytest
import tiny_study
import yaml

ENGINES = {
    "exact": {"engine": "exact"},
    "evolve": {"engine": "evolve", "evaluations": 300, "population": 20},
    "auto": {"engine": "auto", "evaluations": 200, "population": 20, "trials": 12},
}


def study_of(folder, finished, search):
    """The tiny study with another search, from the network that the finished run has trained."""
    shutil.copy(finished / "baseline.npz", folder / "trained.npz")
    path = tiny_study.write_study(folder / "mine", baseline={"steps": 0, "start": "../trained.npz"})
    document = yaml.safe_load(path.read_text())
    document["search"] = search
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_searches_a_study_and_leaves_a_finished_search(engine, inside, finished, recordings, cli):
    study = study_of(inside, finished, ENGINES[engine])
    outcome = cli("search", study, "--data", recordings)
    assert outcome.code == 0, outcome.err
    run = inside / "runs" / "tiny"
    assert (run / "search.log").is_file()
    facts = json.loads((run / "stages" / "search.json").read_text())["content"]["facts"]
    assert facts["engine"] == engine
    assert facts["proof"]["hypervolume_frac"] > 0.8
    document = json.loads(cli("study", "status", run, "--json").out)
    assert document["stages"]["search"] == "finished"


def test_a_study_with_an_engine_ends_in_results_and_a_page_that_say_how_good_it_was(
    inside, finished, recordings, cli
):
    study = study_of(inside, finished, ENGINES["auto"])
    outcome = cli("study", "run", study, "--data", recordings, "--workers", 1)
    assert outcome.code == 0, outcome.err
    run = inside / "runs" / "tiny"
    results = json.loads((run / "results.json").read_text())
    search = results["search"]
    assert (search["engine"], search["seed"]) == ("auto", 1)
    assert search["evaluations"] == 200 + 12
    assert set(search["optuna"]) == {
        "trials", "front_points", "hypervolume_frac_before", "hypervolume_frac_after"
    }  # fmt: skip
    assert set(search["proof"]) >= {"reference", "hypervolume_frac", "coverage_frac", "random"}
    assert search["front_points"] == len(results["front"])
    assert results["engine"]["trials"] == search["recorded"]
    assert "seconds" not in json.dumps(search)
    assert "How good the search was" in (run / "report.html").read_text()


def test_a_key_of_another_engine_is_refused_in_a_sentence(inside, finished, recordings, cli):
    study = study_of(inside, finished, {"engine": "exact", "trials": 100})
    outcome = cli("search", study, "--data", recordings)
    assert outcome.code == 3
    assert "trials means nothing to engine exact" in outcome.sentence
    assert not (inside / "runs").exists()
