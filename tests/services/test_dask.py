"""Trainings on the workers of a Dask cluster: the same bytes as here, whoever dies on the way."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

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

dask = pytest.importorskip("dask", reason="needs the extra [dask]: make test-services")
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


def test_a_worker_without_npuexplore_is_named_before_anything_is_done(executor, client):
    worker = sorted(client.scheduler_info(n_workers=-1)["workers"])[1]
    client.run(worker_tasks.forget_npuexplore, True, workers=[worker])
    try:
        with pytest.raises(
            EnvironmentLacking, match=rf"^worker {worker}: cannot run npuexplore 0.* install that"
        ):
            executor.check()
    finally:
        client.run(worker_tasks.forget_npuexplore, False, workers=[worker])


def test_a_worker_that_joins_later_is_asked_before_its_first_task(executor, client, monkeypatch):
    monkeypatch.setattr(dask_cluster, "_refuse_unfit_workers", lambda *_: None)
    client.run(worker_tasks.pretend_to_be, "9.9")
    try:
        with pytest.raises(EnvironmentLacking, match=r"^worker tcp://.*: has npuexplore 9\.9, and "):
            run(executor, (worker_tasks.die, 9))
    finally:
        client.run(worker_tasks.pretend_to_be, None)


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


@contextmanager
def programs_of_dask(folder, *options):
    """A scheduler and a worker as people start them; yields the scheduler's process and its address."""
    described = folder / "scheduler.json"
    shared = ["--scheduler-file", described, "--no-dashboard", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    python = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    scheduler = subprocess.Popen([*python, *shared], env=environment, **quiet)
    worker = None
    try:
        while not described.exists():
            assert scheduler.poll() is None
            time.sleep(0.02)
        python = [sys.executable, "-m", "distributed.cli.dask_worker", "--nthreads", "1"]
        worker = subprocess.Popen([*python, *shared], env=environment, **quiet)
        yield scheduler, json.loads(described.read_text())["address"]
    finally:
        for process in (worker, scheduler):
            if process is not None:
                process.kill()
                process.wait()


def when_it_has_workers(executor):
    """Waits until the cluster of an executor is complete."""
    end = time.monotonic() + 120.0
    while True:
        try:
            return executor.check()
        except EnvironmentLacking as error:
            if "the scheduler has no workers" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_a_scheduler_that_is_killed_ends_the_command_with_a_sentence(tmp_path):
    with programs_of_dask(tmp_path) as (scheduler, address):
        executor = executor_of(address.replace("tcp", "dask"), workers=1, folder=tmp_path)
        when_it_has_workers(executor)
        sleepers = []

        def kill_the_scheduler(_, process_id):
            sleepers.append(process_id)
            scheduler.kill()

        with pytest.raises(
            EnvironmentLacking, match=r"the scheduler is gone; start it again, then run the same"
        ):
            run(executor, (worker_tasks.sleep_long, None), on_message=kill_the_scheduler)
    assert gone_within(sleepers[0], PATIENCE_S)


def test_a_cluster_may_be_encrypted(tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=npuexplore",
    ]
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl to make a certificate")
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = "distributed.comm.tls"
    secrets = {f"{tls}.ca-file": certificate, f"{tls}.client.cert": certificate, f"{tls}.client.key": key}
    own = ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key]
    with (
        programs_of_dask(tmp_path, "--protocol", "tls", *own) as (_, address),
        dask.config.set({name: str(path) for name, path in secrets.items()}),
    ):
        assert address.startswith("tls://")
        executor = executor_of(address, workers=1, folder=tmp_path)
        when_it_has_workers(executor)
        assert run(executor, (worker_tasks.count_to, 2)) == [("task-0", 0), ("task-0", 1)]


def test_a_scheduler_without_npuexplore_is_named(executor, client):
    client.run_on_scheduler(worker_tasks.forget_npuexplore, True)
    try:
        with pytest.raises(
            EnvironmentLacking, match=r"^scheduler tcp://.*: cannot run npuexplore 0.* install"
        ):
            executor.check()
    finally:
        worker_tasks.forget_npuexplore(False)
