"""The program flite of Debian's packages, put together in a folder of ours and run there, a file at a time.

Libraries lie there under the names that the loader asks for. Those are links in the packages; what a link
says is looked up among the package's own files.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from npuexplore.audio.debian.archive import DebFile
from npuexplore.audio.debian.flite_lines import VOICES, Lines, arguments_of, lines_of
from npuexplore.audio.debian.guarded import run_guarded
from npuexplore.audio.debian.packages import FLITE
from npuexplore.audio.debian.sounds import RATE_HZ, Clip, Float32, Sound
from npuexplore.documents.atomic import write_bytes

PROGRAM = "usr/bin/flite"
LIBRARY = re.compile(r"usr/lib/(?:[^/]+/)?(lib(?:flite[a-z0-9_]*|asound)\.so(?:\.\d+)+)")

LONGEST_SECONDS = 120.0
"""For a file that takes half a second."""

LARGEST_SPEECH_BYTES = 8 * 2**20
"""Ten times what a file holds."""

SPEAKERS = tuple(f"flite_{voice}" for voice in VOICES)


class CannotSpeak(Exception):
    """Why there is nothing of flite; a part of a sentence."""


@dataclass(frozen=True)
class Flite:
    """The program, ready to run in its folder."""

    folder: Path

    def speak(self, lines: Lines) -> Float32:
        """(N,) float32 at RATE_HZ, each a 16-bit sample of flite's. Raises CannotSpeak."""
        speech = self.folder / "speech.wav"
        speech.unlink(missing_ok=True)
        said = run_guarded(
            [f"./{Path(PROGRAM).name}", *arguments_of(lines), "-o", speech.name],
            folder=self.folder,
            logs=self.folder,
            environment=_environment(),
            longest_seconds=LONGEST_SECONDS,
        )
        if said.code is None:
            raise CannotSpeak(f"it took longer than {LONGEST_SECONDS:.0f} s for one file")
        if said.code:
            words = [" ".join(line.split()) for line in said.errors.splitlines() if line.strip()]
            raise CannotSpeak(f"it cannot run here: {words[-1] if words else f'exit code {said.code}'}")
        return _samples(speech)


def is_of_program(name: str) -> bool:
    """Whether a path in a package is the program or one of its libraries.

    >>> is_of_program("usr/lib/x86_64-linux-gnu/libflite_cmu_us_rms.so.1"), is_of_program("usr/bin/t2p")
    (True, False)
    """
    return name == PROGRAM or LIBRARY.fullmatch(name) is not None


@contextmanager
def installed(folder: Path, packages: Iterable[DebFile]) -> Iterator[Flite]:
    """The program in a new folder that nobody else may enter, removed at the end.

    Raises CannotSpeak where the packages do not hold it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    try:
        for package in packages:
            for name, content in _named(package).items():
                write_bytes(folder / name, content)
        program = folder / Path(PROGRAM).name
        if not program.is_file():
            raise CannotSpeak(f"the package {FLITE.name} holds no /{PROGRAM}")
        program.chmod(0o700)
        yield Flite(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def flite_sounds(program: Flite) -> list[Sound]:
    """The files to be written of all voices; each is spoken when its samples are asked for."""
    return [
        Sound(
            file=f"speech/{speaker}_{lines.number:03d}.wav",
            group=speaker,
            split=FLITE.split,
            clips=(Clip(lines.text, 0.0, partial(program.speak, lines)),),
            person=speaker,
        )
        for voice, speaker in zip(VOICES, SPEAKERS, strict=True)
        for lines in lines_of(voice)
    ]


def _named(package: DebFile) -> Mapping[str, bytes]:
    """The program and the libraries of a package by the names that they are asked for by."""
    named = {
        posixpath.basename(path): content for path, content in package.files.items() if is_of_program(path)
    }
    for path, target in package.links.items():
        meant = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if LIBRARY.fullmatch(path) and LIBRARY.fullmatch(meant) and meant in package.files:
            named[posixpath.basename(path)] = package.files[meant]
    return named


def _environment() -> dict[str, str]:
    """Ours, with the program's folder before all others that libraries are looked for in."""
    others = os.environ.get("LD_LIBRARY_PATH")
    return {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": f".:{others}" if others else "."}


def _samples(path: Path) -> Float32:
    import soundfile

    nothing = CannotSpeak(f"it wrote no 16-bit speech at {RATE_HZ} Hz")
    if not path.is_file() or path.stat().st_size > LARGEST_SPEECH_BYTES:
        raise nothing
    try:
        with soundfile.SoundFile(str(path)) as sound:
            if (sound.samplerate, sound.channels, sound.subtype) != (RATE_HZ, 1, "PCM_16"):
                raise nothing
            samples: Float32 = sound.read(dtype="float32")
    except soundfile.SoundFileError:
        raise nothing from None
    if not samples.any():
        raise nothing
    return samples
