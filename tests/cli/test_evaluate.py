"""Scoring a network, or what another system made, from the command line."""

import json
import os

import numpy as np
import pytest
import tiny_study

from npuexplore.audio.perception import installed
from npuexplore.audio.wav import write_wav

FOLDERS = ("--clean", "clean", "--noisy", "noisy")


@pytest.fixture
def other_system(inside):
    """Folders clean, noisy, and enhanced: half of the noise, ending 100 samples early."""
    rng = np.random.default_rng(1)
    for number, f0_hz in enumerate((120.0, 210.0)):
        clean = tiny_study.syllables(f0_hz, seconds=1.0)
        noise = 0.1 * rng.standard_normal(clean.size).astype(np.float32)
        for folder, samples in (
            ("clean", clean),
            ("noisy", clean + noise),
            ("enhanced", (clean + noise / 2)[:-100]),
        ):
            write_wav(inside / folder / f"{number}.wav", samples, rate_hz=16_000)
    return inside


def test_files_of_another_system_are_scored(cli, other_system):
    outcome = cli(
        "evaluate", *FOLDERS, "--enhanced", "enhanced", "--json", "--metric", "stoi", "--metric", "sdr"
    )
    document = json.loads(outcome.out)
    assert document["schema"] == "npuexplore.evaluate/1"
    assert document["enhanced"] == "enhanced"
    assert [item["name"] for item in document["files"]] == ["0", "1"]
    assert set(document["mean"]) == {
        *(f"sdr_{what}_db" for what in ("in", "out", "improvement")),
        *(f"stoi_{what}" for what in ("in", "out", "improvement")),
    }
    assert document["mean"]["sdr_improvement_db"] == pytest.approx(6.02, abs=0.3)
    assert 0.0 < document["mean"]["stoi_improvement"] < 1.0


def test_all_installed_metrics_are_shown_to_people(cli, other_system):
    outcome = cli("evaluate", *FOLDERS, "--enhanced", "enhanced")
    assert outcome.code == 0
    for name in ("SDR", "SI-SDR", "STOI"):
        assert name in outcome.out
    assert ("PESQ" in outcome.out) == installed("pesq")
    assert ("DNSMOS-OVRL" in outcome.out) == installed("dnsmos")
    assert ("pip install 'npuexplore[" in outcome.err) != (installed("pesq") and installed("dnsmos"))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "give either a MODEL or --enhanced FOLDER"),
        (("tinylstm", "--enhanced", "enhanced"), 2, "give either a MODEL or --enhanced FOLDER"),
        (("--enhanced", "enhanced", "--metric", "mos"), 2, "choose from sdr, si_sdr, stoi, pesq, dnsmos"),
        (("--enhanced", "nowhere"), 3, "nowhere: no such folder"),
        (("--enhanced", "one"), 3, "one: 1 has no enhanced file"),
        (("--enhanced", "three"), 3, "three: 2 has no clean and noisy file"),
        (("--enhanced", "short"), 3, "they may differ by 32 ms"),
        (("--enhanced", "silent"), 3, "is silent from beginning to end"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(cli, other_system, arguments, code, says):
    tone = np.sin(np.arange(16_000) / 20.0) / 2
    for folder, names, samples in (
        ("one", "0", tone),
        ("three", "012", tone),
        ("short", "01", tone[:15_000]),
        ("silent", "01", 0 * tone),
    ):
        for name in names:
            write_wav(other_system / folder / f"{name}.wav", samples, rate_hz=16_000)
    outcome = cli("evaluate", *arguments, *FOLDERS)
    assert outcome.code == code
    assert says in outcome.sentence
    assert outcome.out == ""


@pytest.mark.parametrize("metric", [name for name in ("pesq", "dnsmos") if not installed(name)])
def test_a_metric_that_is_not_installed_is_exit_4(cli, other_system, metric):
    outcome = cli("evaluate", *FOLDERS, "--enhanced", "enhanced", "--metric", metric)
    assert outcome.code == 4
    assert f"pip install 'npuexplore[{metric}]'" in outcome.sentence


def test_files_too_short_for_intelligibility_are_one_sentence(cli, other_system):
    for folder in ("clean", "noisy"):
        os.makedirs(f"short_{folder}")
        write_wav(other_system / f"short_{folder}" / "a.wav", np.ones(900) / 2, rate_hz=16_000)
    arguments = ("evaluate", "tinylstm", "--clean", "short_clean", "--noisy", "short_noisy")
    outcome = cli(*arguments)
    assert outcome.code == 3
    assert outcome.sentence.startswith("a: STOI needs at least 0.42 s")
    assert cli(*arguments, "--metric", "sdr").code == 0
