"""Packages through apt-get, played by a script: what it is asked, and what is said when it fails."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deb_files import write_debs, write_flite
from processes import PATIENCE_S, gone_within

from npuexplore.audio.debian import apt as apt_module
from npuexplore.audio.debian import flite_lines
from npuexplore.audio.debian.apt import Apt, Offer
from npuexplore.audio.debian.fetch import fetch_debian_speech
from npuexplore.audio.debian.flite import SPEAKERS
from npuexplore.audio.debian.packages import NOISE, SPEECH
from npuexplore.audio.debian.verify import fetched_document
from npuexplore.errors import EnvironmentLacking

FAKE_APT = """#!{python}
import json, os, pathlib, sys, time
plan = json.loads(pathlib.Path({plan!r}).read_text())
arguments = sys.argv[1:]
options = dict(a.split("=", 1) for flag, a in zip(arguments, arguments[1:]) if flag == "-o")
lists = pathlib.Path(options["Dir::State::lists"])
with open(plan["log"], "a") as log:
    log.write(json.dumps([arguments, os.getcwd()]) + "\\n")
if "update" in arguments:
    if plan["update"]:
        sys.exit(plan["update"])
    (lists / "Packages").write_text("")
    sys.exit()
names = arguments[arguments.index("download") + 1 :]
if not (lists / "Packages").exists() or any(name not in plan["offers"] for name in names if name[0] != "-"):
    sys.exit("E: Unable to locate package")
for name in names:
    if name == "--print-uris":
        continue
    offer = plan["offers"][name]
    if "--print-uris" in names:
        uri, file = f"'http://me:secret@host/{{offer['file']}}'", offer["file"]
        print(f"{{uri}} {{file}} {{offer['bytes']}} SHA256:{{offer['sha256']}}")
        continue
    if plan["slow"]:
        pathlib.Path("partial").write_text(str(os.getpid()))
        time.sleep(60)
    content = pathlib.Path(offer["path"]).read_bytes()
    pathlib.Path(offer["file"]).write_bytes(content[: len(content) - plan["short"]])
"""


class FakeApt:
    """An apt-get on the PATH that serves a folder of packages."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.plan = {"update": "", "short": 0, "slow": False, "offers": {}, "log": str(folder / "log")}
        script = folder / "bin" / "apt-get"
        script.parent.mkdir(parents=True)
        script.write_text(FAKE_APT.format(python=sys.executable, plan=str(folder / "plan.json")))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent))
        self.set()

    def serve(self, debs: Path) -> FakeApt:
        for path in debs.glob("*.deb"):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            offer = {"file": path.name, "bytes": len(content), "sha256": digest, "path": str(path)}
            self.plan["offers"][path.name.split("_")[0]] = offer
        return self.set()

    def set(self, **changes: object) -> FakeApt:
        self.plan |= changes
        (self._folder / "plan.json").write_text(json.dumps(self.plan))
        return self

    def calls(self) -> list[tuple[list[str], str]]:
        log = Path(str(self.plan["log"]))
        return [tuple(json.loads(line)) for line in log.read_text().splitlines()] if log.exists() else []

    def verbs(self) -> list[str]:
        return [next(a for a in arguments if a in ("update", "download")) for arguments, _ in self.calls()]


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_debs(tmp_path_factory.mktemp("debs"))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, debs: Path) -> FakeApt:
    monkeypatch.setattr(apt_module, "LOOK_SECONDS", 0.01)
    return FakeApt(tmp_path / "system", monkeypatch).serve(debs)


def sentence(call: Callable[[], object]) -> str:
    with pytest.raises(EnvironmentLacking) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_fetch_through_apt_gives_what_the_packages_give(tmp_path: Path, fake: FakeApt, debs: Path) -> None:
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    said: list[str] = []
    fetch_debian_speech(tmp_path / "x", say=said.append)
    fetch_debian_speech(tmp_path / "y", debs=debs)
    one, two = (
        {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        for folder in (tmp_path / "x", tmp_path / "y")
    )
    assert one == two
    assert said[0].startswith("debian-speech: 6 packages, 297.1 MB to be downloaded")
    assert "in the release that apt offers" in said[1]
    assert fake.verbs().count("update") == 1


@pytest.mark.parametrize("alsa", ["libasound2", "libasound2t64"])
def test_programs_that_apt_offers_are_run(
    tmp_path: Path, fake: FakeApt, monkeypatch: pytest.MonkeyPatch, alsa: str
) -> None:
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    monkeypatch.setattr(flite_lines, "FILES", 1)
    monkeypatch.setenv("PATH", os.pathsep.join([os.environ["PATH"], *os.defpath.split(os.pathsep)]))
    fake.serve(write_flite(tmp_path / "debs", alsa=alsa))
    said: list[str] = []
    fetch_debian_speech(tmp_path / "x", languages=("en",), men=True, say=said.append)
    document = fetched_document(tmp_path / "x")
    assert document["left_out"] == []
    assert [package["package"] for package in document["packages"][2:]] == ["flite", "libflite1", alsa]
    assert "flite 1-1: the program of apt's package is run, to speak" in said
    assert len(list((tmp_path / "x" / "speech").glob("flite_*.wav"))) == len(SPEAKERS)
    assert fake.verbs().count("update") == 1


def test_apt_writes_nothing_of_the_systems(tmp_path: Path, fake: FakeApt) -> None:
    own = tmp_path / "own"
    offers = Apt(own).offers([NOISE.name])
    Apt(own).download(offers[NOISE.name], tmp_path / "noise.deb", on_bytes=lambda there: None)
    for arguments, folder in fake.calls():
        for key in ("Dir::State", "Dir::State::lists", "Dir::Cache"):
            (value,) = (a.partition("=")[2] for a in arguments if a.startswith(f"{key}="))
            assert Path(value).is_relative_to(own)
        assert Path(folder).is_relative_to(own)
        assert "sudo" not in arguments
    assert (tmp_path / "noise.deb").stat().st_size == offers[NOISE.name].bytes


def test_lists_that_are_there_are_not_fetched_again(tmp_path: Path, fake: FakeApt) -> None:
    for _ in range(2):
        Apt(tmp_path / "own").offers([NOISE.name])
    assert fake.verbs() == ["download", "update", "download", "download"]


def test_a_download_that_a_kill_left_whole_is_used(tmp_path: Path, fake: FakeApt, debs: Path) -> None:
    apt = Apt(tmp_path / "own")
    offer = apt.offers([NOISE.name])[NOISE.name]
    (tmp_path / "own" / "incoming" / offer.file).write_bytes((debs / offer.file).read_bytes())
    before = len(fake.calls())
    apt.download(offer, tmp_path / "noise.deb", on_bytes=lambda there: None)
    assert len(fake.calls()) == before


@pytest.mark.parametrize("short", [1, 10**9])
def test_a_download_that_is_not_what_the_index_says_is_refused(
    tmp_path: Path, fake: FakeApt, short: int
) -> None:
    apt = Apt(tmp_path / "own")
    offer = apt.offers([NOISE.name])[NOISE.name]
    fake.set(short=short)
    message = sentence(lambda: apt.download(offer, tmp_path / "noise.deb", on_bytes=lambda there: None))
    assert "is not what its index says; run the same command again" in message
    assert not (tmp_path / "noise.deb").exists()


def test_a_download_of_another_sha256_is_refused(tmp_path: Path, fake: FakeApt) -> None:
    apt = Apt(tmp_path / "own")
    offer = apt.offers([NOISE.name])[NOISE.name]
    other = Offer(offer.package, offer.file, offer.bytes, "0" * 64)
    message = sentence(lambda: apt.download(other, tmp_path / "noise.deb", on_bytes=lambda there: None))
    assert "is not what its index says" in message


def test_a_package_that_apt_does_not_know_is_named(tmp_path: Path, fake: FakeApt) -> None:
    offers = dict(fake.plan["offers"])
    del offers[SPEECH[2].name]
    fake.set(offers=offers)
    message = sentence(lambda: Apt(tmp_path / "own").offers(package.name for package in SPEECH))
    assert f"apt knows no package {SPEECH[2].name}" in message
    assert "--from DIR" in message


def test_without_a_network_apts_own_words_are_said_without_passwords(tmp_path: Path, fake: FakeApt) -> None:
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    fake.set(
        update="W: Failed to fetch http://me:secret@host/InRelease  Could not resolve 'host'\nW: Some failed."
    )
    message = sentence(lambda: fetch_debian_speech(tmp_path / "new" / "x"))
    assert (
        "Failed to fetch http://***@host/InRelease Could not resolve 'host'; look at the network" in message
    )
    assert "secret" not in message
    assert not (tmp_path / "new").exists()


def test_without_apt_the_other_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    monkeypatch.setenv("PATH", str(tmp_path))
    message = sentence(lambda: fetch_debian_speech(tmp_path / "new" / "x"))
    assert message.startswith("this system has no apt-get")
    assert "--from DIR" in message
    assert list(tmp_path.iterdir()) == []


def test_apt_ends_with_who_asked_it(tmp_path: Path, fake: FakeApt) -> None:
    fake.set(slow=True)
    code = (
        "from pathlib import Path; from npuexplore.audio.debian.apt import Apt; "
        f"apt = Apt(Path({str(tmp_path / 'own')!r})); name = {NOISE.name!r}; "
        "apt.download(apt.offers([name])[name], Path('x.deb'), on_bytes=lambda there: None)"
    )
    asker = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=dict(os.environ))
    started = tmp_path / "own" / "incoming" / "partial"
    while not (started.exists() and started.read_text()):
        assert asker.poll() is None
        time.sleep(0.02)
    process_id = int(started.read_text())
    asker.send_signal(signal.SIGKILL)
    asker.wait()
    assert gone_within(process_id, PATIENCE_S)
