"""Measured rows on the disk: one line each, kept as soon as it is measured, found again by every run.

A file begins with a line that says what its rows were measured on; rows of anything else are never read.
Runs that lie side by side read each other's files, and write only their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npuexplore.documents.atomic import write_text
from npuexplore.errors import EnvironmentLacking
from npuexplore.pipeline.run_directory import RunDirectory, digest

SCHEMA = "npuexplore.sensitivity/1"
"""Changes whenever the same case would be measured in another way."""

Case = Mapping[str, Any]
Losses = dict[str, float]
"""Loss in dB by the key of the case."""


def rows_file(run: RunDirectory) -> Path:
    """Where a run keeps its measured rows."""
    return run.folder / "stages" / "sensitivity-rows.jsonl"


def case_key(case: Case) -> str:
    """What a case is known by.

    >>> case_key({"skip_rate_frac": 0.5}) == case_key({"skip_rate_frac": 0.5, "one_shot_loss_db": 1.0})
    True
    """
    return digest({name: value for name, value in case.items() if name != "one_shot_loss_db"})


def known_losses(run: RunDirectory, measured_on: str) -> Losses:
    """Losses measured on the same by this run and by runs in the same folder."""
    own = rows_file(run)
    beside = sorted(run.folder.absolute().parent.glob(f"*/{own.relative_to(run.folder).as_posix()}"))
    found: Losses = {}
    for path in [own, *beside]:
        for key, loss_db in _losses(path, measured_on):
            found.setdefault(key, loss_db)
    return found


@contextmanager
def kept_rows(run: RunDirectory, measured_on: str, known: Iterable[Case]) -> Iterator[Any]:
    """A function that keeps one row more, after the `known` ones; a row is there when it returns.

    Raises EnvironmentLacking when the file cannot be written.
    """
    path = rows_file(run)
    head = json.dumps({"schema": SCHEMA, "measured_on": measured_on})
    write_text(path, "".join(f"{line}\n" for line in [head, *map(_line, known)]))

    def keep(row: Case) -> None:
        try:
            stream.write(f"{_line(row)}\n")
            stream.flush()
        except OSError as error:
            raise EnvironmentLacking(
                f"{path}: cannot be written ({error.strerror}); free space there, then go on"
            ) from None

    with path.open("a", encoding="utf-8") as stream:
        yield keep


def _line(row: Case) -> str:
    return json.dumps({"row": dict(row), "sha256": digest(dict(row))}, ensure_ascii=False)


def _losses(path: Path, measured_on: str) -> Iterator[tuple[str, float]]:
    """Rows of a file; a torn or edited line, and a file of anything else, count as not measured."""
    try:
        head, *lines = path.read_text(encoding="utf-8").split("\n")
        if json.loads(head) != {"schema": SCHEMA, "measured_on": measured_on}:
            return
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            document = json.loads(line)
            if document["sha256"] == digest(document["row"]):
                yield case_key(document["row"]), float(document["row"]["one_shot_loss_db"])
        except (ValueError, LookupError, TypeError):
            continue
