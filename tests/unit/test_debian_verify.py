"""Verifying a fetched folder finds every change; its document sums what it holds."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deb_files import write_debs

from npuexplore.audio.debian.fetch import fetch_debian_speech
from npuexplore.audio.debian.packages import NOISE
from npuexplore.audio.debian.verify import fetched_document, verify_folder
from npuexplore.errors import BadInput

pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fetched folder; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "speech-and-noise"
    fetch_debian_speech(folder, debs=write_debs(tmp_path_factory.mktemp("debs")))
    return folder


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def rename_in_manifest(folder: Path, name: str) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("noise/spring_day.wav", name))


SPOILERS: dict[str, Callable[[Path], Any]] = {
    "it_carlo_000.wav is missing": lambda folder: (folder / "speech" / "it_carlo_000.wav").unlink(),
    "spring_day.wav has another SHA-256": lambda folder: flip(folder / "noise" / "spring_day.wav"),
    "spring_day.wav has 112045 bytes": lambda folder: append(folder / "noise" / "spring_day.wav"),
    "copyright has another SHA-256": lambda folder: append(folder / "licences" / f"{NOISE.name}.copyright"),
    "my.wav is not listed": lambda folder: shutil.copy(
        folder / "noise" / "spring_day.wav", folder / "noise" / "my.wav"
    ),
    "packages.json is missing or not whole": lambda folder: (folder / "packages.json").write_text("{}"),
    "is not the manifest of a fetched folder": lambda folder: (folder / "manifest.csv").write_text("file"),
    "leaves the folder": lambda folder: rename_in_manifest(folder, "../secret.wav"),
}


@pytest.mark.parametrize("says", SPOILERS)
def test_verifying_finds_what_was_changed(tmp_path: Path, fetched: Path, says: str) -> None:
    folder = shutil.copytree(fetched, tmp_path / "x")
    verify_folder(folder)
    SPOILERS[says](folder)
    with pytest.raises(BadInput) as caught:
        verify_folder(folder)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_verifying_counts_all_that_is_wrong(tmp_path: Path, fetched: Path) -> None:
    folder = shutil.copytree(fetched, tmp_path / "x")
    for path in (folder / "noise").glob("*.wav"):
        flip(path)
    count = len(list((folder / "noise").iterdir()))
    with pytest.raises(BadInput, match=f"{count} of "):
        verify_folder(folder)


def test_progress_counts_every_file_once(fetched: Path) -> None:
    seen: list[tuple[int, int]] = []
    count = verify_folder(fetched, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, count) for n in range(1, count + 1)]


def test_the_document_of_a_folder_sums_its_minutes(fetched: Path) -> None:
    document = fetched_document(fetched)
    assert json.loads(json.dumps(document)) == document
    rows = csv.DictReader((fetched / "manifest.csv").read_text().splitlines())
    minutes = sum(part["minutes"] for split in document["splits"].values() for part in split.values())
    assert minutes == pytest.approx(sum(float(row["seconds"]) for row in rows) / 60.0, abs=0.05)
    assert document["splits"]["test"]["speech"]["groups"].keys() == {"it_carlo"}
