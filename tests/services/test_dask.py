"""Trainings on the workers of a Dask cluster: the same bytes as here, whoever dies on the way."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny_study
import worker_tasks
from command_line import program, run_program
from processes import PATIENCE_S, gone_within, is_running, none_within

from npuexplore.audio.mixtures import MixtureRecipe
from npuexplore.errors import BadInput, EnvironmentLacking
from npuexplore.pipeline import dask_cluster
from npuexplore.pipeline.executors import LocalProcesses, executor_of
from npuexplore.pipeline.jobs import TrainingJob, run_jobs
from npuexplore.pipeline.workers import Task
from npuexplore.train.fit import FitRecipe
from npuexplore.workload.network import Network

distributed = pytest.importorskip("distributed", reason="needs the extra [dask]: make test-services")

CHECKPOINT_STEPS = 25
STEPS = 400
QUIET = {"dashboard_address": ":0", "silence_logs": "CRITICAL"}


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes of one thread each."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **QUIET) as running:
        yield running


@pytest.fixture
def address(cluster):
    return cluster.scheduler_address.replace("tcp://", "dask://")


@pytest.fixture
def executor(address, tmp_path):
    return executor_of(address, workers=1, folder=tmp_path)


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster, set_as_default=False) as connected:
        yield connected


def run(executor, *functions_and_arguments, on_message=None):
    heard = []
    tasks = [Task(f"task-{i}", function, arg) for i, (function, arg) in enumerate(functions_and_arguments)]
    executor.run(tasks, on_message=on_message or (lambda *message: heard.append(message)))
    return heard


def test_messages_arrive_in_their_order_and_every_task_has_one_blas_thread(executor):
    heard = run(
        executor,
        (worker_tasks.count_to, 5),
        (worker_tasks.tell_blas_threads, None),
        (worker_tasks.count_to, 3),
    )
    assert [message for name, message in heard if name == "task-0"] == [0, 1, 2, 3, 4]
    assert [message for name, message in heard if name == "task-2"] == [0, 1, 2]
    assert ("task-1", "1") in heard


def test_what_a_task_raises_is_what_it_raises_here(executor):
    with pytest.raises(BadInput, match=r"^BadInput: a sentence$"):
        run(executor, (worker_tasks.refuse, "BadInput"))
    with pytest.raises(EnvironmentLacking, match=r"^task-0: its process died \(exit code 9"):
        run(executor, (worker_tasks.die, 9))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: of this kind"):
        run(executor, (worker_tasks.have_a_bug, None))


def test_nothing_stays_in_the_run_directory(executor, tmp_path):
    executor.check()
    run(executor, (worker_tasks.count_to, 1))
    assert not list(tmp_path.iterdir())


def test_an_interruption_stops_what_runs_on_the_workers(executor):
    sleepers = []

    def interrupt(_, process_id):
        sleepers.append(process_id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(executor, (worker_tasks.sleep_long, None), on_message=interrupt)
    assert gone_within(sleepers[0], PATIENCE_S)


def test_what_runs_on_the_workers_ends_with_who_wanted_it(address, tmp_path):
    command = [sys.executable, worker_tasks.__file__, address, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wanting:
        sleeper = int(wanting.stdout.readline())
        assert is_running(sleeper)
        wanting.kill()
    assert gone_within(sleeper, PATIENCE_S)


def training_in(folder):
    rng = np.random.default_rng(1)
    for name in ("speech", "noise"):
        np.save(folder / f"{name}.npy", rng.integers(-9_000, 9_000, (16, 15 * 256)).astype(np.int16))
    return TrainingJob(
        name="baseline",
        network=Network.model_validate(tiny_study.NETWORK),
        recipe=FitRecipe(steps=STEPS, batch=2, checkpoint_steps=CHECKPOINT_STEPS),
        mixtures=MixtureRecipe(pool_segments=16, segment_frames=16),
        pool_folder=folder,
        state=folder / "training" / "baseline.npz",
        output=folder / "baseline.npz",
        seed=3,
    )


def test_a_job_whose_worker_is_killed_goes_on_elsewhere_from_its_saved_state(
    executor, client, cluster, tmp_path, tmp_path_factory
):
    here = training_in(tmp_path_factory.mktemp("here"))
    run_jobs([here], executor=LocalProcesses(1), on_progress=lambda *_: None)

    job, told, killed = training_in(tmp_path), [], []

    def kill_its_worker(_, step, *__):
        told.append(step)
        if step >= 2 * CHECKPOINT_STEPS and not killed:
            (busy,) = [address for address, keys in client.processing().items() if keys]
            (nanny,) = [each for each in cluster.workers.values() if each.worker_address == busy]
            killed.append(nanny.pid)
            os.kill(nanny.pid, signal.SIGKILL)

    run_jobs([job], executor=executor, on_progress=kill_its_worker)
    assert killed
    assert not is_running(killed[0])
    assert job.output.read_bytes() == here.output.read_bytes()
    assert not job.state.exists()
    again = [later for before, later in itertools.pairwise(told) if later <= before]
    assert told.count(STEPS) == 1
    assert len(again) <= 1
    assert all(step > CHECKPOINT_STEPS for step in again)


@pytest.fixture
def other_version(client):
    """One worker has another npuexplore for a while."""
    worker = sorted(client.scheduler_info(n_workers=-1)["workers"])[0]
    client.run(worker_tasks.pretend_to_be, "9.9", workers=[worker])
    yield worker
    client.run(worker_tasks.pretend_to_be, None, workers=[worker])


def test_a_worker_with_another_version_is_named_before_anything_is_done(executor, other_version):
    with pytest.raises(
        EnvironmentLacking, match=rf"^worker {other_version}: has npuexplore 9\.9, and .* install that there$"
    ):
        executor.check()


def test_a_worker_that_does_not_see_the_run_directory_is_named_before_anything_is_done(
    address, tiny, recordings, inside, cli
):
    outcome = cli(
        "study", "run", tiny, "--data", recordings, "--runs", "/proc/self/cwd/runs", "--executor", address
    )
    assert outcome.code == 4
    assert "does not see /proc/self/cwd/runs/tiny; the run directory must lie in a folder that all" in (
        outcome.sentence
    )
    assert not list(inside.iterdir())


def test_a_scheduler_without_workers_is_refused(tmp_path):
    with distributed.LocalCluster(n_workers=0, processes=True, **QUIET) as idle:
        executor = executor_of(idle.scheduler_address.replace("tcp", "dask"), workers=1, folder=tmp_path)
        with pytest.raises(
            EnvironmentLacking, match=r"the scheduler has no workers; start some with `dask w"
        ):
            executor.check()


def test_workers_that_leave_for_good_end_the_wait_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(dask_cluster, "LOOK_EVERY_SECONDS", 0.1)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, **QUIET) as short:
        executor = executor_of(short.scheduler_address.replace("tcp", "dask"), workers=1, folder=tmp_path)
        with pytest.raises(EnvironmentLacking, match="its workers are gone"):
            run(executor, (worker_tasks.sleep_long, None), on_message=lambda *_: short.scale(0))


def test_a_study_over_dask_ends_in_the_same_bytes_also_when_it_is_killed(
    finished, address, tiny, recordings, tmp_path
):
    command = ("study", "run", tiny, "--data", recordings, "--runs", tmp_path, "--executor", address)
    killed = program(*command)
    run_folder = tmp_path / "tiny"
    end = time.monotonic() + 100
    while not list((run_folder / "training").glob("*.npz")) or not (run_folder / "search.log").exists():
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < end
        time.sleep(0.002)
    killed.kill()
    killed.communicate()
    outcome = run_program(*command)
    assert outcome.code == 0, outcome.err
    for path in [*finished.glob("picks/*.npz"), *finished.glob("curves/*.csv")]:
        assert (run_folder / path.relative_to(finished)).read_bytes() == path.read_bytes()
    for name in ("results.json", "report.html", "baseline.npz"):
        assert (run_folder / name).read_bytes() == (finished / name).read_bytes()
    assert json.loads((run_folder / "results.json").read_text())["picks"]
    assert none_within(lambda: list(run_folder.rglob("*.part")), PATIENCE_S)
