"""A study that may skip frames, from the command line."""

import json
import shutil

import pytest
import tiny_study

from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.problem import load_problem
from npuexplore.pipeline.results import idle_rates
from npuexplore.train.skipping import is_gated

CHANGES = {
    "baseline": {"steps": 0},
    "space": {"skip_rate_frac": [0.3, 0.5]},
    "search": {"objectives": ["energy_uj", "mean_latency_ms", "quality_loss_db"]},
    "picks": {"count": 3},
}


@pytest.fixture
def study(inside, finished):
    shutil.copy(finished / "baseline.npz", inside / "trained.npz")
    changes = {**CHANGES, "baseline": {"steps": 0, "start": "../trained.npz"}}
    return tiny_study.write_study(inside / "mine", **changes)


def test_a_study_of_skipped_frames_is_searched_retrained_scored_and_told(study, inside, recordings, cli):
    outcome = cli("study", "run", study, "--data", recordings, "--workers", 1)
    assert outcome.code == 0, outcome.err
    assert "skipped" in outcome.out
    run = inside / "runs" / "tiny"
    results = json.loads((run / "results.json").read_text())
    assert [row["skip_rate_frac"] for row in results["sensitivity"] if "layer" not in row] == [0.3, 0.5]
    assert {point["plan"]["skip_rate_frac"] for point in results["front"]} <= {0.3, 0.5}
    page = (run / "report.html").read_text()
    for pick in results["picks"]:
        asked, achieved = pick["plan"]["skip_rate_frac"], pick["skip_rate_frac_achieved"]["unseen"]
        assert 0.0 <= achieved < 1.0
        assert ("retrained it skips only" in page) >= (achieved < asked - 0.02)
        trained = read_network(run / pick["checkpoint"])
        assert is_gated(trained.params)
        assert trained.plan.skip_rate_frac == asked
        front_end_ms = (
            pick["estimates"]["latency_ms"]
            - (pick["estimates"]["latency_ms"] - pick["estimates"]["mean_latency_ms"]) / asked
        )
        assert 0.0 < front_end_ms < pick["estimates"]["mean_latency_ms"]
    assert any("in a skipped frame the last mask is used again" in text for text in results["assumptions"])


@pytest.mark.parametrize(
    ("objective", "rate", "is_told"),
    [("flash_bytes", 0.0, True), ("mean_latency_ms", 0.0, False), ("flash_bytes", 0.3, False)],
)
def test_a_study_whose_objectives_gain_nothing_by_skipping_says_so(tmp_path, objective, rate, is_told):
    search = {"objectives": ["latency_ms", objective, "quality_loss_db"]}
    study = tiny_study.write_study(tmp_path, space={"skip_rate_frac": [0.0, 0.3]}, search=search)
    told = idle_rates(load_problem(study), [{"plan": {"skip_rate_frac": rate}}])
    assert any("No pick skips frames" in sentence for sentence in told) == is_told
