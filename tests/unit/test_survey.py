from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from npuexplore.audio.sources import Corpus, SplitSpec, load_corpus
from npuexplore.audio.survey import bandwidth_hz, measure, survey
from npuexplore.audio.wav import write_wav
from npuexplore.errors import BadInput

RATE = 16_000
VOICES = ("p226", "p227", "p228")


def noise(seconds: float, *, seed: int = 0, level: float = 0.1, rate_hz: int = RATE) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(int(seconds * rate_hz))


def make_voicebank(folder: Path) -> Path:
    """Two sentences of three speakers to train on and a pair to test, laid out as VoiceBank-DEMAND."""
    train = [(f"{voice}_{number:03d}", "trainset_28spk") for voice in VOICES for number in (1, 2)]
    for seed, (name, part) in enumerate([*train, ("p232_001", "testset")]):
        voice, added = noise(0.1, seed=seed), noise(0.1, seed=100 + seed, level=0.01)
        write_wav(folder / f"clean_{part}_wav" / f"{name}.wav", voice, rate_hz=RATE)
        write_wav(folder / f"noisy_{part}_wav" / f"{name}.wav", voice + added, rate_hz=RATE)
    (folder / "log_trainset_28spk.txt").write_text("p226_001 cafeteria 15\np226_002 babble 0\n")
    return folder


def make_folder(folder: Path) -> Path:
    """Three speakers with 0.6, 1.2 and 1.8 s and four noises."""
    for index, speaker in enumerate(("ann", "bob", "cy")):
        write_wav(folder / "speech" / f"{speaker}_1.wav", noise(0.6 * (index + 1)), rate_hz=RATE)
    for index in range(4):
        write_wav(folder / "noise" / f"street_{index}.wav", noise(0.6, seed=index), rate_hz=RATE)
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(BadInput) as caught:
        survey(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(folder: Path) -> Corpus:
    return load_corpus(folder, rate_hz=RATE, split=SplitSpec())


def test_a_voicebank_tree_is_speech_the_noise_added_to_it_and_pairs(tmp_path: Path) -> None:
    corpus = load(make_voicebank(tmp_path))
    splits = (corpus.train, corpus.validation, corpus.test)
    assert [{r.group for r in split.speech} for split in splits] == [{"p228"}, {"p227"}, {"p226"}]
    noises = [r for split in splits for r in split.noise]
    assert {r.group for r in noises} == {"cafeteria", "babble", "noise"}
    assert [float(r.samples.std()) for r in noises] == pytest.approx([0.01] * 6, rel=0.2)
    assert [(pair.name, pair.evaluation_only) for pair in corpus.pairs] == [("p232_001", True)]


def test_a_voicebank_test_set_alone_is_pairs_to_score(tmp_path: Path) -> None:
    make_voicebank(tmp_path)
    for side in ("clean", "noisy"):
        shutil.rmtree(tmp_path / f"{side}_trainset_28spk_wav")
    corpus = load(tmp_path)
    assert not corpus.train.speech
    assert len(corpus.pairs) == 1


def test_a_voicebank_file_without_its_noisy_side_is_refused(tmp_path: Path) -> None:
    make_voicebank(tmp_path)
    (tmp_path / "noisy_trainset_28spk_wav" / "p226_001.wav").unlink()
    assert "p226_001 has no partner" in refusal(tmp_path)


def test_every_layout_is_named_and_its_minutes_counted(tmp_path: Path) -> None:
    make_voicebank(tmp_path / "tree")
    shutil.copytree(tmp_path / "tree" / "clean_testset_wav", tmp_path / "pairs" / "clean")
    shutil.copytree(tmp_path / "tree" / "noisy_testset_wav", tmp_path / "pairs" / "noisy")
    make_folder(tmp_path / "folder")
    layouts = {name: survey(tmp_path / name)["layout"] for name in ("tree", "pairs", "folder")}
    assert layouts == {"tree": "voicebank_demand", "pairs": "pairs", "folder": "speech_and_noise"}
    splits = survey(tmp_path / "folder")["splits"]
    said = {split: of["speech"]["speakers"] for split, of in splits.items()}
    assert said == {"train": {"cy": 0.03}, "validation": {"bob": 0.02}, "test": {"ann": 0.01}}
    assert [splits[split]["noise"]["files"] for split in ("train", "validation", "test")] == [2, 1, 1]


def test_the_survey_parts_a_folder_as_a_study_does(tmp_path: Path) -> None:
    make_voicebank(tmp_path)
    corpus, splits = load(tmp_path), survey(tmp_path)["splits"]
    for split in ("train", "validation", "test"):
        speech = getattr(corpus, split).speech
        assert set(splits[split]["speech"]["speakers"]) == {r.group for r in speech}
        assert splits[split]["noise"]["files"] == len(getattr(corpus, split).noise)


def test_the_snr_of_pairs_is_that_of_clean_over_what_was_added(tmp_path: Path) -> None:
    pairs = survey(make_voicebank(tmp_path))["pairs"]
    assert pairs["count"] == 1
    assert pairs["snr_db"]["median"] == pytest.approx(20.0, abs=0.5)


def test_rates_and_levels_and_clipping_are_told(tmp_path: Path) -> None:
    make_folder(tmp_path)
    loud = np.clip(noise(0.6, level=1.0, rate_hz=48_000), -1.0, 1.0)
    write_wav(tmp_path / "speech" / "cy_2.wav", loud, rate_hz=48_000)
    document = survey(tmp_path)
    of_cy = document["splits"]["train"]["speech"]
    assert of_cy["rates_hz"] == {"16000": 1, "48000": 1}
    assert of_cy["clipped_files"] == 1
    at_full_scale = int(np.count_nonzero(np.abs(loud) == 1.0))
    assert of_cy["clipped_frac"] == pytest.approx(at_full_scale / (1.8 * RATE + loud.size), rel=0.01)
    assert of_cy["level_db"]["lowest"] == pytest.approx(-20.0, abs=0.2)
    assert any("1 of 4 speech files reach full scale" in remark for remark in document["notes"])


@pytest.mark.parametrize(("from_hz", "expected_hz"), [(8_000, 3_900), (11_025, 5_370), (16_000, 8_000)])
def test_the_bandwidth_is_that_of_the_recording_not_of_the_file(from_hz: int, expected_hz: float) -> None:
    recorded = noise(2.0, rate_hz=from_hz)
    stored = np.rint(soxr.resample(recorded, from_hz, RATE) * 32_768) / 32_768
    assert bandwidth_hz(stored, rate_hz=RATE) == pytest.approx(expected_hz, rel=0.03)


def test_files_narrower_than_their_rate_are_noted(tmp_path: Path) -> None:
    make_folder(tmp_path)
    write_wav(tmp_path / "speech" / "cy_2.wav", soxr.resample(noise(1.0), 8_000, RATE), rate_hz=RATE)
    (remark,) = survey(tmp_path)["notes"]
    assert remark.startswith("1 of 4 speech files hold little above 3")


def test_a_signal_shorter_than_a_spectrum_is_measured() -> None:
    assert 0.0 < measure(np.ones(3, np.float32), rate_hz=RATE).bandwidth_hz <= RATE / 2


def test_a_folder_that_a_study_cannot_use_is_described_and_why_is_said(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "speech" / "ann_1.wav").unlink()
    document = survey(tmp_path)
    assert document["splits"]["unsplit"]["speech"]["files"] == 2
    assert "at least 3 people" in document["notes"][0]


def test_pairs_that_are_alike_are_noted_and_have_no_snr(tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        write_wav(tmp_path / side / "a.wav", noise(0.1), rate_hz=RATE)
    document = survey(tmp_path)
    assert document["pairs"]["snr_db"] is None
    assert "1 of 1 pairs are the same sound, clean and noisy" in document["notes"]


def test_pairs_of_unequal_rate_or_length_and_silence_are_refused(tmp_path: Path) -> None:
    for side in ("clean", "noisy"):
        write_wav(tmp_path / side / "a.wav", noise(0.1), rate_hz=RATE)
    soundfile.write(tmp_path / "noisy" / "a.wav", noise(0.1), 8_000)
    assert "has 8000 Hz, clean 16000 Hz" in refusal(tmp_path)
    soundfile.write(tmp_path / "noisy" / "a.wav", noise(0.2), RATE)
    assert "cut both to one length" in refusal(tmp_path)
    soundfile.write(tmp_path / "noisy" / "a.wav", np.zeros(1_600), RATE)
    assert "is silent" in refusal(tmp_path)


def test_the_document_is_plain_json_and_progress_counts_every_file(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    document = survey(make_voicebank(tmp_path), on_progress=lambda done, total: seen.append((done, total)))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema"] == "npuexplore.data/1"
    assert seen == [(n, 14) for n in range(1, 15)]
