"""Picks of equal plans, for different parts, are trained once."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.pipeline import retraining
from npuexplore.search.picks import Pick

SPARSE = CompressionPlan(layers={"lstm_1": LayerPlan(structure="weight", sparsity_frac=0.5)})
PLANS = {"knee": SPARSE, "on-stm32u575": CompressionPlan(), "on-stm32f746": SPARSE.model_copy(deep=True)}


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Names of the trainings that run, each of which writes its own name."""
    ran = []
    jobs = {
        name: SimpleNamespace(
            name=name, plan=plan, output=tmp_path / f"{name}.npz", curve=tmp_path / f"{name}.csv"
        )
        for name, plan in PLANS.items()
    }

    def run(job, stage, trainings):
        for each in trainings:
            if not each.output.exists():
                ran.append(each.name)
                each.output.write_text(each.name)
                each.curve.write_text(f"curve of {each.name}")

    monkeypatch.setattr(retraining, "pick_trainings", lambda *_: jobs)
    monkeypatch.setattr(retraining, "_run_trainings", run)
    return ran


def retrain(folder):
    job = SimpleNamespace(
        run=SimpleNamespace(pick=lambda name: folder / f"{name}.npz"), timed=lambda _: nullcontext()
    )
    picks = [Pick(index, name, "weight", "") for index, name in enumerate(PLANS)]
    retraining.retraining_stage(job, None, None, picks)


def test_equal_plans_are_trained_once_and_shared_with_their_curves(trained, tmp_path):
    retrain(tmp_path)
    assert trained == ["knee", "on-stm32u575"]
    assert (tmp_path / "on-stm32f746.npz").read_text() == "knee"
    assert (tmp_path / "on-stm32f746.csv").read_text() == "curve of knee"


def test_a_run_killed_before_sharing_shares_what_is_trained(trained, tmp_path):
    retrain(tmp_path)
    (tmp_path / "on-stm32f746.npz").unlink()
    retrain(tmp_path)
    assert trained == ["knee", "on-stm32u575"]
    assert (tmp_path / "on-stm32f746.npz").read_text() == "knee"
