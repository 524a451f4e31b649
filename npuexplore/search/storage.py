"""Where a record can lie: a journal file, a database, or the memory of this process.

A path is a journal. A URL is one of `sqlite:///FILE`, `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE` and
`memory:`. Nothing here shows the password of a URL.
"""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuexplore.errors import BadInput, EnvironmentLacking, NpuexploreError, UsageError
from npuexplore.search.journal import journal_file

if TYPE_CHECKING:
    import optuna

MEMORY = "memory:"
MASK = "***"
KINDS = "sqlite:///FILE, postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, memory: or the path of a journal"
CONNECT_TIMEOUT_S = 10
SQLITE_TIMEOUT_S = 60
CREATIONS = 20
"""Attempts at creating tables that another process is creating at the same moment."""

_PASSWORD = re.compile(r"(?<=://)([^/:@]*):(.*)@(?=[^@]*$)", re.DOTALL)
_SECRET_KEY = re.compile(r"(?<=[?&])((?:ssl)?password)=([^&]*)", re.IGNORECASE)


@dataclass(frozen=True)
class OpenStorage:
    """An open storage, its name without a password, and how to wait until the disk has everything."""

    backend: optuna.storages.BaseStorage
    where: str
    sync: Callable[[], None]


@dataclass(frozen=True)
class Heartbeat:
    """Signs of life of running trials, for databases that several processes share."""

    interval_s: int
    """Seconds between two signs."""
    grace_s: int | None = None
    """Seconds without one after which a trial counts as stale; twice the interval if None."""
    retries: int | None = None
    """How often a stale trial is tried again; without end if None."""


def is_url(storage: Path | str) -> bool:
    """Whether a storage is given by URL rather than by path."""
    return isinstance(storage, str) and (storage == MEMORY or "://" in storage)


def masked(storage: Path | str) -> str:
    """A storage as it may be shown: with `***` for every password.

    >>> masked("postgresql+psycopg://ada:s:e@cr/et@db.example/studies")
    'postgresql+psycopg://ada:***@db.example/studies'
    """
    if not is_url(storage):
        return str(storage)
    shown = _PASSWORD.sub(rf"\1:{MASK}@", str(storage))
    return _SECRET_KEY.sub(rf"\1={MASK}", shown)


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
    sentence, also for what goes wrong in the body of the `with`.
    """
    where = masked(storage)
    database = is_url(storage) and storage != MEMORY
    if heartbeat is not None and not database:
        raise UsageError(f"{where}: heartbeats need a database; give sqlite:///FILE or a PostgreSQL URL")
    if database:
        with _database(str(storage), where, heartbeat) as opened:
            yield opened
    elif storage == MEMORY:
        from optuna.storages import InMemoryStorage

        yield OpenStorage(InMemoryStorage(), where, lambda: None)
    else:
        with _journal(Path(storage)) as opened:
            yield opened


@contextmanager
def _journal(path: Path) -> Iterator[OpenStorage]:
    from optuna.storages.journal import JournalStorage

    with journal_file(path) as backend:
        lines: Any = backend
        try:
            storage = JournalStorage(lines)
        except Exception:
            # Optuna trusts a journal and trips over a foreign one in many ways, assertions among them.
            raise foreign_journal(path) from None
        yield OpenStorage(storage, str(path), backend.sync)


def foreign_journal(path: Path | str) -> BadInput:
    """The refusal of a file that Optuna cannot replay."""
    return BadInput(
        f"{path}: this is no journal of a search that npuexplore can read; remove it to search again"
    )


@contextmanager
def _database(url: str, where: str, heartbeat: Heartbeat | None) -> Iterator[OpenStorage]:
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise BadInput(f"{where}: not a storage that npuexplore knows; give {KINDS}")
    with _in_sentences(url, where):
        storage = _connected(url, where, heartbeat)
        try:
            yield OpenStorage(storage, where, lambda: None)
        finally:
            storage.remove_session()
            storage.engine.dispose()


def _connected(url: str, where: str, heartbeat: Heartbeat | None) -> optuna.storages.RDBStorage:
    """Optuna's storage; waits for another process that is creating its tables."""
    import sqlalchemy.exc

    _refuse_foreign_tables(url, where)
    for attempt in range(CREATIONS):
        try:
            return _rdb(url, heartbeat)
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.DBAPIError) as error:
            if attempt == CREATIONS - 1 or not _created_meanwhile(error):
                raise
            time.sleep(0.05 * (attempt + 1))
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


def _refuse_foreign_tables(url: str, where: str) -> None:
    """Raises BadInput for a database that holds other things, before Optuna adds its tables to it."""
    import sqlalchemy
    from optuna.storages._rdb.models import BaseModel

    engine = sqlalchemy.create_engine(url, **_engine_options(url))
    try:
        tables = set(sqlalchemy.inspect(engine).get_table_names())
    finally:
        engine.dispose()
    foreign = sorted(tables - set(BaseModel.metadata.tables) - {"alembic_version"})
    if foreign and "version_info" not in tables:
        raise BadInput(
            f"{where}: this database holds other tables ({foreign[0]}) and no study of Optuna; "
            "name an empty database"
        )


@contextmanager
def _in_sentences(url: str, where: str) -> Iterator[None]:
    """Turns what a database raises into one sentence without the password."""
    import optuna
    import sqlalchemy.exc

    try:
        yield
    except NpuexploreError:
        raise
    except ImportError:
        raise EnvironmentLacking(
            f"{where}: PostgreSQL needs an extra; install it with `pip install 'npuexplore[postgresql]'`"
        ) from None
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _sentence(error, url, where) from None
    except RuntimeError as error:
        if "table schema" not in str(error):
            raise
        raise BadInput(
            f"{where}: this database was made by another version of Optuna; name another one, or run "
            "`optuna storage upgrade` with its URL if nobody needs the old version"
        ) from None


_CAUSES: tuple[tuple[str, type[NpuexploreError], str], ...] = (
    ("password authentication failed", EnvironmentLacking, "check user and password"),
    ("no password supplied", EnvironmentLacking, "put the password into the URL"),
    ("does not exist", EnvironmentLacking, "create it, or name another"),
    ("connection", EnvironmentLacking, "check host, port and that the server runs"),
    ("readonly", EnvironmentLacking, "make it writable, or name another"),
    ("read-only", EnvironmentLacking, "make it writable, or name another"),
    ("unable to open", EnvironmentLacking, "name a file in a folder that can be written"),
    ("full", EnvironmentLacking, "free space and run again: all finished trials are kept"),
    ("no space", EnvironmentLacking, "free space and run again: all finished trials are kept"),
    ("locked", EnvironmentLacking, "wait for the process that holds it"),
    ("i/o error", EnvironmentLacking, "check the disk"),
    ("not a database", BadInput, "name another file"),
    ("malformed", BadInput, "restore a copy of it, or name another file"),
    ("could not parse", BadInput, f"give {KINDS}"),
)


def _sentence(error: Exception, url: str, where: str) -> NpuexploreError:
    root = error.__cause__ if error.__cause__ is not None else error
    said = _without_password(str(getattr(root, "orig", None) or root).strip(), url, where)
    for sign, kind, advice in _CAUSES:
        if sign in said.lower():
            return kind(f"{where}: the storage cannot be used ({_first(said)}); {advice}")
    return BadInput(
        f"{where}: this is no storage of studies that this version can use ({_first(said)}); name an empty "
        "database"
    )


def _first(text: str) -> str:
    """The last line says why, the first where: both in one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(dict.fromkeys([*lines[:1]]))[:300]


def _without_password(text: str, url: str, where: str) -> str:
    secrets = [match.group(2) for match in _PASSWORD.finditer(url)]
    secrets += [match.group(2) for match in _SECRET_KEY.finditer(url)]
    text = text.replace(url, where)
    for secret in filter(None, secrets):
        text = text.replace(secret, MASK)
    return text
