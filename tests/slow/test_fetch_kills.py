"""A fetch killed at random moments ends in the same bytes, and writes no finished file again."""

import random
import shutil
import time

import pytest
from command_line import program, run_program
from deb_files import write_debs


@pytest.fixture(scope="module")
def debs(tmp_path_factory):
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    return write_debs(tmp_path_factory.mktemp("debs"))


def command(debs, folder):
    return ("data", "fetch", "debian-speech", "--output", folder, "--from", debs)


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stamps(folder):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.wav")}


@pytest.mark.parametrize("seed", range(4))
def test_a_fetch_killed_at_random_moments_ends_in_the_same_bytes(tmp_path, debs, seed):
    whole = tmp_path / "whole"
    assert run_program(*command(debs, whole)).code == 0
    rng, runs = random.Random(seed), tmp_path / "runs"
    written, patience = {}, 1.0
    while not (runs / "x").exists():
        process = program(*command(debs, runs / "x"))
        end = time.monotonic() + rng.uniform(0.3, patience)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        process.kill()
        process.communicate()
        now = stamps(runs) if runs.exists() else {}
        assert written.items() <= now.items()
        written, patience = now, patience + 0.1
    assert written.items() <= stamps(runs).items()
    assert files_of(runs / "x") == files_of(whole)
    assert [path.name for path in runs.iterdir()] == ["x"]
    shutil.rmtree(tmp_path)
