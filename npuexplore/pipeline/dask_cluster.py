"""Tasks on the workers of a Dask cluster. Their files travel by the run directory, which all must see.

A task runs in a process that its Dask worker starts, as it would on this machine. When a worker dies, Dask
gives its tasks to another, where they go on from what they have saved. A task whose client is gone stops.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import pickle
import queue
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuexplore.errors import EnvironmentLacking, NpuexploreError
from npuexplore.pipeline.shared_folder import Meeting, meeting_place, versions_here, what_hinders
from npuexplore.pipeline.workers import NoLongerWanted, Task, refusal, run_tasks

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_SECONDS = 10.0
PATIENCE_SECONDS = 60.0
"""How long a cluster may be without any worker while there is work."""
LOOK_EVERY_SECONDS = 2.0
INSTALL = 'run pip install "npuexplore[dask]", or leave --executor out'


@dataclass(frozen=True)
class DaskCluster:
    """The workers of a running cluster."""

    address: str
    """Of the scheduler, as Dask writes it."""
    folder: Path
    """The run directory, absolute."""

    def check(self) -> None:
        """Raises EnvironmentLacking without the extra, a scheduler, workers, or a worker that is fit."""
        with self._connected() as client, meeting_place(self.folder) as meeting:
            _refuse_unfit_workers(client, meeting, self.address)

    def run(self, tasks: Sequence[Task], *, on_message: Callable[[str, Any], None]) -> None:
        """Runs the tasks, as many at a time as the cluster has threads."""
        if not tasks:
            return
        with self._connected() as client, meeting_place(self.folder) as meeting:
            _refuse_unfit_workers(client, meeting, self.address)
            _Errand(client, meeting, self.address, on_message).run(tasks)
        _look_again(self.folder)

    @contextmanager
    def _connected(self) -> Iterator[Client]:
        """A connection for a while, during which Dask keeps its log and its warnings to itself."""
        try:
            from distributed import Client
        except ImportError:
            raise EnvironmentLacking(f"--executor: Dask (distributed) is not installed; {INSTALL}") from None
        with _quiet_dask():
            _refuse_unreachable(self.address)
            client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
            try:
                yield client
            finally:
                client.close(timeout=CONNECT_SECONDS)


def _look_again(folder: Path) -> None:
    """Lists every folder: a network's file system may else say for a while that a new file is not there."""
    for _ in folder.rglob("*"):
        pass


@contextmanager
def _quiet_dask() -> Iterator[None]:
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(distributed|dask|tornado)\b")
            yield
    finally:
        logger.setLevel(level)


def _refuse_unreachable(address: str) -> None:
    """Asks the scheduler who it is; a client that never got through could not be closed."""

    async def greeted() -> None:
        from distributed import rpc
        from distributed.security import Security

        secrets = Security().get_connection_args("client")
        async with rpc(address, timeout=CONNECT_SECONDS, connection_args=secrets) as scheduler:
            await asyncio.wait_for(scheduler.identity(), CONNECT_SECONDS)

    try:
        asyncio.run(greeted())
    except TypeError:
        raise EnvironmentLacking(
            f"--executor {address}: no certificates; name them in Dask's configuration "
            "(distributed.comm.tls.ca-file, .client.cert and .client.key)"
        ) from None
    except (OSError, ValueError) as error:
        raise EnvironmentLacking(
            f"--executor {address}: no Dask scheduler answers there ({type(error).__name__}); start one "
            f"(`dask scheduler`) and workers (`dask worker {address}`), or leave --executor out"
        ) from None


def _refuse_unfit_workers(client: Client, meeting: Meeting, address: str) -> None:
    """The scheduler, which reads tasks too, and every worker are asked; the first unfit one is named."""
    wanted = meeting.versions["npuexplore"]
    try:
        there = client.run_on_scheduler(versions_here)["npuexplore"]
    except Exception as error:
        raise _without_npuexplore(f"scheduler {address}", wanted, error) from None
    if there != wanted:
        raise EnvironmentLacking(
            f"scheduler {address}: has npuexplore {there}, and {wanted} is asked for; install that there"
        )
    answers = client.run(what_hinders, meeting, on_error="return")
    if not answers:
        raise EnvironmentLacking(
            f"--executor {address}: the scheduler has no workers; start some with `dask worker {address}`"
        )
    for worker, problem in sorted(answers.items()):
        if isinstance(problem, BaseException):
            raise _without_npuexplore(f"worker {worker}", wanted, problem)
        if problem is not None:
            raise EnvironmentLacking(f"worker {worker}: {problem}")


def _without_npuexplore(who: str, wanted: str, error: BaseException) -> EnvironmentLacking:
    return EnvironmentLacking(
        f"{who}: cannot run npuexplore {wanted} ({type(error).__name__}); install that there, with its extra "
        "[dask]"
    )


class _Errand:
    """Tasks that were handed to a cluster, and what comes back of them."""

    def __init__(
        self, client: Client, meeting: Meeting, address: str, on_message: Callable[[str, Any], None]
    ) -> None:
        self.client, self.meeting, self.address = client, meeting, address
        self.on_message = on_message
        self.inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self.without_workers_since: float | None = None

    def run(self, tasks: Sequence[Task]) -> None:
        """Hands the tasks out, passes on what they send, and waits for all; on any error, none goes on."""
        topic = f"npuexplore-{uuid.uuid4().hex}"
        self.client.subscribe_topic(topic, lambda event: self.inbox.put(("message", event[1])))
        futures = {self._submitted(task, topic): task for task in tasks}
        try:
            left = set(futures)
            while left:
                kind, content = self._next()
                if kind == "message":
                    self.on_message(*pickle.loads(content))
                elif content in left:
                    self._finish(content, futures[content])
                    left.remove(content)
        finally:
            self.client.unsubscribe_topic(topic)
            self.client.cancel(list(futures), reason="npuexplore no longer wants them")

    def _submitted(self, task: Task, topic: str) -> Future:
        key = f"{task.name}-{uuid.uuid4().hex}"
        future = self.client.submit(_run_on_worker, task, self.meeting, topic, key=key, pure=False)
        future.add_done_callback(lambda done: self.inbox.put(("done", done)))
        return future

    def _next(self) -> tuple[str, Any]:
        """What comes next. Raises EnvironmentLacking when the last worker has been gone for long."""
        while True:
            try:
                return self.inbox.get(timeout=LOOK_EVERY_SECONDS)
            except queue.Empty:
                self._look_for_workers()

    def _look_for_workers(self) -> None:
        if self.client.scheduler_info(n_workers=1).get("workers"):
            self.without_workers_since = None
            return
        since = self.without_workers_since = self.without_workers_since or time.monotonic()
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise EnvironmentLacking(
                f"--executor {self.address}: its workers are gone; start some with `dask worker "
                f"{self.address}`, then run the same command to go on"
            )

    def _finish(self, future: Future, task: Task) -> None:
        """Raises what a task raised, and what became of it where it could not be run."""
        if future.status == "cancelled":
            raise EnvironmentLacking(
                f"--executor {self.address}: the scheduler is gone; start it again, then run the same "
                "command to go on"
            )
        error = future.exception()
        if type(error).__name__ == "KilledWorker":
            raise EnvironmentLacking(
                f"{task.name}: several workers died while they ran it (out of memory?); give workers more, "
                "then run the same command to go on"
            )
        if error is not None:
            raise error
        told = future.result()
        if told is not None:
            raise refusal(*told)


def _run_on_worker(task: Task, meeting: Meeting, topic: str) -> tuple[int, str] | None:
    """Runs a task in a process of its own; exit code and sentence of what it raised, if anything."""
    from distributed import get_worker

    worker = get_worker()
    if (problem := what_hinders(meeting)) is not None:
        return EnvironmentLacking.exit_code, f"worker {worker.address}: {problem}"
    key = worker.get_current_task()

    def wanted() -> bool:
        state = worker.state.tasks.get(key)
        leaving = worker.status.name in ("closing", "closed", "failed")
        return state is not None and state.state == "executing" and not leaving

    def send(name: str, content: Any) -> None:
        worker.log_event(topic, pickle.dumps((name, content)))

    multiprocessing.current_process().daemon = False  # a daemon, as workers are, may not start processes
    try:
        run_tasks([task], workers=1, on_message=send, wanted=wanted)
    except NpuexploreError as error:
        return error.exit_code, str(error)
    except NoLongerWanted:
        return None
    return None
