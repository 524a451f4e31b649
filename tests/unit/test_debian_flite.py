"""The synthesised voices of `debian-speech`: a program out of packages is run, or left out and said to be."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deb_files import (
    LIBRARIES,
    LICENCE,
    SPEAKING,
    flite_says,
    member,
    wav_bytes,
    write_deb,
    write_flite,
)
from processes import PATIENCE_S, gone_within

from npuexplore.audio.debian import fetch as fetching
from npuexplore.audio.debian import flite, flite_lines
from npuexplore.audio.debian.fetch import fetch_debian_speech
from npuexplore.audio.debian.flite import SPEAKERS
from npuexplore.audio.debian.folder import Workplace
from npuexplore.audio.debian.noise import GAME
from npuexplore.audio.debian.packages import FLITE, LIBFLITE, NOISE, SOUNDS, SPEECH, Package
from npuexplore.audio.debian.verify import fetched_document, manifest_rows, verify_folder
from npuexplore.audio.sources import SplitSpec, load_corpus
from npuexplore.errors import BadInput

pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')

ENGLISH = ("en",)
ITALIAN = SPEECH[3]
FILES = 2


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small packages of English and Italian speech, and of noise."""
    folder = tmp_path_factory.mktemp("recorded")
    sounds = {SPEECH[0]: f"{SOUNDS}en_US/yes.g722", ITALIAN: f"{SOUNDS}it_IT/si.g722"}
    files = {package: {name: bytes(8_000)} for package, name in sounds.items()}
    noise = wav_bytes(seconds=3.0, seed=1)
    files[NOISE] = {
        f"{GAME}tilesets/{name}/sounds/day.wav": noise for name in ("spring", "autumn", "desert2")
    }
    for package, content in files.items():
        content[package.copyright_path] = LICENCE
        write_deb(folder / f"{package.name}_1-1_all.deb", content, package=package.name)
    return folder


@pytest.fixture(autouse=True)
def few_files_of_known_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flite_lines, "FILES", FILES)
    monkeypatch.setattr(Package, "is_known", lambda package, sha256: True)


@pytest.fixture
def debs(tmp_path: Path, recorded: Path) -> Path:
    """The recorded packages, to be joined by a flite."""
    return Path(shutil.copytree(recorded, tmp_path / "debs"))


def fetched(tmp_path: Path, debs: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    assert fetch_debian_speech(tmp_path / "x", languages=ENGLISH, men=True, debs=debs, say=say)
    return tmp_path / "x"


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def reason_of(folder: Path) -> str:
    """Why the folder is without flite; it is whole and holds nothing of it."""
    (left_out,) = fetched_document(folder)["left_out"]
    assert (left_out["package"], left_out["speakers"]) == ("flite", list(SPEAKERS))
    assert not [name for name in contents(folder) if "flite" in name]
    assert [path.name for path in folder.parent.glob(".*")] == []
    verify_folder(folder)
    return str(left_out["reason"])


def test_every_voice_speaks_its_files_under_the_names_that_loaders_ask_for(
    tmp_path: Path, debs: Path
) -> None:
    folder = fetched(tmp_path, write_flite(debs))
    for voice, sound in flite_says().items():
        for number in range(FILES):
            assert (folder / "speech" / f"flite_{voice}_{number:03d}.wav").read_bytes()[44:] == sound[44:]
    assert verify_folder(folder) == len(manifest_rows(folder)) + 4
    assert fetched_document(folder)["left_out"] == []


def test_voices_are_people_of_their_own_for_training(tmp_path: Path, debs: Path) -> None:
    folder = fetched(tmp_path, write_flite(debs))
    rows = [row for row in manifest_rows(folder) if row["source_package"] == "flite"]
    assert [row["person"] for row in rows] == [speaker for speaker in SPEAKERS for _ in range(FILES)]
    assert {(row["split"], row["language"], row["licence"]) for row in rows} == {
        ("train", "en", FLITE.licence)
    }
    split = SplitSpec(test_speakers=("flite_kal16",), validation_speakers=("flite_awb",))
    corpus = load_corpus(folder, rate_hz=16_000, split=split)
    assert {recording.group for recording in corpus.train.speech} >= {"flite_rms"}


def test_programs_are_recorded_with_licences_and_makers(tmp_path: Path, debs: Path) -> None:
    folder = fetched(tmp_path, write_flite(debs, alsa="libasound2t64"))
    named = [package["package"] for package in fetched_document(folder)["packages"]]
    assert named == [SPEECH[0].name, NOISE.name, "flite", "libflite1", "libasound2t64"]
    for name in named:
        assert (folder / "licences" / f"{name}.copyright").read_bytes() == LICENCE
        assert f"{name}: " in (folder / "licences" / "CREDITS.txt").read_text()


def test_a_program_that_the_user_gave_is_said_to_be_run(tmp_path: Path, debs: Path) -> None:
    said: list[str] = []
    fetched(tmp_path, write_flite(debs), said.append)
    assert said[0].startswith("debian-speech: 4 packages, ")
    assert "flite 1-1: the program of flite_1-1_amd64.deb is run, to speak" in said


def test_a_program_of_unknown_bytes_is_not_run(
    tmp_path: Path, debs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Package, "is_known", lambda package, sha256: package is not LIBFLITE)
    folder = fetched(tmp_path, write_flite(debs, program=f"#!/bin/sh\ntouch {tmp_path}/ran".encode()))
    assert reason_of(folder) == "programs of unknown SHA-256 are not run: libflite1_1-1_amd64.deb"
    assert not (tmp_path / "ran").exists()


def test_without_the_packages_the_voices_are_left_out(tmp_path: Path, debs: Path) -> None:
    folder = fetched(tmp_path, debs)
    assert reason_of(folder) == "flite and libflite1 are not among the packages"


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (
            b"#!/bin/sh\necho first >&2\necho 'no libasound.so.2' >&2\nexit 127",
            "cannot run here: no libasound.so.2",
        ),
        (b"#!/bin/sh\nexit 5", "cannot run here: exit code 5"),
        (b"#!/bin/sh\nkill -SEGV $$", "cannot run here: exit code"),
        (b"\x7fELF\x02\x01\x01" + bytes(200), "cannot run here: Exec format error"),
        (b"#!/nowhere/sh\n", "cannot run here: No such file or directory"),
        (b"#!/bin/sh\n", "wrote no 16-bit speech at 16000 Hz"),
        (SPEAKING + b"[ $2 = rms ] || exit 7", "cannot run here: exit code 7"),
    ],
)
def test_a_program_that_fails_leaves_nothing(tmp_path: Path, debs: Path, program: bytes, says: str) -> None:
    assert says in reason_of(fetched(tmp_path, write_flite(debs, program=program)))


@pytest.mark.parametrize(
    "sound",
    [
        wav_bytes(seconds=0.5, seed=1, rate_hz=8_000),
        wav_bytes(seconds=0.5, seed=1, rate_hz=16_000, channels=2),
        flite_says()["rms"][:44],
        flite_says()["rms"][:44] + bytes(16_000),
        b"no sound",
    ],
    ids=["8 kHz", "stereo", "empty", "silent", "no sound"],
)
def test_what_is_no_speech_is_not_taken_for_it(tmp_path: Path, debs: Path, sound: bytes) -> None:
    folder = fetched(tmp_path, write_flite(debs, says=flite_says() | {"kal16": sound}))
    assert reason_of(folder) == "it wrote no 16-bit speech at 16000 Hz"


def test_a_program_that_never_ends_is_ended(
    tmp_path: Path, debs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flite, "LONGEST_SECONDS", 0.2)
    pid = tmp_path / "pid"
    program = f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n".encode()
    assert "took longer than" in reason_of(fetched(tmp_path, write_flite(debs, program=program)))
    assert gone_within(int(pid.read_text()), PATIENCE_S)


def test_links_are_looked_up_in_the_package_only(tmp_path: Path, debs: Path) -> None:
    outside = tmp_path / "libflite_cmu_us_rms.so.2.2"
    outside.write_bytes(flite_says()["rms"])
    links = {
        "libflite_cmu_us_rms.so.1": "libflite_cmu_us_nobody.so.2.2",
        "libflite_x.so.1": "../../bin/flite",
    }
    assert "cannot run here" in reason_of(fetched(tmp_path, write_flite(debs, links=links)))


def test_links_out_of_the_package_are_refused(tmp_path: Path, debs: Path) -> None:
    write_flite(debs, links={"libflite_cmu_us_rms.so.1": "/etc/passwd"})
    with pytest.raises(BadInput, match="out of its folder"):
        fetched(tmp_path, debs)
    assert not (tmp_path / "x").exists()


def test_other_files_of_the_packages_are_not_unpacked(tmp_path: Path, debs: Path) -> None:
    write_flite(debs)
    files = {"usr/bin/flite": b"#!/bin/sh\nls >&2; exit 1", FLITE.copyright_path: LICENCE}
    others = {"usr/bin/ls": b"", f"{LIBRARIES}/libc.so.6": b"", "usr/lib/libflite.so.1": b""}
    extra = [member(f"./{LIBRARIES}/libm.so.6", tarfile.SYMTYPE, "libc.so.6")]
    write_deb(debs / "flite_1-1_amd64.deb", files | others, package="flite", extra=extra)
    seen: set[str] = set()

    def spying(folder: Path, packages: Any) -> Any:
        with flite.installed(folder, packages):
            assert folder.stat().st_mode & 0o077 == 0
            seen.update(path.name for path in folder.iterdir())
            return flite.installed(folder, packages)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "installed", spying)
        fetched(tmp_path, debs)
    voices = [f"libflite_cmu_us_{voice}.so" for voice in flite_says()]
    assert seen == {"flite", "libflite.so.1"} | {f"{name}.{end}" for name in voices for end in ("1", "2.2")}


class Killed(BaseException):
    """What takes the place of a kill."""


@pytest.mark.parametrize("name", ["write_wav", "write_json", "write_bytes"])
def test_a_fetch_killed_while_it_speaks_goes_on_to_the_same_bytes(
    tmp_path: Path, debs: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = fetched(tmp_path / "whole", write_flite(debs))
    function, stopped = getattr(fetching, name), 0
    spoken: dict[str, int] = {}
    while not (tmp_path / "new" / "x").exists():
        assert stopped < 2 * FILES * len(SPEAKERS)
        monkeypatch.setattr(fetching, name, killing(function, after=stopped + 1))
        try:
            fetch_debian_speech(tmp_path / "new" / "x", languages=ENGLISH, men=True, debs=debs)
        except Killed:
            stopped += 1
        now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "new").rglob("flite_*.wav")}
        assert spoken.items() <= now.items()
        spoken = now
    assert stopped >= 1
    assert contents(tmp_path / "new" / "x") == contents(whole)


def killing(function: Callable[..., Any], *, after: int) -> Callable[..., Any]:
    """`function`, which stops when it has written so many files of flite's."""
    written: list[Path] = []

    def call(path: Path, *arguments: Any, **named: Any) -> Any:
        result = function(path, *arguments, **named)
        written.extend([path] if "flite" in path.name else [])
        if len(written) == after:
            raise Killed
        return result

    return call


def test_a_fetch_that_began_to_speak_ends_without_where_the_program_is_gone(
    tmp_path: Path, debs: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = fetching.write_wav

    def killing(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "flite_rms_001.wav":
            raise Killed
        return function(path, *arguments, **named)

    monkeypatch.setattr(fetching, "write_wav", killing)
    with pytest.raises(Killed):
        fetched(tmp_path, write_flite(debs))
    assert list(Workplace(tmp_path / "x").folder.glob("speech/flite_*"))
    assert reason_of(fetched(tmp_path, recorded))


def test_without_english_nothing_is_spoken_or_left_out(tmp_path: Path, debs: Path) -> None:
    write_flite(debs, program=b"#!/bin/sh\nexit 1")
    fetch_debian_speech(tmp_path / "x", languages=("it",), men=True, debs=debs)
    assert fetched_document(tmp_path / "x")["left_out"] == []
    assert not list((tmp_path / "x").rglob("*flite*"))


def test_a_folder_is_asked_for_with_or_without_men(tmp_path: Path, debs: Path) -> None:
    folder = fetched(tmp_path, write_flite(debs))
    with pytest.raises(BadInput, match="was made with --men"):
        fetch_debian_speech(folder, languages=ENGLISH, debs=debs)
    assert fetch_debian_speech(tmp_path / "women", languages=ENGLISH, debs=debs)
    assert not list((tmp_path / "women").rglob("*flite*"))
    assert fetched_document(tmp_path / "women")["left_out"] == []
    with pytest.raises(BadInput, match="was made without --men"):
        fetch_debian_speech(tmp_path / "women", languages=ENGLISH, men=True, debs=debs)


def test_the_program_ends_with_who_asked_it(tmp_path: Path) -> None:
    program, pid = tmp_path / "flite", tmp_path / "pid"
    program.write_text(f"#!/bin/sh\necho $$ > {pid}.new; mv {pid}.new {pid}\nexec sleep 60\n")
    program.chmod(0o700)
    code = (
        "from pathlib import Path; from npuexplore.audio.debian.flite import Flite; "
        "from npuexplore.audio.debian.flite_lines import lines_of; "
        f"Flite(Path({str(tmp_path)!r})).speak(next(lines_of('rms')))"
    )
    asker = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
    while not pid.exists():
        assert asker.poll() is None
        time.sleep(0.02)
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    assert gone_within(int(pid.read_text()), PATIENCE_S)
