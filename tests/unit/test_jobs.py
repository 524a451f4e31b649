import numpy as np
import pytest
import tiny_study

from npuexplore.audio.mixtures import MixtureRecipe
from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.errors import BadInput
from npuexplore.pipeline import jobs
from npuexplore.pipeline.executors import LocalProcesses
from npuexplore.pipeline.jobs import TrainingJob, run_jobs, train, train_until
from npuexplore.records import checkpoint
from npuexplore.records.checkpoint import SCHEMA, load_checkpoint, save_checkpoint
from npuexplore.train.fit import FitRecipe, RetrainRecipe
from npuexplore.workload.network import Network

NETWORK = Network.model_validate(tiny_study.NETWORK)
PLAN = CompressionPlan(layers={"lstm_1": LayerPlan(structure="weight", sparsity_frac=0.5)})


@pytest.fixture(scope="module")
def pool_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segments")
    rng = np.random.default_rng(1)
    for name in ("speech", "noise"):
        np.save(folder / f"{name}.npy", rng.integers(-9_000, 9_000, (16, 15 * 256)).astype(np.int16))
    return folder


def job_in(folder, pool_folder, **changes):
    settings = {
        "name": "baseline",
        "network": NETWORK,
        "recipe": FitRecipe(steps=7, batch=2, checkpoint_steps=2),
        "mixtures": MixtureRecipe(pool_segments=16, segment_frames=16),
        "pool_folder": pool_folder,
        "state": folder / "training" / "baseline.npz",
        "output": folder / "baseline.npz",
        "seed": 3,
        "credits": ("CC0",),
    }
    return TrainingJob(**{**settings, **changes})


class Stop(Exception):
    """Stands for a kill."""


def stop_after(step):
    def on_progress(_, done, *__):
        if done == step:
            raise Stop

    return on_progress


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pool_folder):
    job = job_in(tmp_path_factory.mktemp("whole"), pool_folder)
    train(job)
    return job


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6])
def test_a_training_that_was_stopped_ends_in_the_same_bytes(tmp_path, pool_folder, whole, monkeypatch, step):
    monkeypatch.setattr(jobs, "REPORT_STEPS", 1)
    job = job_in(tmp_path, pool_folder)
    with pytest.raises(Stop):
        train(job, on_progress=stop_after(step))
    assert not job.output.exists()
    assert job.state.exists() == (step > 2)
    train(job)
    assert job.output.read_bytes() == whole.output.read_bytes()
    assert not job.state.exists()


def test_a_stopped_training_goes_on_from_its_last_checkpoint(tmp_path, pool_folder, monkeypatch):
    monkeypatch.setattr(jobs, "REPORT_STEPS", 1)
    job, steps = job_in(tmp_path, pool_folder), []
    with pytest.raises(Stop):
        train(job, on_progress=stop_after(5))
    assert load_checkpoint(job.state)[1] == {"step": 4, "job": "baseline"}
    train(job, on_progress=lambda _, step, *__: steps.append(step))
    assert steps == [5, 6, 7]


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 1_000])
def test_a_torn_state_is_as_good_as_none(tmp_path, pool_folder, whole, content):
    job = job_in(tmp_path, pool_folder)
    job.state.parent.mkdir()
    job.state.write_bytes(content)
    train(job)
    assert job.output.read_bytes() == whole.output.read_bytes()


@pytest.mark.parametrize("kind", ["network", "other training", "other version"])
def test_another_file_in_place_of_a_state_is_refused_and_left_alone(
    tmp_path, pool_folder, whole, monkeypatch, kind
):
    job = job_in(tmp_path, pool_folder)
    job.state.parent.mkdir()
    if kind == "network":
        job.state.write_bytes(whole.output.read_bytes())
    else:
        name = "baseline" if kind == "other version" else "knee"
        monkeypatch.setattr(checkpoint, "SCHEMA", "npuexplore.checkpoint/9" if name == "baseline" else SCHEMA)
        save_checkpoint(job.state, {"losses": np.zeros(4)}, {"step": 4, "job": name})
        monkeypatch.undo()
    before = job.state.read_bytes()
    with pytest.raises(BadInput, match=r"baseline\.npz: (is not the saved state of|has schema)"):
        train(job)
    assert job.state.read_bytes() == before
    assert not job.output.exists()


def test_a_finished_training_is_not_repeated(whole):
    heard = []
    run_jobs([whole], executor=LocalProcesses(1), on_progress=lambda *message: heard.append(message))
    assert not heard


def test_a_retraining_starts_from_its_baseline_and_keeps_its_scale(tmp_path, pool_folder, whole):
    recipe = FitRecipe(steps=1, batch=2, warmup_steps=0, peak_rate=1e-12, final_rate=1e-12)
    retrained = train(job_in(tmp_path, pool_folder, recipe=recipe, start=whole.output, plan=PLAN, seed=4))
    arrays, _ = load_checkpoint(whole.output)
    np.testing.assert_array_equal(retrained.feature_scale, arrays["feature_scale"])
    np.testing.assert_allclose(retrained.params["fc_2"]["bias"], arrays["params/fc_2/bias"], atol=1e-6)
    assert np.count_nonzero(retrained.params["lstm_1"]["w_ih"]) < arrays["params/lstm_1/w_ih"].size


def test_a_training_says_what_it_was(whole):
    assert load_checkpoint(whole.output)[1]["training"] == {
        "seed": 3, "steps": 7, "frames": 7 * 2 * 16, "credits": ["CC0"]
    }  # fmt: skip


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    """Three clean and noisy mixtures of a second."""
    path = tmp_path_factory.mktemp("validation") / "validation.npy"
    rng = np.random.default_rng(5)
    clean = 0.1 * rng.standard_normal((3, 16_000)).cumsum(axis=1) / 50
    np.save(path, np.stack([clean, clean + 0.05 * rng.standard_normal(clean.shape)]).astype(np.float32))
    return path


def retraining_in(folder, pool_folder, whole, validation, **changes):
    recipe = RetrainRecipe(steps=10, batch=2, checkpoint_steps=4, validation_steps=2)
    settings = {"recipe": recipe, "start": whole.output, "plan": PLAN, "seed": 4, "validation": validation}
    return job_in(folder, pool_folder, **{**settings, **changes})


def test_a_retraining_that_stops_at_rungs_ends_in_the_same_bytes(tmp_path, pool_folder, whole, validation):
    undisturbed = retraining_in(tmp_path / "one", pool_folder, whole, validation)
    train(undisturbed)
    job = retraining_in(tmp_path / "two", pool_folder, whole, validation)
    for step in (1, 3, 7, 8):
        assert np.isfinite(train_until(job, step))
        assert load_checkpoint(job.state)[1]["step"] == step
        assert not job.output.exists()
    train(job)
    assert job.output.read_bytes() == undisturbed.output.read_bytes()


def test_the_loss_at_a_rung_is_the_same_whenever_it_is_asked_for(tmp_path, pool_folder, whole, validation):
    job = retraining_in(tmp_path, pool_folder, whole, validation)
    losses = [train_until(job, step) for step in (3, 3, 9, 3, 9)]
    assert losses[0] == losses[1] == losses[3] != losses[2] == losses[4]


def test_the_loss_at_a_rung_is_of_all_zeros_first_and_of_the_best_network_then(
    tmp_path, pool_folder, whole, validation
):
    job = retraining_in(tmp_path, pool_folder, whole, validation)
    denser = CompressionPlan(layers={"lstm_1": LayerPlan(structure="weight", sparsity_frac=0.0)})
    dense = retraining_in(tmp_path / "dense", pool_folder, whole, validation, plan=denser)
    assert train_until(job, 1) != train_until(dense, 1)
    last = train_until(job, 10)
    tried = load_checkpoint(job.state)[0]["validation"]
    assert tried[:, 0].tolist() == [6.0, 8.0, 10.0]
    assert last == tried[:, 1].min()


def test_a_training_that_diverges_before_a_rung_has_no_loss_there(
    tmp_path, pool_folder, whole, validation, monkeypatch
):
    monkeypatch.setattr(jobs, "spectral_quality_db", lambda *_, **__: float("nan"))
    job = retraining_in(tmp_path, pool_folder, whole, validation)
    assert np.isnan(train_until(job, 8))
