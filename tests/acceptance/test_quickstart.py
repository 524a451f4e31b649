"""What the README promises of `make quickstart`, read from the run that it left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "runs" / "quickstart"


@pytest.fixture(scope="module")
def results():
    if not (RUN / "results.json").is_file():
        pytest.skip("no runs/quickstart here; `make quickstart` makes it")
    return json.loads((RUN / "results.json").read_text(encoding="utf-8"))


def test_the_network_is_no_toy(results):
    units = [layer.get("hidden_units", 0) for layer in results["network"]["layers"]]
    assert sum(unit >= 64 for unit in units) >= 2


def test_the_baseline_gains_three_db_on_a_voice_and_noise_not_trained_on(results):
    assert results["baseline"]["quality"]["unseen"]["si_sdr_improvement_db"] >= 3.0


def test_four_picks_cover_all_three_structures(results):
    assert len(results["picks"]) >= 4
    assert {pick["structure"] for pick in results["picks"]} >= {"weight", "block", "unit"}


def test_every_pick_stays_within_two_db_of_the_baseline(results):
    assert all(pick["achieved"]["quality_loss_db"] <= 2.0 for pick in results["picks"])


def test_every_pick_has_the_zeros_and_bytes_that_its_plan_says(results):
    for pick in results["picks"]:
        predicted, achieved = pick["predicted"]["weight_bytes"], pick["achieved"]["weight_bytes"]
        assert achieved == pytest.approx(predicted, rel=0.05)


def test_the_report_is_there(results):
    assert (RUN / "report.html").stat().st_size > 100_000
