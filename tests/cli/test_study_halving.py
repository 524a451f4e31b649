"""A study whose picks must win against rivals: what is left, in which order ever its trainings run."""

import json

import pytest
import tiny_study

from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.study_job import StudyJob

RUNGS = [4, 8, 16]


class Inline:
    """Runs tasks in this process, in an order of its own; is stopped before the task with a number."""

    def __init__(self, *, backwards=False, stop=None):
        self.backwards, self.stop, self.begun = backwards, stop, []

    def check(self):
        """Nothing can be lacking."""

    def run(self, tasks, *, on_message):
        for task in reversed(tasks) if self.backwards else tasks:
            if len(self.begun) == self.stop:
                raise KeyboardInterrupt
            self.begun.append(task.name)
            task.run(task.argument, lambda content, name=task.name: on_message(name, content))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return tiny_study.write_study(
        tmp_path_factory.mktemp("halving"),
        picks={"count": 3},
        retrain={"steps": 24, "checkpoint_steps": 5, "halving": {"rivals": 3, "first_rung_steps": RUNGS[0]}},
    )


@pytest.fixture
def run(study, recordings, tmp_path, monkeypatch, cli):
    """Runs the study with an executor; its exit code."""

    def with_executor(executor):
        monkeypatch.setattr(StudyJob, "executor", executor)
        return cli("study", "run", study, "--data", recordings, "--runs", tmp_path, "--workers", 1).code

    return with_executor


def files(folder):
    names = ("results.json", "report.html", "stages/halving*.json", "picks/*.npz")
    return {path.relative_to(folder): path.read_bytes() for name in names for path in folder.glob(name)}


def check_groups(results):
    """Half of a group goes on from each rung; the one that is left lost least and is the pick."""
    rows = results["halving"]["candidates"]
    groups = [row["name"] for row in rows if row["rival_of"] is None]
    assert len(groups) == len(results["picks"]) == 3
    for group, pick in zip(groups, results["picks"], strict=True):
        own = [row for row in rows if group in (row["name"], row["rival_of"])]
        assert len(own) == 4
        assert sorted(len(row["validation_loss_db"]) for row in own) == [1, 1, 2, 2]
        for row in own:
            reached = [int(step) for step in row["validation_loss_db"]]
            assert reached == RUNGS[: len(reached)]
            assert row["stopped_at_step"] == (None if row["name"] == pick["name"] else reached[-1])
        losses = {row["name"]: row["validation_loss_db"].get("8", 0.0) for row in own}
        assert min(losses, key=losses.get) == pick["name"]


def check_winners(results, folder):
    rows = {row["name"]: row for row in results["halving"]["candidates"]}
    assert {path.stem for path in (folder / "picks").iterdir()} == {p["name"] for p in results["picks"]}
    for pick in results["picks"]:
        row = rows[pick["name"]]
        assert pick["steps"] == 24
        assert read_network(folder / pick["checkpoint"]).plan.model_dump(mode="json") == row["plan"]
        assert ("compete for" in pick["why"]) == (row["rival_of"] is not None)


def test_winners_become_picks_and_neither_order_nor_stops_change_them(run, tmp_path):
    whole = Inline()
    assert run(whole) == 0
    folder = tmp_path / "tiny"
    results = json.loads((folder / "results.json").read_text())
    assert (results["halving"]["pruner"], results["halving"]["rungs_steps"]) == ("asha", RUNGS)
    check_groups(results)
    check_winners(results, folder)
    assert len(whole.begun) == 1 + 12 + 6 + 3
    assert not (folder / "training").exists()

    kept = files(folder)
    folder.rename(tmp_path / "whole")
    begun = []
    for stop in (9, 4):
        stopped = Inline(backwards=True, stop=stop)
        assert run(stopped) == 130
        begun += stopped.begun
    last = Inline(backwards=True)
    assert run(last) == 0
    assert files(folder) == kept
    assert sorted(begun + last.begun) == sorted(whole.begun)
