"""Processes that search the toy problem and may be killed at any moment, born quickly by a fork server."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "unit"))

from toy_search import SPACE, evaluator, search, spec

from npuexplore.errors import NpuexploreError
from npuexplore.search.shared_search import (
    NotSharedYet,
    Place,
    find_invitation,
    join,
    result_of,
    search_together,
)
from npuexplore.search.shared_work import Task

NAME = "toy"
HEARTBEAT_S = 1
SEED = 3
PRELOADED = [
    "search_lives",
    "optuna.storages",
    "optuna.samplers",
    "psycopg",
    "sqlalchemy.dialects.postgresql",
]

births = multiprocessing.get_context("forkserver")
births.set_forkserver_preload(PRELOADED)


def shared_spec(trials):
    return spec(trials=trials, population=10, screened_plans=500)


def place(url):
    return Place(url, NAME, HEARTBEAT_S)


def open_search(url, trials):
    """The main process of a shared search."""
    gathered = search_together(
        SPACE, shared_spec(trials), evaluator(), place=place(url), seed=SEED, document={}
    )
    return result_of(SPACE, shared_spec(trials), evaluator(), gathered)


def help_search(url, trials):
    """A worker of it, which waits until there is something to help with."""
    while True:
        try:
            find_invitation(url)
            break
        except NotSharedYet:
            time.sleep(0.2)
    join(Task(SPACE, shared_spec(trials), evaluator(), SEED, trials), place(url), limit=None)


def search_alone(journal, trials):
    """The only process of a search in a journal."""
    search(Path(journal), trials=trials)


def born(life, *arguments):
    process = births.Process(target=_quiet, args=(life, arguments), daemon=True)
    process.start()
    return process


def _quiet(life, arguments):
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    life(*arguments)


def killed(process):
    """Kills a process; whether it was still alive."""
    alive = process.exitcode is None
    if alive:
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    return alive


def refused(life, said, full_bytes, arguments):
    """A life in which no file may grow beyond `full_bytes`, as on a full disk; `said` is what it says."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (full_bytes, full_bytes))
    try:
        life(*arguments)
    except NpuexploreError as error:
        Path(said).write_text(str(error))
        sys.exit(error.exit_code)
