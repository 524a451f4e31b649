"""The folder of a fetched corpus, under way (hidden, beside its place) and finished; its papers."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from npuexplore.audio.debian.packages import DATASET, FLITE, Package
from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.documents.atomic import write_json, write_text
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError

LOCK = ".lock"

PACKAGES_NAME = "packages.json"
PACKAGES_SCHEMA = "npuexplore.fetched/1"
COLUMNS = (
    *("file", "licence", "speaker_or_kind", "person", "split", "language", "seconds", "source_package"),
    *("bytes", "sha256"),
)
CHANGES = """\
Changed by npuexplore, every file: decoded (speech from G.722, noise from WAV or Ogg Vorbis), folded to mono,
resampled to 16 kHz, cut or put together with pauses, written as 16-bit WAV. What you pass on of it, or of
networks trained on it, keeps these names and licences; their full texts are in this folder.
"""
SPOKEN = """\
Speech of Flite is as that program gave it, with sentences and settings of npuexplore's.
"""


@dataclass(frozen=True)
class Workplace:
    """Where a folder is made: `.NAME.part` beside it, so that it appears whole or not at all."""

    target: Path

    @property
    def folder(self) -> Path:
        """What becomes the target."""
        return self.target.parent / f".{self.target.name}.part"

    @property
    def tools(self) -> Path:
        """Downloads, apt's lists and notes, all removed at the end."""
        return self.folder / "work"

    @property
    def request(self) -> Path:
        """What is being made here."""
        return self.tools / "request.json"

    def note(self, package: Package) -> Path:
        """What is known of a finished package."""
        return self.tools / f"{package.name}.json"

    def begun(self, package: Package) -> Path:
        """SHA-256 of the package that is being unpacked."""
        return self.tools / f"{package.name}.sha256"

    def download(self, package: Package) -> Path:
        """A downloaded package, whole and checked."""
        return self.tools / f"{package.name}.deb"


@contextmanager
def sole_maker(place: Workplace) -> Iterator[None]:
    """Holds the workplace's lock; a workplace that holds nothing worth keeping is removed.

    Torn files that a killed maker left are removed as well.
    """
    new = [folder for folder in (place.target.parent, *place.target.parents) if not folder.exists()]
    stream = _locked(place)
    try:
        for litter in place.folder.rglob(".*.part"):
            litter.unlink(missing_ok=True)
        yield
    finally:
        stream.close()
        if place.folder.is_dir() and not _is_worth_keeping(place.folder):
            shutil.rmtree(place.folder)
            _remove_empty(new)


def _is_worth_keeping(folder: Path) -> bool:
    return any(next(folder.rglob(pattern), None) for pattern in ("*.deb", "*.wav", MANIFEST_NAME))


def _remove_empty(folders: Sequence[Path]) -> None:
    """Removes folders from the innermost outwards, up to the first that holds something."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _locked(place: Workplace) -> IO[str]:
    try:
        place.folder.mkdir(parents=True, exist_ok=True)
        stream = (place.folder / LOCK).open("a")
    except OSError as error:
        raise EnvironmentLacking(
            f"{place.target}: cannot be made ({error.strerror}); name another folder with --output"
        ) from None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        raise UsageError(f"{place.target}: another process is fetching into it; wait for it") from None
    return stream


def finish(place: Workplace) -> None:
    """Removes the tools and puts the folder in its place."""
    shutil.rmtree(place.tools, ignore_errors=True)
    (place.folder / LOCK).unlink(missing_ok=True)
    try:
        os.replace(place.folder, place.target)
    except OSError as error:
        raise EnvironmentLacking(
            f"{place.target}: cannot be put in its place ({error.strerror}); make it free and run again"
        ) from None


def write_papers(
    place: Workplace,
    packages: Sequence[Package],
    notes: Mapping[str, Any],
    *,
    left_out: Sequence[Mapping[str, Any]],
) -> None:
    """`packages.json`, `licences/CREDITS.txt`, and last the manifest: with it, the folder is whole.

    left_out : {`package`, `speakers`, `reason`} of voices that a folder need not have and this one has not.
    """
    kept = [{key: value for key, value in notes[p.name].items() if key != "files"} for p in packages]
    document = {"schema": PACKAGES_SCHEMA, "dataset": DATASET, "packages": kept, "left_out": list(left_out)}
    write_json(place.folder / PACKAGES_NAME, document)
    credits = "\n".join(f"{p.name}: {p.licence}. {p.credit}." for p in packages)
    write_text(
        place.folder / "licences" / "CREDITS.txt",
        f"{credits}\n\n{CHANGES}{SPOKEN if FLITE in packages else ''}",
    )
    rows = [row for package in packages for row in notes[package.name]["files"]]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(place.folder / MANIFEST_NAME, table.getvalue())


def read_papers(folder: Path) -> dict[str, Any]:
    """`packages.json` of a finished folder. Raises BadInput where there is none that can be read."""
    path = folder / PACKAGES_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != PACKAGES_SCHEMA or document["dataset"] != DATASET:
            raise ValueError
        for package in document["packages"]:
            _ = package["package"], package["sha256"], package["licence_sha256"]
        for one in document.get("left_out", ()):
            _ = one["package"], one["reason"], list(one["speakers"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"{folder}: holds no fetched {DATASET} ({PACKAGES_NAME} is missing or not whole); "
            f"name a new folder, or the one that `npuexplore data fetch {DATASET}` made"
        ) from None
    return dict(document)


def read_note(path: Path) -> dict[str, Any] | None:
    """A note of the workplace, or None where there is none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
