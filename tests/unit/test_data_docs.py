"""docs/data.md: its packages, sizes, splits and columns are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from npuexplore.audio import manifest
from npuexplore.audio.debian import fetch, noise
from npuexplore.audio.debian.flite import SPEAKERS
from npuexplore.audio.debian.flite_lines import FILES
from npuexplore.audio.debian.packages import (
    ALSA,
    ALSA_OF_2024,
    FLITE,
    LIBFLITE,
    NOISE,
    READER,
    SPEECH,
    Package,
)
from npuexplore.audio.demo import TEST_VOICES, TRAIN_VOICES, VALIDATION_VOICES

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


PACKAGES = (*SPEECH, READER, NOISE, FLITE, LIBFLITE, ALSA)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_every_package_is_listed_with_its_size_and_licence(package: Package) -> None:
    (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| {package.name} "))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1] == f"{package.download_bytes / 1e6:.1f} MB"
    assert cells[2].startswith(package.speaker)
    assert cells[3] == package.split or package is NOISE
    assert package.licence.startswith(cells[5])


def test_the_synthesised_voices_and_the_other_name_of_a_library_are_said() -> None:
    (row,) = (line for line in TEXT.splitlines() if line.startswith(f"| {FLITE.name} |"))
    assert all(speaker in row for speaker in SPEAKERS)
    assert f"{ALSA.name} (or {ALSA_OF_2024.name})" in TEXT
    assert f"{FILES} files of each man" in TEXT


@pytest.mark.parametrize(
    ("packages", "sentence"),
    [
        (
            (*SPEECH, NOISE),
            "{downloaded:.1f} MB are downloaded, and about 10 MB of apt's lists; {written:.0f} MB are",
        ),
        (
            PACKAGES,
            "With `--reader` and `--men` {downloaded:.1f} MB are downloaded, {written:.0f} MB written",
        ),
    ],
    ids=["recorded", "with all"],
)
def test_the_sums_are_those_of_the_packages(packages: tuple[Package, ...], sentence: str) -> None:
    downloaded = sum(package.download_bytes for package in packages) / 1e6
    written = sum(package.written_bytes for package in packages) / 1e6
    assert sentence.format(downloaded=downloaded, written=written) in " ".join(TEXT.split())


def test_the_data_set_is_named() -> None:
    assert fetch.DATASET in TEXT


def test_the_landscapes_of_every_split_are_named() -> None:
    for tileset in (*noise.TEST_TILESETS, *noise.VALIDATION_TILESETS):
        assert f"`{tileset}`" in TEXT


def test_every_column_of_a_manifest_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.MULTILINE))
    assert explained == {*manifest.REQUIRED_COLUMNS, "person", "split", "evaluation_only"}


def test_the_voices_are_counted() -> None:
    train, validation, test = len(TRAIN_VOICES), len(VALIDATION_VOICES), len(TEST_VOICES)
    said = f"{train} voices for training, {validation} for validation and {test} for testing"
    assert said in " ".join(TEXT.split())
