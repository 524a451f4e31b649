"""What goes wrong with a storage, in one sentence, and URLs without their passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from npuexplore.errors import BadInput, EnvironmentLacking, NpuexploreError

MEMORY = "memory:"
DATABASES = ("sqlite:///", "postgresql+psycopg://")
KINDS = "sqlite:///FILE, postgresql+psycopg://USER:PASSWORD@HOST/DATABASE, memory: or the path of a journal"
MASK = "***"

_PASSWORD = re.compile(r"(?<=://)([^/:@]*):(.*)@(?=[^@]*$)", re.DOTALL)
_SECRET_KEY = re.compile(r"(?<=[?&])((?:ssl)?password)=([^&]*)", re.IGNORECASE)

_CAUSES: tuple[tuple[str, type[NpuexploreError], str], ...] = (
    ("password authentication failed", EnvironmentLacking, "check user and password"),
    ("no password supplied", EnvironmentLacking, "put the password into the URL"),
    ("permission denied", EnvironmentLacking, "ask its owner for the right to create and fill tables"),
    ("does not exist", EnvironmentLacking, "create it, or name another"),
    ("invalid connection option", BadInput, "leave it out of the URL"),
    ("bad value for", BadInput, "correct it in the URL"),
    ("readonly", EnvironmentLacking, "make it writable, or name another"),
    ("read-only", EnvironmentLacking, "make it writable, or name another"),
    ("unable to open", EnvironmentLacking, "name a file in a folder that can be written"),
    ("no space", EnvironmentLacking, "free space and run again: all finished trials are kept"),
    ("disk is full", EnvironmentLacking, "free space and run again: all finished trials are kept"),
    ("locked", EnvironmentLacking, "wait for the process that holds it, and run again"),
    ("i/o error", EnvironmentLacking, "check the disk"),
    ("not a database", BadInput, "name another file"),
    ("malformed", BadInput, "restore a copy of it, or name another file"),
    ("no such column", BadInput, "name an empty database"),
    ("no such table", BadInput, "name an empty database"),
)


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


def check_url(url: str) -> None:
    """Raises BadInput for a URL of a database that cannot be a storage."""
    import sqlalchemy

    where = masked(url)
    if not url.startswith(DATABASES):
        raise BadInput(f"{where}: not a storage that npuexplore knows; give {KINDS}")
    if any(sign in password for password in _passwords(url) for sign in "@/:"):
        raise BadInput(f"{where}: got a password with @, / or : in it; write %40, %2F or %3A in the URL")
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise BadInput(f"{where}: this URL cannot be read; give {KINDS}") from None
    if parsed.drivername == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise BadInput(f"{where}: this URL names no file; give sqlite:///FILE, or memory: to keep nothing")


@contextmanager
def said_once(url: str) -> Iterator[None]:
    """Turns what a database raises into one sentence without the password."""
    import optuna
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _sentence(error, url) from None


def extra_missing(url: str) -> EnvironmentLacking:
    """The refusal where the driver of a database is not installed."""
    return EnvironmentLacking(
        f"{masked(url)}: PostgreSQL needs an extra; install it with `pip install 'npuexplore[postgresql]'`"
    )


def other_version(url: str) -> BadInput:
    """The refusal of a database with the tables of another Optuna."""
    return BadInput(
        f"{masked(url)}: this database was made by another version of Optuna; name another one, or bring it "
        "to this version with `optuna storage upgrade`"
    )


def foreign_tables(url: str, table: str) -> BadInput:
    """The refusal of a database that holds other things."""
    return BadInput(
        f"{masked(url)}: this database holds other tables ({table}) and no study of Optuna; name an empty "
        "database"
    )


def foreign_journal(path: Path | str) -> BadInput:
    """The refusal of a file that Optuna cannot replay."""
    return BadInput(
        f"{path}: this is no journal of a search that npuexplore can read; remove it to search again"
    )


def _sentence(error: Exception, url: str) -> NpuexploreError:
    import sqlalchemy.exc

    root = error.__cause__ if isinstance(error.__cause__, sqlalchemy.exc.SQLAlchemyError) else error
    said = _without_password(_first_line(str(getattr(root, "orig", None) or root)), url)
    unreachable = isinstance(root, sqlalchemy.exc.OperationalError | sqlalchemy.exc.TimeoutError)
    kind: type[NpuexploreError] = EnvironmentLacking if unreachable else BadInput
    advice = "check host, port and that the server runs" if unreachable else "name an empty database"
    for sign, known, cure in _CAUSES:
        if sign in said.lower():
            kind, advice = known, cure
            break
    return kind(f"{masked(url)}: the storage cannot be used ({said}); {advice}")


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "no reason given").strip()


def _passwords(url: str) -> list[str]:
    return [match.group(2) for match in _PASSWORD.finditer(url)]


def _without_password(text: str, url: str) -> str:
    secrets = [*_passwords(url), *(match.group(2) for match in _SECRET_KEY.finditer(url))]
    text = text.replace(url, masked(url))
    for secret in filter(None, secrets):
        text = text.replace(secret, MASK).replace(unquote(secret), MASK)
    return text
