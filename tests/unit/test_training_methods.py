"""Retraining as a job: the method of a study, what it leaves on disk, and what it refuses."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import tiny_study

from npuexplore.audio.mixtures import MixtureRecipe
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.compression.removed_units import smaller_network, units_left
from npuexplore.errors import BadInput, NpuexploreError
from npuexplore.pipeline import ahead, jobs
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.jobs import TrainingJob, train
from npuexplore.pipeline.problem import load_problem
from npuexplore.records.checkpoint import load_checkpoint
from npuexplore.train.apply import mask_of, one_shot
from npuexplore.train.fit import FitRecipe, RetrainRecipe
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(tiny_study.NETWORK)
HALF = CompressionPlan(layers={"lstm_1": LayerPlan(structure="weight", sparsity_frac=0.5)})
UNITS = CompressionPlan(
    layers={name: LayerPlan(structure="unit", sparsity_frac=0.5) for name in ("lstm_1", "lstm_2", "fc_1")}
)
METHODS = ("learned", "gradual", "frozen", "offline")


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Segments to learn from, mixtures to validate on, and a float baseline."""
    folder = tmp_path_factory.mktemp("given")
    rng = np.random.default_rng(1)
    for name in ("speech", "noise"):
        np.save(folder / f"{name}.npy", rng.integers(-9_000, 9_000, (16, 15 * 256)).astype(np.int16))
    clean = 0.1 * rng.standard_normal((2, 16 * 256))
    np.save(folder / "mixtures.npy", np.stack([clean, clean + 0.05]).astype(np.float32))
    train(job_of(folder, folder, recipe=FitRecipe(steps=3, batch=2)))
    return folder


def job_of(given, folder, **changes):
    return TrainingJob(
        **{
            "name": "pick",
            "network": NETWORK,
            "recipe": RetrainRecipe(steps=10, batch=2, checkpoint_steps=2, validation_steps=2),
            "mixtures": MixtureRecipe(pool_segments=16, segment_frames=16),
            "pool_folder": given,
            "state": folder / "training" / "pick.npz",
            "output": folder / "pick.npz",
            "seed": 3,
            **changes,
        }
    )


def retraining(given, folder, *, plan=HALF, **recipe):
    shared = {"steps": 10, "batch": 2, "checkpoint_steps": 2, "validation_steps": 2}
    return job_of(
        given,
        folder,
        recipe=RetrainRecipe.model_validate({**shared, **recipe}),
        start=given / "pick.npz",
        plan=plan,
        validation=given / "mixtures.npy",
        curve=folder / "curves" / "pick.csv",
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_method_of_a_study_is_that_of_its_picks(method, given, tmp_path):
    study = tiny_study.write_study(tmp_path, retrain={"method": method})
    recipe = load_problem(study).study.retrain
    trained = train(replace(retraining(given, tmp_path), recipe=recipe))
    assert trained.training["method"] == method
    assert trained.training["steps"] == (0 if method == "offline" else 8)
    matrices = [trained.params["lstm_1"][name] for name in ("w_ih", "w_hh")]
    assert sum(int((w == 0).sum()) for w in matrices) >= 0.5 * sum(w.size for w in matrices)
    read = read_network(tmp_path / "pick.npz")
    np.testing.assert_array_equal(read.params["lstm_1"]["w_hh"], trained.params["lstm_1"]["w_hh"])


def test_pruning_is_gradual_unless_the_study_says_otherwise(tmp_path):
    recipe = load_problem(tiny_study.write_study(tmp_path)).study.retrain
    assert (recipe.method, recipe.budget, recipe.distillation) == ("gradual", "network", None)


def test_a_study_may_ask_for_a_teacher_and_a_budget_of_the_whole_network(given, tmp_path):
    retrain = {
        "method": "learned",
        "budget": "network",
        "distillation": {"target": "masks", "share_frac": 0.3},
    }
    recipe = load_problem(tiny_study.write_study(tmp_path, retrain=retrain)).study.retrain
    assert recipe.distillation.target == "masks"
    trained = train(replace(retraining(given, tmp_path), recipe=recipe))
    zeros = sum(int((trained.params["lstm_1"][name] == 0).sum()) for name in ("w_ih", "w_hh"))
    total = sum(trained.params["lstm_1"][name].size for name in ("w_ih", "w_hh"))
    assert trained.plan.of("lstm_1").sparsity_frac == pytest.approx(0.5, abs=0.005)
    assert zeros >= round(0.5 * total) - 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"retrain": {"method": "lottery"}}, "retrain.method: got 'lottery'"),
        ({"baseline": {"method": "learned"}}, "baseline.method: "),
        ({"retrain": {"distillation": {"share_frac": 2.0}}}, "retrain.distillation.share_frac: got 2.0"),
        (
            {"space": {"blocks": [[1, 4], [16, 16]]}},
            "space.blocks: layers.lstm_1: a block of 16 x 16 covers all",
        ),
    ],
)
def test_what_a_study_asks_for_in_vain_is_named(changes, sentence, tmp_path):
    study = tiny_study.write_study(tmp_path, **changes)
    with pytest.raises(BadInput) as caught:
        load_problem(study)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_offline_pruning_is_one_shot_pruning_of_the_baseline(given, tmp_path):
    trained = train(retraining(given, tmp_path, method="offline"))
    expected = one_shot(read_network(given / "pick.npz").params, HALF, NETWORK)
    for layer, entry in expected.items():
        for name, array in entry.items():
            np.testing.assert_array_equal(trained.params[layer][name], array)


class Stop(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("method", ["learned", "gradual", "frozen"])
def test_a_retraining_that_was_stopped_leaves_the_same_files(method, given, tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_STEPS", 1)
    whole, stopped = (retraining(given, tmp_path / name, method=method) for name in ("a", "b"))
    train(whole)
    for step in (3, 6, 9):

        def stop(_, done, *__, step=step):
            if done == step:
                raise Stop

        with pytest.raises(Stop):
            train(stopped, on_progress=stop)
    train(stopped)
    assert stopped.output.read_bytes() == whole.output.read_bytes()
    assert stopped.curve.read_bytes() == whole.curve.read_bytes()


def test_a_curve_has_a_row_per_step(given, tmp_path):
    trained = train(retraining(given, tmp_path))
    rows = list(csv.DictReader((tmp_path / "curves" / "pick.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == [str(step) for step in range(1, 11)]
    assert list(rows[0]) == ["step", "loss_db", "kept_frac", "penalty_db", "validation_db"]
    tried = {row["step"]: float(row["validation_db"]) for row in rows if row["validation_db"]}
    assert list(tried) == ["6", "8", "10"]
    assert trained.training["validation_db"] == round(min(tried.values()), 3)
    assert trained.training["best_step"] == int(min(tried, key=tried.__getitem__))
    kept = [float(row["kept_frac"]) for row in rows]
    assert kept[0] > kept[-1] == kept[-2]


@pytest.mark.parametrize("method", METHODS)
def test_a_network_without_some_units_is_smaller_on_disk_and_the_same_when_read(method, given, tmp_path):
    trained = train(retraining(given, tmp_path, plan=UNITS, method=method, budget="layer"))
    stored, _ = load_checkpoint(tmp_path / "pick.npz")
    assert stored["params/lstm_1/w_hh"].shape == (16, 4)
    assert stored["params/lstm_2/w_ih"].shape == (16, 4)
    assert stored["params/fc_2/w"].shape == (16, 4)
    weights = sum(array.size for name, array in stored.items() if "/w" in name)
    assert weights < 0.4 * sum(w.size for entry in trained.params.values() for w in entry.values())
    read = read_network(tmp_path / "pick.npz")
    for layer, entry in trained.params.items():
        for name, array in entry.items():
            np.testing.assert_array_equal(read.params[layer][name], array)


def test_the_smaller_network_gives_the_same_masks(given, tmp_path):
    trained = train(retraining(given, tmp_path, plan=UNITS))
    features = np.random.default_rng(2).standard_normal((9, 2, 16)).astype(np.float32)
    params, plan, network = smaller_network(trained.params, UNITS, NETWORK)
    assert [layer.model_dump().get("hidden_units") for layer in network.layers] == [4, 4, None, None]
    assert not units_left(params, plan, network)
    whole = mask_of(trained.params, features, NETWORK, UNITS)
    np.testing.assert_array_equal(mask_of(params, features, network, plan), whole)


def test_a_diverging_run_keeps_its_best_network_and_overwrites_nothing(given, tmp_path, monkeypatch):
    made = ahead.training_batches

    def breaking(*arguments, **options):
        batch_at = made(*arguments, **options)

        def batches(step):
            batch = batch_at(step)
            return batch if step < 9 else replace(batch, cross=batch.cross * np.float32(np.nan))

        return batches

    monkeypatch.setattr(ahead, "training_batches", breaking)
    job = retraining(given, tmp_path)
    with pytest.raises(NpuexploreError) as caught:
        train(job)
    best = tmp_path / "training" / "pick-best.npz"
    assert str(caught.value).startswith("pick: training: step 9: loss nan")
    assert str(caught.value).endswith(f"; the best network so far is kept in {best}")
    assert read_network(best).training["steps"] == 8
    assert not job.output.exists()


def test_a_start_of_another_network_is_refused(given, tmp_path):
    other = NETWORK.model_copy(update={"name": "other", "layers": NETWORK.layers[1:]})
    job = replace(retraining(given, tmp_path), network=other)
    with pytest.raises(
        BadInput, match=r"pick\.npz: holds network tinynet, whose layers are not those of other"
    ):
        train(job)
    assert not job.output.exists()


def test_a_run_killed_between_its_curve_and_its_state_ends_in_the_same_curve(given, tmp_path, monkeypatch):
    whole, stopped = (retraining(given, tmp_path / name) for name in ("a", "b"))
    train(whole)
    saved = jobs.save_checkpoint

    def killed_at_the_end(path, arrays, manifest):
        if manifest["step"] == 10:
            raise Stop
        saved(path, arrays, manifest)

    monkeypatch.setattr(jobs, "save_checkpoint", killed_at_the_end)
    with pytest.raises(Stop):
        train(stopped)
    monkeypatch.setattr(jobs, "save_checkpoint", saved)
    written = jobs.write_text
    monkeypatch.setattr(jobs, "write_text", lambda *_: (_ for _ in ()).throw(Stop))
    with pytest.raises(Stop):
        train(stopped)
    monkeypatch.setattr(jobs, "write_text", written)
    train(stopped)
    assert stopped.curve.read_bytes() == whole.curve.read_bytes()
