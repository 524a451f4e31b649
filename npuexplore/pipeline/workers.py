"""Work in processes of their own: one BLAS thread each, never outliving their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from npuexplore.errors import (
    BadInput,
    EnvironmentLacking,
    LimitsNotMet,
    NpuexploreError,
    UsageError,
)

Send = Callable[[Any], None]
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
ASKED_EVERY_S = 0.5
_starting = threading.Lock()
"""Held while a process starts: its surroundings are those of this whole process."""
_ERRORS = {kind.exit_code: kind for kind in (LimitsNotMet, UsageError, BadInput, EnvironmentLacking)}


@dataclass(frozen=True)
class Task:
    """A function of (argument, send) for another process; both must be importable there."""

    name: str
    run: Callable[[Any, Send], None]
    argument: Any


@dataclass(frozen=True)
class _Running:
    task: Task
    process: BaseProcess
    connection: Connection


class NoLongerWanted(Exception):
    """Whoever wanted the tasks does not want them any more; their processes are stopped."""


def run_tasks(
    tasks: Sequence[Task],
    *,
    workers: int,
    on_message: Callable[[str, Any], None],
    wanted: Callable[[], bool] | None = None,
) -> None:
    """Runs the tasks, `workers` at a time; on_message gets (task name, what it sent).

    `wanted` is asked twice a second where it is given. Raises NoLongerWanted when it says no, the first
    NpuexploreError of a task, or EnvironmentLacking when a process dies or the system refuses it something;
    the other processes are stopped then, as they are on any interruption.
    """
    waiting = list(tasks)
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(waiting.pop(0)))
            if wanted is not None and not wanted():
                raise NoLongerWanted
            for connection in wait([each.connection for each in running], wanted and ASKED_EVERY_S):
                each = next(item for item in running if item.connection is connection)
                if _handle(each, on_message):
                    running.remove(each)
                    _close(each)
    finally:
        for each in running:
            each.process.terminate()
            _close(each)


def start_process(run: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """A process that runs `run(connection, *arguments)`, and the other end of its connection.

    It has one BLAS thread, is deaf to Ctrl-C and ends with the process that started it. It may start others.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_begin, args=(run, theirs, *arguments))
    with _starting, _single_threaded_blas(), _interrupts_held_back():
        process.start()
    theirs.close()
    return process, ours


def _begin(run: Callable[..., None], connection: Connection, *arguments: Any) -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    run(connection, *arguments)


def _start(task: Task) -> _Running:
    process, connection = start_process(_child, task)
    return _Running(task, process, connection)


def _close(running: _Running) -> None:
    running.process.join()
    running.connection.close()


def _handle(running: _Running, on_message: Callable[[str, Any], None]) -> bool:
    """Deals with one message; True when the task is finished."""
    try:
        kind, content = running.connection.recv()
    except (EOFError, OSError):
        running.process.join()
        raise EnvironmentLacking(
            f"{running.task.name}: its process died (exit code {running.process.exitcode}; "
            "out of memory?); free memory or use --workers 1, then run the same command to go on"
        ) from None
    if kind == "message":
        on_message(running.task.name, content)
    elif kind == "refused":
        raise refusal(*content)
    elif kind == "failed":
        raise RuntimeError(f"{running.task.name}:\n{content}")
    return bool(kind == "finished")


def refusal(exit_code: int, sentence: str) -> NpuexploreError:
    """The error that another process told by its exit code and its sentence."""
    return _ERRORS[exit_code](sentence)


def _child(connection: Connection, task: Task) -> None:
    try:
        task.run(task.argument, lambda content: connection.send(("message", content)))
        connection.send(("finished", None))
    except NpuexploreError as error:
        connection.send(("refused", (error.exit_code, str(error))))
    except BrokenPipeError:
        os._exit(1)
    except (MemoryError, OSError) as error:
        connection.send(("refused", (EnvironmentLacking.exit_code, _system_sentence(task.name, error))))
    except Exception:
        connection.send(("failed", traceback.format_exc()))


def _system_sentence(name: str, error: MemoryError | OSError) -> str:
    """What the system refused to a task, and what to do."""
    if isinstance(error, MemoryError):
        return f"{name}: not enough memory; close other programs or use --workers 1, then go on"
    where = f"{error.filename}: " if error.filename else ""
    return f"{name}: {where}{error.strerror or error}; check the path, its rights and the disk, then go on"


def _leave_with_parent() -> None:
    """Ends this process when the one that started it is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Starts children deaf to Ctrl-C, which a terminal sends to them too: their parent ends them."""
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """Sets what a child's BLAS reads when it is loaded."""
    before = {name: os.environ.get(name) for name in BLAS_VARIABLES}
    os.environ.update(dict.fromkeys(BLAS_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
