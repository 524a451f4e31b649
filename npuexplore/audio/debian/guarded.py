"""Programs run beside this one: they end with it, and at their time limit; what they wrote is returned."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from npuexplore.audio.debian import guard

LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Said:
    """How a program ended."""

    code: int | None
    """Exit code; None where it was ended at its time limit."""
    output: str
    errors: str


def run_guarded(
    command: Sequence[str],
    *,
    folder: Path,
    logs: Path,
    environment: Mapping[str, str],
    longest_seconds: float = math.inf,
    look_seconds: float = LOOK_SECONDS,
    on_wait: Callable[[], None] = lambda: None,
) -> Said:
    """Runs a command in `folder` until it ends; its output goes through files in the folder `logs`.

    on_wait : called every `look_seconds`. A killed caller, or one that raises, takes the command with it.
    """
    output, errors = logs / "output.log", logs / "errors.log"
    end = time.monotonic() + longest_seconds
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-I", guard.__file__, *command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
        )
        try:
            while (running := _is_running(process, look_seconds)) and time.monotonic() < end:
                on_wait()
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()
    code = None if running else process.returncode
    return Said(code, output.read_text("utf-8", "replace"), errors.read_text("utf-8", "replace"))


def _is_running(process: subprocess.Popen[bytes], look_seconds: float) -> bool:
    """Waits a little for the process to end."""
    try:
        process.wait(look_seconds)
    except subprocess.TimeoutExpired:
        return True
    return False
