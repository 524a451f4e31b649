"""`manifest.csv` of a sound folder: what each file is, whose it is, and what may be done with it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from npuexplore.errors import BadInput

MANIFEST_NAME = "manifest.csv"
SPLITS = ("train", "validation", "test")
REQUIRED_COLUMNS = ("file", "licence", "speaker_or_kind")
BOOLEANS = {"true": True, "false": False, "": None}


@dataclass(frozen=True)
class Entry:
    """One row: what the manifest says of one file."""

    licence: str
    group: str
    """Speaker of a speech file, kind of a noise file."""
    person: str
    """Who speaks; two speakers (say, one voice in two languages) may be one person."""
    split: str
    """train, validation, test, or empty: chosen automatically."""
    evaluation_only: bool | None
    """True: scored only, never trained on, chosen with or embedded anywhere; None: not said."""


def read_manifest(folder: Path) -> Mapping[str, Entry]:
    """Entries of `folder`/manifest.csv by POSIX path relative to `folder`; empty where there is none.

    Columns `file`, `licence`, `speaker_or_kind`, and optionally `person`, `split`, `evaluation_only`; others
    are ignored. Raises BadInput with the line for anything that cannot be used.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return {}
    entries: dict[str, Entry] = {}
    for line, row in _rows(path):
        name = inside(row["file"], where=f"{path}:{line}")
        if name in entries:
            raise BadInput(f"{path}:{line}: file {name} is listed twice; remove one row")
        if not (folder / name).is_file():
            raise BadInput(
                f"{path}:{line}: {name} does not exist in {folder}; copy it there or remove the row"
            )
        entries[name] = _entry(row, where=f"{path}:{line}")
    return entries


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """(line, row) of every data row; every cell is text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True, restval="")
            columns = reader.fieldnames or ()
            for column in REQUIRED_COLUMNS:
                if column not in columns:
                    raise BadInput(
                        f"{path}: column {column} is missing; the first line names "
                        f"{', '.join(REQUIRED_COLUMNS)} (and optionally person, split, evaluation_only)"
                    )
            rows = [(reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise BadInput(f"{path}: cannot be read as UTF-8 CSV ({error}); save it again as CSV") from None
    for line, row in rows:
        if None in row:
            raise BadInput(f"{path}:{line}: has more cells than the first line; quote cells that hold commas")
    return rows


def inside(name: str, *, where: str) -> str:
    """`name` as a clean relative POSIX path. Raises BadInput for anything that leaves the folder."""
    path = PurePosixPath(name.strip())
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in path.parts[0]:
        raise BadInput(f"{where}: file {name!r} leaves the folder; write a path below the manifest's folder")
    return path.as_posix()


def _entry(row: Mapping[str, str], *, where: str) -> Entry:
    group = row["speaker_or_kind"].strip()
    if not group:
        raise BadInput(f"{where}: speaker_or_kind is empty; name who speaks or what sounds")
    split = (row.get("split") or "").strip()
    if split and split not in SPLITS:
        raise BadInput(f"{where}: got split {split!r}; allowed are {', '.join(SPLITS)} or an empty cell")
    only = (row.get("evaluation_only") or "").strip().lower()
    if only not in BOOLEANS:
        raise BadInput(f"{where}: got evaluation_only {only!r}; allowed are true, false or an empty cell")
    if BOOLEANS[only] and split in ("train", "validation"):
        raise BadInput(f"{where}: evaluation_only is true and split is {split}; only test fits that")
    return Entry(
        licence=row["licence"].strip() or "not stated",
        group=group,
        person=(row.get("person") or "").strip() or group,
        split=split,
        evaluation_only=BOOLEANS[only],
    )
