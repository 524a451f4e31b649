"""Where a record can lie: a journal file, a database, or the memory of this process.

A path is a journal. A URL is one of `sqlite:///FILE`, `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE` and
`memory:`.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuexplore.errors import UsageError
from npuexplore.search import bulk
from npuexplore.search.journal import journal_file
from npuexplore.search.storage_faults import (
    MEMORY,
    check_url,
    extra_missing,
    foreign_journal,
    foreign_tables,
    is_url,
    masked,
    other_version,
    said_once,
)

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

CONNECT_TIMEOUT_S = 10
SQLITE_TIMEOUT_S = 60
CREATIONS = 20
"""Attempts at creating tables that another process is creating at the same moment."""


@dataclass(frozen=True)
class OpenStorage:
    """An open storage and its name without a password."""

    backend: optuna.storages.BaseStorage
    where: str
    add_trials: Callable[[optuna.Study, Sequence[FrozenTrial]], None]
    """Append finished trials to a study, and wait until the disk has them."""


@dataclass(frozen=True)
class Heartbeat:
    """Signs of life of running trials, for databases that several processes share."""

    interval_s: int
    """Seconds between two signs."""
    grace_s: int | None = None
    """Seconds without one after which a trial counts as stale; twice the interval if None."""
    retries: int | None = None
    """How often a stale trial is tried again; without end if None."""


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log lines and experimental warnings, and nothing else, for a while."""
    import optuna

    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def open_storage(storage: Path | str, *, heartbeat: Heartbeat | None = None) -> Iterator[OpenStorage]:
    """A storage, created as needed.

    Raises UsageError (a heartbeat without a database, a journal in use), BadInput (damaged, or no storage
    of this version of Optuna), EnvironmentLacking (cannot be reached or written, extra missing), each in one
    sentence, also for what the storage raises in the body of the `with`.
    """
    if is_url(storage) and storage != MEMORY:
        with _database(str(storage), heartbeat) as opened:
            yield opened
        return
    if heartbeat is not None:
        raise UsageError(f"{storage}: heartbeats need a database; give sqlite:///FILE or a PostgreSQL URL")
    if storage == MEMORY:
        from optuna.storages import InMemoryStorage

        yield OpenStorage(InMemoryStorage(), MEMORY, lambda study, trials: study.add_trials(trials))
        return
    with _journal(Path(storage)) as opened:
        yield opened


@contextmanager
def _journal(path: Path) -> Iterator[OpenStorage]:
    from optuna.storages.journal import JournalStorage

    with journal_file(path) as lines:
        backend: Any = lines
        try:
            storage = JournalStorage(backend)
        except Exception:
            # Optuna trusts a journal and trips over a foreign one in many ways, assertions among them.
            raise foreign_journal(path) from None

        def add_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
            study.add_trials(trials)
            lines.sync()

        yield OpenStorage(storage, str(path), add_trials)


@contextmanager
def _database(url: str, heartbeat: Heartbeat | None) -> Iterator[OpenStorage]:
    check_url(url)
    with said_once(url):
        storage = _connected(url, heartbeat)
        try:
            yield OpenStorage(storage, masked(url), partial(bulk.add_trials, storage))
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _connected(url: str, heartbeat: Heartbeat | None) -> optuna.storages.RDBStorage:
    """Optuna's storage; waits for another process that is creating its tables."""
    from sqlalchemy.exc import DBAPIError

    try:
        _refuse_foreign_tables(url)
        for attempt in range(CREATIONS):
            try:
                return _rdb(url, heartbeat)
            except DBAPIError as error:
                if attempt == CREATIONS - 1 or not _created_meanwhile(error):
                    raise
                time.sleep(0.05 * (attempt + 1))
    except ImportError:
        raise extra_missing(url) from None
    except RuntimeError:
        raise other_version(url) from None
    raise AssertionError


def _created_meanwhile(error: Exception) -> bool:
    text = str(error).lower()
    return any(sign in text for sign in ("already exists", "unique constraint", "duplicate key"))


def _rdb(url: str, heartbeat: Heartbeat | None) -> optuna.storages.RDBStorage:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    literal = url.replace("{", "{{").replace("}", "}}")
    with quiet_optuna():
        if heartbeat is None:
            return RDBStorage(literal, engine_kwargs=_engine_options(url))
        return RDBStorage(
            literal,
            engine_kwargs=_engine_options(url),
            heartbeat_interval=heartbeat.interval_s,
            grace_period=heartbeat.grace_s,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=heartbeat.retries),
        )


def _engine_options(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": SQLITE_TIMEOUT_S}}
    timeout = {} if "connect_timeout=" in url else {"connect_timeout": CONNECT_TIMEOUT_S}
    return {"connect_args": timeout, "pool_pre_ping": True}


def _refuse_foreign_tables(url: str) -> None:
    """Raises BadInput for a database that holds other things, before Optuna adds its tables to it."""
    import sqlalchemy
    from optuna.storages._rdb.models import BaseModel

    engine = sqlalchemy.create_engine(url, **_engine_options(url))
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()
    others = sorted(tables - set(BaseModel.metadata.tables) - {"alembic_version"})
    if others and "version_info" not in tables:
        raise foreign_tables(url, others[0])
