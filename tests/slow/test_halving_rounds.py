"""Rounds whose picks must win against rivals: what each round trains, and what is left when it is stopped."""

import json

import pytest
import tiny_study

from npuexplore.pipeline.study_job import StudyJob

KEPT = ("results.json", "report.html", "stages/halving*.json", "picks/*.npz")


class Inline:
    """Runs tasks in this process; is stopped before the task with a number."""

    def __init__(self, stop=None):
        self.stop, self.begun = stop, []

    def check(self):
        """Nothing can be lacking."""

    def run(self, tasks, *, on_message):
        for task in tasks:
            if len(self.begun) == self.stop:
                raise KeyboardInterrupt
            self.begun.append(task.name)
            task.run(task.argument, lambda content, name=task.name: on_message(name, content))


@pytest.fixture
def run(tmp_path, monkeypatch, cli, recordings):
    """Runs the study with an executor; its exit code."""
    study = tiny_study.write_study(
        tmp_path / "study",
        rounds=2,
        picks={"count": 3},
        retrain={"steps": 12, "checkpoint_steps": 3, "halving": {"rivals": 2, "first_rung_steps": 3}},
    )

    def with_executor(executor):
        monkeypatch.setattr(StudyJob, "executor", executor)
        runs = tmp_path / "runs"
        return cli("study", "run", study, "--data", recordings, "--runs", runs, "--workers", 1).code

    return with_executor


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for name in KEPT for path in folder.glob(name)}


def check_rounds(results, folder):
    """Plans compete once in a study, and each round learns from its winners' measured losses."""
    rows, picks = results["halving"]["candidates"], results["picks"]
    assert {row["round"] for row in rows} == {pick["round"] for pick in picks} == {1, 2}
    assert len({row["name"] for row in rows}) == len(rows)
    assert all(row["name"].endswith("-r2") == (row["round"] == 2) for row in rows)
    winners = [(row["name"], row["round"]) for row in rows if row["stopped_at_step"] is None]
    assert winners == [(pick["name"], pick["round"]) for pick in picks]
    assert {path.stem for path in (folder / "picks").iterdir()} == {name for name, _ in winners}
    assert all("calibration_quality_loss_db" in pick["achieved"] for pick in picks)
    assert len(results["agreement"]["rounds"]) == 2
    assert [row for row in rows if row["rival_of"] and row["round"] == 2]
    assert not [row for row in rows if row["rival_of"] == "most-uncertain"]
    before = [row["plan"] for row in rows if row["round"] == 1]
    assert not [row for row in rows if row["round"] == 2 and row["rival_of"] and row["plan"] in before]
    assert (folder / "halving.log").is_file()
    assert (folder / "halving-2.log").is_file()


def test_every_round_has_its_competition_and_stops_change_nothing(run, tmp_path):
    whole = Inline()
    assert run(whole) == 0
    folder = tmp_path / "runs" / "tiny"
    check_rounds(json.loads((folder / "results.json").read_text()), folder)

    kept = files(folder)
    folder.rename(tmp_path / "whole")
    begun = []
    for _ in range(2):
        stopped = Inline(len(whole.begun) // 3)
        assert run(stopped) == 130
        begun += stopped.begun
    last = Inline()
    assert run(last) == 0
    assert files(folder) == kept
    assert begun + last.begun == whole.begun
