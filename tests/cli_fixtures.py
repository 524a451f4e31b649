"""The command line, called in this process or as a program of its own."""

import fcntl
import os
import sys

import pytest
import tiny_study
from command_line import Outcome, run_program

from npuexplore.cli.app import main


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs `npuexplore` with these arguments in this process."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["npuexplore", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as left:
            code = left.code or 0
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A folder with speech/ and noise/ of generated sounds; not to be changed."""
    return tiny_study.write_corpus(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Path of the tiny study."""
    return tiny_study.write_study(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tiny, recordings):
    """The run directory of the tiny study, run to its end in one go by a program of its own.

    Made once for all test processes, and not to be changed.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "finished").exists():
            making = shared / "finished.making"
            outcome = run_program("study", "run", tiny, "--data", recordings, "--runs", making)
            assert outcome.code == 0, outcome.err
            making.rename(shared / "finished")
    return shared / "finished" / "tiny"
