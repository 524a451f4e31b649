"""A fetched folder against its own manifest: every file, every byte."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from npuexplore.audio.debian.archive import sha256_of
from npuexplore.audio.debian.folder import COLUMNS, read_papers
from npuexplore.audio.debian.packages import DATASET
from npuexplore.audio.manifest import MANIFEST_NAME, SPLITS, inside
from npuexplore.audio.sources import sound_files
from npuexplore.errors import BadInput

FETCH_SCHEMA = "npuexplore.fetch/1"
Progress = Callable[[int, int], None]


def verify_folder(folder: Path, *, on_progress: Progress = lambda done, total: None) -> int:
    """Checks sizes and SHA-256 of all sounds and licences; returns how many files were checked.

    Raises BadInput that names the first file that is missing, changed or not listed, and how many are.
    """
    papers = read_papers(folder)
    rows = manifest_rows(folder)
    licences = [
        {"file": package["licence_file"], "bytes": None, "sha256": package["licence_sha256"]}
        for package in papers["packages"]
    ]
    listed = [*rows, *licences]
    wrong = []
    for done, row in enumerate(listed):
        if problem := _problem(folder, row):
            wrong.append(f"{row['file']} {problem}")
        on_progress(done + 1, len(listed))
    wrong += [f"{name} is not listed" for name in _unlisted(folder, {row["file"] for row in rows})]
    if wrong:
        raise BadInput(
            f"{folder}: {len(wrong)} of {len(listed)} files are not what {MANIFEST_NAME} says ({wrong[0]}); "
            "remove the folder and fetch it again"
        )
    return len(listed)


def manifest_rows(folder: Path) -> list[dict[str, Any]]:
    """Rows of a fetched folder's manifest, every column. Raises BadInput where it cannot be used."""
    path = folder / MANIFEST_NAME
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise ValueError
            rows = [{**row, "bytes": int(row["bytes"]), "seconds": float(row["seconds"])} for row in reader]
    except (OSError, csv.Error, ValueError, TypeError, KeyError):
        raise BadInput(f"{path}: is not the manifest of a fetched folder; fetch it again") from None
    return rows


def fetched_document(folder: Path) -> dict[str, Any]:
    """What a fetched folder holds: packages with SHA-256, minutes by split and by speaker or kind.

    `left_out` is what was asked for and could not be made, and why.
    """
    rows, papers = manifest_rows(folder), read_papers(folder)
    splits: dict[str, Any] = {}
    for split in SPLITS:
        for part in ("speech", "noise"):
            of_part = [row for row in rows if row["split"] == split and row["file"].startswith(f"{part}/")]
            minutes: dict[str, float] = {}
            for row in of_part:
                group = row["speaker_or_kind"]
                minutes[group] = minutes.get(group, 0.0) + row["seconds"] / 60.0
            splits.setdefault(split, {})[part] = {
                "files": len(of_part),
                "minutes": round(sum(minutes.values()), 2),
                "groups": {group: round(value, 2) for group, value in minutes.items()},
            }
    return {
        "schema": FETCH_SCHEMA,
        "dataset": DATASET,
        "packages": papers["packages"],
        "left_out": papers.get("left_out", []),
        "bytes": sum(row["bytes"] for row in rows),
        "splits": splits,
    }


def _problem(folder: Path, row: dict[str, Any]) -> str:
    path = folder / inside(row["file"], where=str(folder / MANIFEST_NAME))
    if not path.is_file():
        return "is missing"
    if row["bytes"] is not None and path.stat().st_size != row["bytes"]:
        return f"has {path.stat().st_size} bytes, not {row['bytes']}"
    return "" if sha256_of(path) == row["sha256"] else "has another SHA-256"


def _unlisted(folder: Path, listed: set[str]) -> Iterator[str]:
    for path in sound_files(folder):
        name = path.relative_to(folder).as_posix()
        if name not in listed:
            yield name
