"""`debian-speech` from small packages: what is written and left out, what a kill leaves, what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deb_files import (
    LICENCE,
    PROMPT_SECONDS,
    PROMPTS,
    noise_files,
    speech_files,
    write_deb,
    write_debs,
)

from npuexplore.audio.debian import fetch as fetching
from npuexplore.audio.debian.fetch import fetch_debian_speech
from npuexplore.audio.debian.folder import Workplace, sole_maker
from npuexplore.audio.debian.packages import LANGUAGES, NOISE, SPEECH
from npuexplore.audio.debian.sounds import PAUSE_SECONDS, decode_g722
from npuexplore.audio.debian.verify import fetched_document, verify_folder
from npuexplore.audio.sources import SplitSpec, load_corpus
from npuexplore.errors import BadInput, EnvironmentLacking, NpuexploreError, UsageError

pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')

GOLDEN_G722 = (
    "fa9b3090218d20a020a023acaeef33b89e1ad4519192d5985fb8f16e2eeef33a9fda95d215577e7736ee3074b79c53d4d69bb9f4"
    "71eef97dd9125599bcf16f3477d9d413ddf9f2efb75f96d55979f3b0b3d95317dd36ef355e16565b72f2b4de"
)
GOLDEN_SHA256 = "dd47d54709ad02a3b1481213445d1c070cefe011b09ba7ead6df1807563f9ccd"
"""Of the 192 samples, 16-bit little-endian, that FFmpeg's decoder gives (libavcodec 62.28.102)."""
GOLDEN_START = (
    0,
    -1,
    -1,
    0,
    0,
    -1,
    -1,
    0,
    -1,
    -2,
    0,
    3,
    0,
    -7,
    -3,
    12,
    1,
    -38,
    -6,
    39,
    36,
    -62,
    -54,
    82,
    303,
)

Contents = dict[str, bytes]


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_debs(tmp_path_factory.mktemp("debs"))


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory, debs: Path) -> Path:
    """A folder made in one go; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "speech-and-noise"
    assert fetch_debian_speech(folder, debs=debs)
    return folder


def contents(folder: Path) -> Contents:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """What shows that a sound file was written again."""
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in folder.rglob("*.wav")}


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "manifest.csv").read_text().splitlines()))


def refusal(kind: type[NpuexploreError], target: Path, debs: Path | None, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        fetch_debian_speech(target, debs=debs, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_g722_is_decoded_as_ffmpeg_decodes_it() -> None:
    samples = np.rint(decode_g722(bytes.fromhex(GOLDEN_G722)) * 32_768).astype("<i2")
    assert tuple(samples[: len(GOLDEN_START)]) == GOLDEN_START
    assert hashlib.sha256(samples.tobytes()).hexdigest() == GOLDEN_SHA256


def test_the_folder_holds_speech_noise_manifest_and_licences(fetched: Path) -> None:
    assert sorted(path.name for path in fetched.iterdir()) == [
        "licences",
        "manifest.csv",
        "noise",
        "packages.json",
        "speech",
    ]
    assert [path.name for path in fetched.parent.iterdir()] == [fetched.name]
    for package in (*SPEECH, NOISE):
        assert (fetched / "licences" / f"{package.name}.copyright").read_bytes() == LICENCE
        assert package.credit in (fetched / "licences" / "CREDITS.txt").read_text()


def test_words_letters_tones_and_silence_are_left_out(fetched: Path) -> None:
    for package in SPEECH:
        files = [row for row in rows(fetched) if row["speaker_or_kind"] == package.speaker]
        seconds = sum(float(row["seconds"]) for row in files)
        pauses = (PROMPTS - len(files)) * PAUSE_SECONDS
        assert seconds == pytest.approx(PROMPTS * PROMPT_SECONDS + pauses, abs=0.02)
        assert all(float(row["seconds"]) >= 20.0 for row in files) or len(files) == 1


def test_the_italian_voice_and_two_landscapes_are_for_testing_only(fetched: Path) -> None:
    corpus = load_corpus(fetched, rate_hz=16_000, split=SplitSpec())
    heard = {
        split: ({r.group for r in of.speech}, {r.name for r in of.noise})
        for split, of in (("train", corpus.train), ("validation", corpus.validation), ("test", corpus.test))
    }
    assert heard["test"] == ({"it_carlo"}, {"dark_forest_day", "desert2_rain"})
    assert heard["validation"] == ({"ru_ivrvoice"}, {"autumn_rain"})
    assert heard["train"][0] == {"en_allison", "es_allison", "fr_june"}
    assert heard["train"][1] == {"animals_000", "birch_forest_night", "blows_000", "spring_day"}


def test_one_person_in_two_languages_is_one_person(fetched: Path) -> None:
    people = {row["speaker_or_kind"]: row["person"] for row in rows(fetched)}
    assert people["en_allison"] == people["es_allison"]


def test_every_row_says_its_licence_and_its_bytes(fetched: Path) -> None:
    files = contents(fetched)
    for row in rows(fetched):
        assert row["licence"].startswith("CC-BY")
        assert int(row["bytes"]) == len(files[row["file"]])
        assert float(row["seconds"]) == pytest.approx((len(files[row["file"]]) - 44) / 32_000, abs=0.006)
    assert verify_folder(fetched) == len(rows(fetched)) + 6


def test_the_packages_seen_are_recorded(fetched: Path, debs: Path) -> None:
    for package in json.loads((fetched / "packages.json").read_text())["packages"]:
        assert package["sha256"] == fetching.sha256_of(debs / f"{package['package']}_1-1_all.deb")
        assert (package["version"], package["known_release"]) == ("1-1", False)


def test_a_finished_folder_is_left_as_it_is(fetched: Path, debs: Path) -> None:
    before = stamps(fetched)
    assert not fetch_debian_speech(fetched, debs=debs)
    assert stamps(fetched) == before


def test_sizes_are_said_before_anything_is_written(tmp_path: Path, debs: Path) -> None:
    said: list[tuple[str, bool]] = []
    there = Workplace(tmp_path / "x").folder / "speech"
    fetch_debian_speech(tmp_path / "x", debs=debs, say=lambda text: said.append((text, there.exists())))
    text, began = said[0]
    assert not began
    assert "6 packages" in text
    assert "MB of sound to be written" in text


def test_progress_goes_over_all_packages(tmp_path: Path, debs: Path) -> None:
    told: list[tuple[str, int, int, str]] = []
    fetch_debian_speech(tmp_path / "x", debs=debs, on_progress=lambda *numbers: told.append(numbers))
    assert {stage for stage, done, total, _ in told if done == total} == {p.name for p in (*SPEECH, NOISE)}


class Killed(BaseException):
    """What takes the place of a kill."""


def killing(function: Callable[..., Any], *, at: int, afterwards: bool = False) -> Callable[..., Any]:
    """`function`, stopped at its call number `at`, counted from 0, before or after it did its work."""
    calls = iter(range(10_000))

    def call(*arguments: Any, **named: Any) -> Any:
        stop = next(calls) == at
        if stop and not afterwards:
            raise Killed
        result = function(*arguments, **named)
        if stop:
            raise Killed
        return result

    return call


@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize("name", ["write_wav", "write_json", "write_bytes", "write_text", "read_deb"])
def test_a_fetch_stopped_again_and_again_ends_in_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debs: Path, fetched: Path, name: str, afterwards: bool
) -> None:
    target, function = tmp_path / "new" / "x", getattr(fetching, name)
    written: dict[str, tuple[int, int]] = {}
    stopped = 0
    while not target.exists():
        assert stopped < 40
        monkeypatch.setattr(fetching, name, killing(function, at=1, afterwards=afterwards))
        try:
            fetch_debian_speech(target, debs=debs)
        except Killed:
            stopped += 1
        assert written.items() <= stamps(target.parent).items()
        written = stamps(target.parent)
    assert stopped >= 3
    assert contents(target) == contents(fetched)
    assert [path.name for path in target.parent.iterdir()] == ["x"]


@pytest.mark.parametrize("name", ["write_papers", "finish"])
@pytest.mark.parametrize("afterwards", [False, True])
def test_a_fetch_stopped_at_its_end_is_only_put_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debs: Path, fetched: Path, name: str, afterwards: bool
) -> None:
    monkeypatch.setattr(fetching, name, killing(getattr(fetching, name), at=0, afterwards=afterwards))
    with pytest.raises(Killed):
        fetch_debian_speech(tmp_path / "x", debs=debs)
    monkeypatch.undo()
    written = stamps(tmp_path)
    fetch_debian_speech(tmp_path / "x", debs=debs)
    assert stamps(tmp_path) == written
    assert contents(tmp_path / "x") == contents(fetched)


def test_what_is_torn_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debs: Path
) -> None:
    target = tmp_path / "x"
    monkeypatch.setattr(fetching, "write_wav", killing(fetching.write_wav, at=5))
    with pytest.raises(Killed):
        fetch_debian_speech(target, debs=debs)
    monkeypatch.undo()
    torn = Workplace(target).folder / "speech" / ".es_allison_000.wav.ab12.part"
    torn.write_bytes(b"RIFF")
    fetch_debian_speech(target, debs=debs)
    assert not list(target.rglob("*.part"))
    verify_folder(target)


def test_a_half_made_folder_is_not_gone_on_with_from_another_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debs: Path
) -> None:
    monkeypatch.setattr(fetching, "write_wav", killing(fetching.write_wav, at=1))
    with pytest.raises(Killed):
        fetch_debian_speech(tmp_path / "x", debs=debs)
    monkeypatch.undo()
    others = shutil.copytree(debs, tmp_path / "others")
    first = SPEECH[0]
    files = {first.copyright_path: LICENCE, **speech_files(first)}
    write_deb(others / f"{first.name}_1-1_all.deb", files, package=first.name, version="2-1")
    assert "was begun with another" in refusal(BadInput, tmp_path / "x", others)
    assert "unfinished fetch of" in refusal(BadInput, tmp_path / "x", debs, languages=("it",))


def test_some_languages_are_some_of_the_same_files(tmp_path: Path, debs: Path, fetched: Path) -> None:
    assert fetch_debian_speech(tmp_path / "x", debs=debs, languages=("it", "en"))
    some, everything = contents(tmp_path / "x"), contents(fetched)
    sounds = {name for name in some if name.endswith(".wav")}
    assert {name.split("_")[0] for name in sounds if name.startswith("speech/")} == {"speech/en", "speech/it"}
    assert all(some[name] == everything[name] for name in sounds)
    assert "was made of other packages" in refusal(BadInput, tmp_path / "x", debs)


@pytest.mark.parametrize("languages", [("en", "xx"), (), ("",)])
def test_unknown_languages_are_refused(tmp_path: Path, debs: Path, languages: tuple[str, ...]) -> None:
    assert ",".join(LANGUAGES) in refusal(BadInput, tmp_path / "x", debs, languages=languages)
    assert list(tmp_path.iterdir()) == []


def test_missing_doubled_and_foreign_packages_are_refused(tmp_path: Path, debs: Path) -> None:
    some = shutil.copytree(debs, tmp_path / "some")
    name = f"{SPEECH[1].name}_1-1_all.deb"
    shutil.copy(some / name, some / name.replace("1-1", "1-2"))
    assert "more than once" in refusal(BadInput, tmp_path / "new" / "x", some)
    (some / name).unlink()
    (some / name.replace("1-1", "1-2")).unlink()
    assert f"lacks {SPEECH[1].name}_*.deb" in refusal(BadInput, tmp_path / "new" / "x", some)
    shutil.copy(some / f"{SPEECH[0].name}_1-1_all.deb", some / name)
    assert f"is the package {SPEECH[0].name}" in refusal(BadInput, tmp_path / "x", some)
    assert "no such folder" in refusal(BadInput, tmp_path / "new" / "x", tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "x").exists()


def test_a_damaged_package_is_refused_and_a_good_one_goes_on(
    tmp_path: Path, debs: Path, fetched: Path
) -> None:
    some = shutil.copytree(debs, tmp_path / "some")
    damaged = some / f"{NOISE.name}_1-1_all.deb"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert "is damaged" in refusal(BadInput, tmp_path / "x", some)
    assert not (tmp_path / "x").exists()
    fetch_debian_speech(tmp_path / "x", debs=debs)
    assert contents(tmp_path / "x") == contents(fetched)


@pytest.mark.parametrize(
    ("package", "files", "says"),
    [
        (SPEECH[0], {"usr/share/doc/x/copyright": LICENCE}, "holds no licence"),
        (SPEECH[0], {SPEECH[0].copyright_path: LICENCE}, "holds no prompt"),
        (NOISE, {NOISE.copyright_path: LICENCE}, "holds no sound"),
        (
            NOISE,
            {NOISE.copyright_path: LICENCE, **dict.fromkeys(noise_files(), b"no sound")},
            "cannot be read as sound",
        ),
    ],
)
def test_a_package_without_what_is_needed_is_refused(
    tmp_path: Path, debs: Path, package: Any, files: Contents, says: str
) -> None:
    some = shutil.copytree(debs, tmp_path / "some")
    write_deb(some / f"{package.name}_1-1_all.deb", files, package=package.name)
    assert says in refusal(BadInput, tmp_path / "x", some)


def test_a_folder_with_something_else_in_it_is_not_touched(tmp_path: Path, debs: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    assert "holds no fetched debian-speech" in refusal(BadInput, tmp_path / "mine", debs)
    assert "is a file" in refusal(BadInput, tmp_path / "mine" / "thesis.txt", debs)
    assert contents(tmp_path) == {"mine/thesis.txt": b"keep"}
    assert "name the folder to be made" in refusal(UsageError, Path(".."), debs)


def test_an_empty_folder_is_filled(tmp_path: Path, debs: Path) -> None:
    (tmp_path / "x").mkdir()
    assert fetch_debian_speech(tmp_path / "x", debs=debs, languages=("it",))


def test_two_fetches_into_one_folder_do_not_meet(tmp_path: Path, debs: Path) -> None:
    with sole_maker(Workplace(tmp_path / "x")):
        assert "another process" in refusal(UsageError, tmp_path / "x", debs)


def test_without_room_the_megabytes_are_said(
    tmp_path: Path, debs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=50_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "needs 267 MB there and 50 MB are free" in refusal(EnvironmentLacking, tmp_path / "x", debs)
    assert list(tmp_path.iterdir()) == []


def test_without_the_decoder_one_sentence_names_the_extra(
    tmp_path: Path, debs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "G722", None)
    assert 'pip install "npuexplore[data]"' in refusal(EnvironmentLacking, tmp_path / "x", debs)
    assert list(tmp_path.iterdir()) == []


def test_the_document_of_a_folder_sums_its_minutes(fetched: Path) -> None:
    document = fetched_document(fetched)
    assert json.loads(json.dumps(document)) == document
    minutes = sum(part["minutes"] for split in document["splits"].values() for part in split.values())
    assert minutes == pytest.approx(sum(float(row["seconds"]) for row in rows(fetched)) / 60.0, abs=0.05)
