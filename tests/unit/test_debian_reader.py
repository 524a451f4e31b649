"""The man who reads: fetched where he is asked for, and a training voice then."""

from __future__ import annotations

from pathlib import Path

import pytest
from deb_files import LICENCE, noise_files, speech_files, wav_bytes, write_deb

from npuexplore.audio.debian.fetch import fetch_debian_speech
from npuexplore.audio.debian.packages import NOISE, READER, READINGS, SPEECH, Package
from npuexplore.audio.debian.verify import manifest_rows
from npuexplore.errors import BadInput

pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')

RUSSIAN = SPEECH[-1]
SENTENCES = {f"{READINGS}ru_{n:04d}.wav": wav_bytes(seconds=9.0, seed=n, rate_hz=16_000) for n in range(6)}
LABELS = {f"{READINGS.replace('/wav/', '/lab/')}ru_0000.lab": b"#"}


def give(folder: Path, package: Package, files: dict[str, bytes]) -> None:
    write_deb(
        folder / f"{package.name}_1-1_all.deb",
        {package.copyright_path: LICENCE, **files},
        package=package.name,
    )


@pytest.fixture
def debs(tmp_path: Path) -> Path:
    give(tmp_path / "debs", RUSSIAN, speech_files(RUSSIAN))
    give(tmp_path / "debs", NOISE, noise_files())
    give(tmp_path / "debs", READER, SENTENCES | LABELS)
    return tmp_path / "debs"


def test_his_sentences_join_the_training_voices(tmp_path: Path, debs: Path) -> None:
    said: list[str] = []
    fetch_debian_speech(tmp_path / "x", debs=debs, languages=("ru",), reader=True, say=said.append)
    assert "3 packages" in said[0]
    assert "BSD-like" in said[0]
    read = [row for row in manifest_rows(tmp_path / "x") if row["source_package"] == READER.name]
    assert [(row["file"], row["seconds"]) for row in read] == [
        ("speech/ru_shmyrev_000.wav", 27.4),
        ("speech/ru_shmyrev_001.wav", 27.4),
    ]
    assert {(row["person"], row["split"], row["licence"]) for row in read} == {
        ("shmyrev", "train", READER.licence)
    }
    assert READER.credit in (tmp_path / "x" / "licences" / "CREDITS.txt").read_text()


def test_he_stays_away_where_he_is_not_asked_for(tmp_path: Path, debs: Path) -> None:
    fetch_debian_speech(tmp_path / "x", debs=debs, languages=("ru",))
    assert READER.name not in {row["source_package"] for row in manifest_rows(tmp_path / "x")}


def test_a_package_that_is_not_his_is_refused(tmp_path: Path, debs: Path) -> None:
    give(debs, READER, LABELS)
    with pytest.raises(BadInput, match=f"{READER.name}: holds no prompt below /{READINGS}"):
        fetch_debian_speech(tmp_path / "x", debs=debs, languages=("ru",), reader=True)
    (debs / f"{READER.name}_1-1_all.deb").unlink()
    with pytest.raises(BadInput, match=rf"lacks {READER.name}_\*\.deb"):
        fetch_debian_speech(tmp_path / "y", debs=debs, languages=("ru",), reader=True)
