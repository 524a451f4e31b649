"""The data verbs as users call them: documents, exit codes, nothing half-written."""

import json

import pytest
from command_line import everything_in
from deb_files import write_debs


@pytest.fixture(scope="module")
def debs(tmp_path_factory):
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    return write_debs(tmp_path_factory.mktemp("debs"))


@pytest.fixture
def fetched(cli, inside, debs):
    outcome = cli("data", "fetch", "debian-speech", "--output", "audio", "--from", debs)
    assert outcome.code == 0, outcome.err
    return outcome


def test_fetching_says_sizes_first_and_shows_what_there_is(fetched):
    assert fetched.err.startswith("debian-speech: 6 packages, ")
    assert fetched.err.endswith("Written: audio\n")
    assert "it_carlo" in fetched.out


def test_men_who_cannot_speak_are_left_out_and_that_is_said(cli, inside, debs):
    asked = ("data", "fetch", "debian-speech", "--output", "men", "--from", debs, "--men")
    outcome = cli(*asked, "--languages", "en", "--json")
    assert outcome.code == 0
    assert "men: is whole, but without flite_rms, flite_awb, flite_kal16" in " ".join(outcome.err.split())
    (left_out,) = json.loads(outcome.out)["left_out"]
    assert left_out["speakers"] == ["flite_rms", "flite_awb", "flite_kal16"]


def test_a_fetched_folder_is_verified_inspected_and_not_fetched_again(cli, fetched, debs):
    before = everything_in_place()
    verified = cli("data", "fetch", "debian-speech", "--output", "audio", "--verify", "--json")
    assert verified.code == 0
    verified_document = json.loads(verified.out)
    assert verified_document["schema"] == "npuexplore.fetch/1"
    assert verified_document["left_out"] == []
    again = cli("data", "fetch", "debian-speech", "--output", "audio", "--from", debs)
    assert again.code == 0
    assert "already there" in again.err
    inspected = cli("data", "inspect", "audio", "--json")
    assert inspected.code == 0
    document = json.loads(inspected.out)
    assert document["layout"] == "speech_and_noise"
    assert set(document["splits"]["test"]["speech"]["speakers"]) == {"it_carlo"}
    assert cli("data", "inspect", "audio").code == 0
    assert everything_in_place() == before


def everything_in_place():
    import pathlib

    return [(path, path.stat().st_mtime_ns) for path in sorted(pathlib.Path("audio").rglob("*"))]


def test_a_study_learns_from_a_fetched_folder(cli, fetched, tiny, monkeypatch):
    from npuexplore.pipeline import study as study_module

    monkeypatch.setattr(study_module, "_run_stages", lambda *_: None)
    assert cli("train", tiny, "--data", "audio").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("librispeech", "--output", "x"), 2, "is not one of 'debian-speech'"),
        (("debian-speech",), 2, "--output"),
        (("debian-speech", "--output", "x", "--from", "nowhere"), 3, "nowhere: no such folder"),
        (("debian-speech", "--output", "x", "--from", "."), 3, "lacks asterisk-core-sounds-en-g722_*.deb"),
        (
            ("debian-speech", "--output", "x", "--languages", "en,de"),
            3,
            "got 'de'; allowed are en,es,fr,it,ru",
        ),
        (("debian-speech", "--output", "x", "--verify"), 3, "x: holds no fetched debian-speech"),
        (("debian-speech", "--output", "."), 2, "name the folder to be made"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(cli, inside, arguments, code, says):
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    outcome = cli("data", "fetch", *arguments)
    assert outcome.code == code
    assert says in outcome.sentence
    assert outcome.out == ""
    assert everything_in(inside) == []


def test_without_apt_the_exit_code_is_that_of_the_environment(cli, inside, monkeypatch):
    pytest.importorskip("G722", reason='needs the extra: pip install ".[data]"')
    monkeypatch.setenv("PATH", str(inside))
    outcome = cli("data", "fetch", "debian-speech", "--output", "x")
    assert outcome.code == 4
    assert outcome.sentence.startswith("this system has no apt-get")
    assert everything_in(inside) == []


def test_a_changed_file_is_found_by_verify(cli, fetched):
    from pathlib import Path

    Path("audio/noise/spring_day.wav").write_bytes(b"RIFF")
    outcome = cli("data", "fetch", "debian-speech", "--output", "audio", "--verify")
    assert outcome.code == 3
    assert "spring_day.wav has 4 bytes" in outcome.sentence


@pytest.mark.parametrize("place", [("--output", "demo"), ("demo",)])
def test_synthesising_makes_a_folder_that_inspect_reads(cli, inside, place):
    pytest.importorskip("espeakng_loader", reason='needs the extra: pip install ".[demo]"')
    assert cli("data", "synth", *place, "--minutes", "0.5", "--seed", "3").code == 0
    outcome = cli("data", "inspect", "demo", "--json")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    assert all(document["splits"][split]["speech"]["files"] for split in ("train", "validation", "test"))
    assert cli("data", "synth", *place, "--minutes", "0.5").code == 3


@pytest.mark.parametrize(
    "arguments",
    [(), ("demo", "--output", "demo"), ("--output", "demo", "--minutes", "0"), ("--seed", "-1", "demo")],
)
def test_a_synthesis_asked_for_badly_is_a_usage_error(cli, inside, arguments):
    outcome = cli("data", "synth", *arguments)
    assert outcome.code == 2
    assert outcome.sentence
    assert everything_in(inside) == []
