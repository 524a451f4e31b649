"""The trained rows that the project keeps: what they promise, read from their own results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from npuexplore.documents.shipped import shipped_folder
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.workload.network import weight_elems

ROOT = Path(__file__).parents[2]
ROW = ROOT / "docs" / "results" / "hearing-aid"


@pytest.fixture(scope="module")
def results():
    return json.loads((ROW / "results.json").read_text(encoding="utf-8"))


def gains(quality, name):
    return quality[name]["sdr_improvement_db"], quality[name]["si_sdr_improvement_db"]


def test_the_float_baseline_gains_on_unseen_mixtures_and_on_recorded_pairs(results):
    assert min(gains(results["baseline"]["quality"], "unseen")) >= 3.5
    assert min(gains(results["baseline"]["quality"], "pairs")) >= 1.0


@pytest.mark.parametrize("name", ["unseen", "pairs"])
def test_every_pick_stays_within_one_db_of_the_baseline(results, name):
    reference = gains(results["baseline"]["quality"], name)
    for pick in results["picks"]:
        losses = [a - b for a, b in zip(reference, gains(pick["achieved"]["quality"], name), strict=True)]
        assert max(losses) <= 1.0, pick["name"]


def test_every_pick_fits_the_part_that_the_dense_network_does_not_fit(results):
    assert not all(results["baseline"]["fits"].values())
    assert all(all(pick["fits"].values()) for pick in results["picks"])


def test_the_row_names_its_commit_and_command():
    trained = json.loads((ROW / "trained.json").read_text(encoding="utf-8"))
    assert len(trained["commit"]) == 40
    assert trained["command"].startswith("npuexplore study run")


def test_the_shipped_baseline_is_the_papers_network_within_two_megabytes():
    path = shipped_folder("studies") / "checkpoints" / "tinylstm.npz"
    assert path.stat().st_size <= 2_000_000
    assert weight_elems(read_network(path).network) == 966_656
