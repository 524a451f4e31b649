"""Speech from text through espeak-ng, in a process of its own.

The engine is GPL-3 and comes with the extra `demo` (PyPI espeakng-loader); nothing of it is imported or
loaded before `Speaker` is entered, and then only its paths are asked for: the library itself runs in
`espeak_worker`.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio import espeak_worker
from npuexplore.errors import EnvironmentLacking

INSTALL = 'run pip install "npuexplore[demo]", or bring recordings with --data DIR'

LONGEST_DATA_PATH_BYTES = 150
"""espeak-ng keeps its data path in 160 bytes and fails on a longer one."""


@dataclass(frozen=True)
class Voice:
    """A voice of espeak-ng: a language, a speaker variant, and how it is used."""

    language: str
    variant: str
    pitch: int = 50
    """0..99, 50 as the variant was made."""
    words_per_minute: int = 165
    size: float = 1.0
    """Vocal tract length against the variant's own; also lowers the pitch. Done by resampling."""

    @property
    def name(self) -> str:
        """What espeak-ng calls it."""
        return f"{self.language}+{self.variant}"


class Speaker:
    """Speaks text while the `with` block lasts.

    Raises EnvironmentLacking on entering where the extra is missing or does not work. Equal requests in
    equal order give equal samples.
    """

    rate_hz: int
    """Rate of the samples, 22,050 Hz."""

    def __enter__(self) -> Speaker:
        self._cleanup = ExitStack()
        try:
            library, data = _locate()
            self._variants = {path.name for path in (data / "voices" / "!v").glob("*")}
            self._start(library, _short(data, self._cleanup))
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def say(self, text: str, voice: Voice, *, pitch: int, pitch_range: int = 50) -> NDArray[np.int16]:
        """(N,) int16 samples of `text` in UTF-8, said by `voice` at `pitch` (0..99)."""
        request = {
            "text": text.replace("\0", " "),
            "voice": voice.name,
            "words_per_minute": voice.words_per_minute,
            "pitch": pitch,
            "pitch_range": pitch_range,
        }
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        except OSError:
            raise EnvironmentLacking(f"espeak-ng stopped while speaking; {INSTALL}") from None
        count = self._number()
        if count == espeak_worker.FAILED or voice.variant not in self._variants:
            raise EnvironmentLacking(f"the installed espeak-ng has no voice {voice.name}; {INSTALL}")
        return np.frombuffer(self._read(count), dtype="<i2")

    def _start(self, library: Path, data: Path) -> None:
        """Start the worker and wait for its rate."""
        program = [sys.executable, "-I", espeak_worker.__file__, str(library), str(data)]
        try:
            process = subprocess.Popen(
                program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise EnvironmentLacking(f"espeak-ng cannot be started ({error.strerror}); {INSTALL}") from None
        self._cleanup.callback(_stop, process)
        assert process.stdin is not None
        assert process.stdout is not None
        self._requests: IO[bytes] = process.stdin
        self._answers: IO[bytes] = process.stdout
        self.rate_hz = self._number()
        if self.rate_hz == 0:
            raise EnvironmentLacking(f"espeak-ng cannot read its data in {data}; {INSTALL}")

    def _number(self) -> int:
        (number,) = struct.unpack("<I", self._read(4))
        return int(number)

    def _read(self, count: int) -> bytes:
        content = self._answers.read(count)
        if len(content) != count:
            raise EnvironmentLacking(f"espeak-ng stopped while speaking; {INSTALL}")
        return content


def _locate() -> tuple[Path, Path]:
    """Paths of the library and of its data, as the wheel tells them."""
    try:
        import espeakng_loader

        library, data = Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path())
    except (ImportError, RuntimeError, OSError):
        raise EnvironmentLacking(f"speech synthesis (espeakng-loader) is not installed; {INSTALL}") from None
    for path in (library, data / "phontab"):
        if not path.is_file():
            raise EnvironmentLacking(f"the installed espeakng-loader lacks {path.name}; {INSTALL}")
    return library, data


def _short(data: Path, cleanup: ExitStack) -> Path:
    """`data`, or a link to it from a temporary folder where its path is too long for the library."""
    if len(os.fsencode(data)) <= LONGEST_DATA_PATH_BYTES:
        return data
    link = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="npuexplore-"))) / "espeak-ng-data"
    try:
        link.symlink_to(data, target_is_directory=True)
    except OSError as error:
        raise EnvironmentLacking(
            f"{link}: cannot be made ({error.strerror}); use a shorter install path"
        ) from None
    return link


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the worker: it has nothing to lose."""
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                continue
    process.wait()
