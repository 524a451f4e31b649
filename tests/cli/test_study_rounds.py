"""A study of two rounds from the command line: what each leaves, and that it survives a kill between them."""

import json
import shutil
import time

import pytest
import tiny_study
from command_line import output_of, program
from processes import PATIENCE_S, marked, none_within

from npuexplore.pipeline.recovery import TERMS

SECOND = "search-2*", "calibration-*", "*-r2*", "evaluation-*", "results.json", "report.html"
"""Whatever a run leaves from its second round on."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return tiny_study.write_study(
        tmp_path_factory.mktemp("rounds"),
        rounds=2,
        picks={"count": 3},
        baseline={"steps": 40, "batch": 4},
        retrain={"steps": 4},
        space={"sparsity_frac": [0.0, 0.5, 0.8], "weight_bits": [4, 8]},
        search={"trials": 60},
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, study, recordings):
    """The run directory of the study, run in one go."""
    runs = tmp_path_factory.mktemp("runs")
    command = program("study", "run", study, "--data", recordings, "--runs", runs)
    outcome = output_of(command, timeout=600)
    assert outcome.code == 0, outcome.err
    return runs / "tiny"


@pytest.fixture(scope="module")
def results(run):
    return json.loads((run / "results.json").read_text())


def test_the_picks_of_both_rounds_stand_in_the_results(run, results):
    rounds = {pick["name"]: pick["round"] for pick in results["picks"]}
    assert set(rounds.values()) == {1, 2}
    assert "most-uncertain" in rounds
    assert all(name.endswith("-r2") == (number == 2) for name, number in rounds.items())
    assert {path.stem for path in (run / "picks").glob("*.npz")} == set(rounds)
    plans = [json.dumps(pick["plan"]) for pick in results["picks"]]
    assert len(set(plans)) == len(plans)


def test_every_prediction_says_how_unsure_it_is(results):
    for each in (*results["front"], *(pick["predicted"] for pick in results["picks"])):
        assert each["uncertainty_db"] > 0.0
    assert all("calibration_quality_loss_db" in pick["achieved"] for pick in results["picks"])


def test_each_round_says_how_well_it_predicted_and_what_it_learned(results):
    first, second = results["agreement"]["rounds"]
    for number, each in enumerate((first, second), start=1):
        own = [pick for pick in results["picks"] if pick["round"] == number]
        assert (each["round"], each["picks"]) == (number, [pick["name"] for pick in own])
        apart = [pick["predicted"]["quality_loss_db"] - pick["achieved"]["quality_loss_db"] for pick in own]
        assert each["bias_db"] == pytest.approx(sum(apart) / len(apart), abs=1e-3)
        assert set(each["refit"]["recovery_frac"]) == set(TERMS)
    assert first["refit"]["recovery_frac"] != second["refit"]["recovery_frac"]


def test_the_last_search_predicts_with_what_the_first_round_learned(run, results):
    learned = results["agreement"]["rounds"][0]["refit"]
    rows = {
        (row["layer"], row["structure"], row["sparsity_frac"]): row["one_shot_loss_db"]
        for row in results["sensitivity"]
        if (row["weight_bits"], row["structure"]) != (4, "dense")
    }
    dense = {layer: loss for (layer, structure, _), loss in rows.items() if structure == "dense"}
    checked = 0
    for point in results["front"]:
        layers = point["plan"]["layers"]
        if any(choice["weight_bits"] == 4 for choice in layers.values()):
            continue
        loss_db = learned["offset_db"] + learned["recovery_frac"]["bits"] * sum(dense.values())
        for name, choice in layers.items():
            if choice["structure"] != "dense":
                lost = rows[name, choice["structure"], choice["sparsity_frac"]] - dense[name]
                loss_db += learned["recovery_frac"][choice["structure"]] * max(lost, 0.0)
        assert point["quality_loss_db"] == pytest.approx(loss_db, abs=2e-4)
        checked += 1
    assert checked


def test_the_report_tells_of_both_rounds(run):
    page = (run / "report.html").read_text()
    assert "Round 1" in page
    assert "Round 2" in page
    assert "Kendall" in page


@pytest.fixture
def half(run, tmp_path):
    """A copy of the run as it is when its first picks are retrained."""
    copy = shutil.copytree(run, tmp_path / "runs" / run.name)
    for pattern in SECOND:
        for path in copy.rglob(pattern):
            path.unlink()
    return copy


def test_a_run_killed_between_its_rounds_goes_on_to_the_same_bytes(run, half, study, recordings, cli):
    first = {path.name: path.stat().st_mtime_ns for path in (half / "picks").glob("*.npz")}
    command = ("study", "run", study, "--data", recordings, "--runs", half.parent)
    mark = f"rounds-{half.parent}"
    killed = program(*command, environment={"NPUEXPLORE_TEST": mark})
    while killed.poll() is None and not (half / "search-2.log").exists():
        time.sleep(0.001)
    killed.kill()
    killed.communicate()
    assert none_within(lambda: marked(mark), seconds=PATIENCE_S)
    assert cli(*command).code == 0
    for name in ("results.json", "report.html"):
        assert (half / name).read_bytes() == (run / name).read_bytes()
    again = {path.name: path.stat().st_mtime_ns for path in (half / "picks").glob("*.npz")}
    assert again.items() > first.items()
