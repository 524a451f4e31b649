"""Where work in processes of their own runs: on this machine, or on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from npuexplore.errors import UsageError
from npuexplore.pipeline.workers import Task, run_tasks

LOCAL = "processes"
"""The word for processes on this machine."""
PROTOCOLS = {"dask": "tcp", "tls": "tls"}
"""What an address begins with, and what Dask calls it."""


class Executor(Protocol):
    """Runs tasks, each in a process of its own with one BLAS thread."""

    def check(self) -> None:
        """Raises EnvironmentLacking, in one sentence, when no work could be done here."""

    def run(self, tasks: Sequence[Task], *, on_message: Callable[[str, Any], None]) -> None:
        """Runs the tasks to their end; on_message gets (task name, what it sent) while they run.

        Raises what `run_tasks` raises; tasks keep what they wrote, and go on from it when run again.
        """


@dataclass(frozen=True)
class LocalProcesses:
    """Processes on this machine."""

    workers: int
    """How many at a time."""

    def check(self) -> None:
        """This machine is there."""

    def run(self, tasks: Sequence[Task], *, on_message: Callable[[str, Any], None]) -> None:
        """Runs the tasks, `workers` at a time."""
        run_tasks(tasks, workers=self.workers, on_message=on_message)


def executor_of(name: str | None, *, workers: int, folder: Path) -> Executor:
    """The executor that a user names: none or `processes`, `dask://HOST:PORT`, `tls://HOST:PORT`.

    folder : the run directory, which the workers of a cluster must see. Raises UsageError.
    """
    if name is None or name == LOCAL:
        return LocalProcesses(workers)
    from npuexplore.pipeline.dask_cluster import DaskCluster

    return DaskCluster(cluster_address(name), folder.absolute())


def cluster_address(name: str) -> str:
    """What Dask calls the scheduler that a user names. Raises UsageError.

    >>> cluster_address("dask://lab-7:8786"), cluster_address("tls://10.0.0.7:8786")
    ('tcp://lab-7:8786', 'tls://10.0.0.7:8786')
    """
    try:
        parts = urlsplit(name)
        whole = bool(parts.hostname and parts.port) and parts.netloc == name.partition("://")[2]
    except ValueError:
        whole = False
    if not whole or parts.scheme not in PROTOCOLS or "@" in name:
        raise UsageError(
            f"--executor: got {name.rpartition('@')[2]!r}; write dask://HOST:PORT or tls://HOST:PORT of a "
            f"Dask scheduler, or {LOCAL} for this machine"
        )
    return f"{PROTOCOLS[parts.scheme]}://{parts.netloc}"
