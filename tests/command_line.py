"""The command line as a program of its own, and what it answered."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

COMPARE = ("compare-structures", "--profile", "micronpu-block16", "--network", "tinylstm")
ESTIMATE = ("estimate", "--profile", "micronpu-block16", "--network", "tinylstm")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def sentence(self):
        """What a refused command said: the last line, with a prefix, and no traceback before it."""
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert [line.startswith("npuexplore: ") for line in lines].count(True) == 1, self.err
        assert lines[-1].startswith("npuexplore: "), self.err
        return lines[-1].removeprefix("npuexplore: ")


def program(*arguments, environment=(), **settings):
    """`npuexplore` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "npuexplore", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **dict(environment)},
        preexec_fn=_hear_interrupts,
        **settings,
    )


def _hear_interrupts():
    """Tests that run in the background of a shell inherit that interrupts are ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def output_of(process, timeout=120):
    out, err = process.communicate(timeout=timeout)
    return Outcome(process.returncode, out, err)


def run_program(*arguments, **settings):
    return output_of(program(*arguments, **settings))


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
