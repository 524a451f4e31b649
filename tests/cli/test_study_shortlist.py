"""A study of several parts from the command line: one search, picks of any part, one document."""

import json
import shutil

import optuna
import pytest
import tiny_study
import yaml

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.document import totals_document
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.workload.load import load_network

PARTS = ["micronpu-block16", "stm32f746"]


def study_of(folder, finished, **changes):
    """The tiny study on two parts, from the network that the finished run has trained."""
    shutil.copy(finished / "baseline.npz", folder / "trained.npz")
    baseline = {"steps": 0, "start": "../trained.npz"}
    path = tiny_study.write_study(folder / "mine", baseline=baseline, profile=PARTS)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    return path


def test_a_shortlist_ends_in_one_front_and_picks_that_name_their_parts(inside, finished, recordings, cli):
    study = study_of(inside, finished)
    outcome = cli("study", "run", study, "--data", recordings, "--workers", 1)
    assert outcome.code == 0, outcome.err
    results = json.loads((inside / "runs" / "tiny" / "results.json").read_text())
    assert results["study"]["profile"] == PARTS
    assert [profile["name"] for profile in results["profiles"]] == PARTS
    assert "profile" not in results
    assert list(results["limits"]) == list(results["baseline"]["parts"]) == PARTS
    network = load_network(str(inside / "mine" / "net.yaml"))
    for row in [*results["front"], *results["beaten"], *results["picks"]]:
        profile = load_profile(row["profile"])
        told = estimate(profile, network, CompressionPlan.model_validate_json(json.dumps(row["plan"])))
        assert row["estimates"] == totals_document(told, 0)
        limits = results["limits"][row["profile"]]
        assert row["estimates"]["latency_ms"] <= limits["latency_ms"]
    assert {pick["profile"] for pick in results["picks"]} == set(PARTS)
    assert {row["profile"] for row in [*results["front"], *results["beaten"]]} == set(PARTS)
    for row in results["beaten"]:
        assert any(beats(other, row) for other in results["front"])
        assert not any(beats(other, row) for other in results["beaten"] if other["profile"] == row["profile"])


def beats(one, other):
    """No worse in every objective of the tiny study, and better in one."""
    figures = [(row["estimates"]["latency_ms"], row["estimates"]["flash_bytes"]) for row in (one, other)]
    losses = [row["quality_loss_db"] for row in (one, other)]
    pairs = [*zip(*figures, strict=True), tuple(losses)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def test_the_part_is_a_parameter_of_every_trial(inside, finished, recordings, cli):
    study = study_of(inside, finished)
    outcome = cli("search", study, "--data", recordings)
    assert outcome.code == 0, outcome.err
    journal = inside / "runs" / "tiny" / "search.log"
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    (name,) = optuna.study.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    assert {trial.params["profile"] for trial in trials} == set(PARTS)


@pytest.mark.parametrize(
    ("profile", "sentence"),
    [
        (["stm32f746", "stm32f746"], "got ['stm32f746', 'stm32f746']; list 1 to 16 profiles, each once"),
        ([], "got []; list 1 to 16 profiles, each once"),
        ([7], "got [7]; give the name or the path of a profile"),
        (["stm32f746", "stm32f7"], "did you mean 'stm32f746'"),
        (["stm32f746", "twin.yaml"], "two of the files are named stm32f746"),
    ],
)
def test_a_shortlist_that_is_none_is_refused_in_a_sentence(profile, sentence, inside, cli):
    path = tiny_study.write_study(inside / "mine", profile=profile)
    (inside / "mine" / "twin.yaml").write_text(shipped_text("stm32f746"))
    outcome = cli("study", "run", path)
    assert outcome.code == 3
    assert sentence in outcome.sentence
    assert not (inside / "runs").exists()


def shipped_text(name):
    """The YAML of a shipped profile, with every reference in it followed."""
    profile = load_profile(name).model_dump(mode="json", by_alias=True, exclude_none=True)
    return yaml.safe_dump(profile)
