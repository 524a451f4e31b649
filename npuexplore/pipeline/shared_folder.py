"""Whether a process elsewhere sees the same folder, may write to it, and has the same versions installed."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import npuexplore
from npuexplore.documents.atomic import write_text
from npuexplore.errors import EnvironmentLacking

DECIDING = ("numpy", "scipy", "autograd")
"""Packages whose version may change the last bits of what is trained."""


@dataclass(frozen=True)
class Meeting:
    """A file in a folder, to be found by others; crosses to other processes."""

    token: Path
    versions: Mapping[str, str]
    """Of this process; others must have the same."""


@contextmanager
def meeting_place(folder: Path) -> Iterator[Meeting]:
    """A token in `folder` for a while. Raises EnvironmentLacking where it cannot be written."""
    token = folder / f".meeting-{uuid.uuid4().hex}.part"
    write_text(token, token.name)
    try:
        yield Meeting(token, versions_here())
    finally:
        token.unlink(missing_ok=True)


def versions_here() -> dict[str, str]:
    """Versions on which results depend, Python's without its last number."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"npuexplore": npuexplore.__version__, "python": python} | {
        name: version(name) for name in DECIDING
    }


def what_hinders(meeting: Meeting) -> str | None:
    """Why this process cannot work in the folder of a meeting, in a sentence; None when it can."""
    here = versions_here()
    for name, wanted in meeting.versions.items():
        if here.get(name) != wanted:
            return f"has {name} {here.get(name, 'not at all')}, and {wanted} is asked for; install that there"
    folder = meeting.token.parent
    try:
        seen = meeting.token.read_text(encoding="utf-8") == meeting.token.name
    except OSError:
        seen = False
    if not seen:
        return (
            f"does not see {folder}; the run directory must lie in a folder that all machines share, under "
            "the same path (see --runs)"
        )
    trial = folder / f".trial-{uuid.uuid4().hex}.part"
    try:
        write_text(trial, trial.name)
        trial.unlink()
    except (EnvironmentLacking, OSError):
        return f"cannot write to {folder}; give it the rights there"
    return None
