from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpora import HEADER, RATE, load, make_folder, make_pairs, refusal, sound, speakers_of

from npuexplore.audio.manifest import read_manifest
from npuexplore.audio.mixtures import fixed_mixtures
from npuexplore.audio.sources import load_pairs, require_training
from npuexplore.errors import BadInput


def test_pairs_beside_speech_are_for_evaluation_only(tmp_path: Path) -> None:
    make_folder(tmp_path)
    make_pairs(tmp_path / "chime")
    corpus = load(tmp_path)
    assert (corpus.pairs_name, [p.name for p in corpus.pairs]) == ("chime", ["a", "b"])
    assert corpus.pairs_evaluation_only
    rows = [f"chime/{side}/{name}.wav,CC0,chime,,,false" for side in ("clean", "noisy") for name in "ab"]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    assert not load(tmp_path).pairs_evaluation_only


def test_pairs_alone_can_be_scored_but_not_trained_on(tmp_path: Path) -> None:
    corpus = load(make_pairs(tmp_path))
    assert len(corpus.pairs) == 2
    assert not corpus.pairs_evaluation_only
    with pytest.raises(BadInput, match="only pairs to score"):
        require_training(corpus, seconds=1.0, rate_hz=RATE)


def test_a_corpus_with_speech_and_noise_can_be_trained_on(tmp_path: Path) -> None:
    corpus = load(make_folder(tmp_path))
    seconds = sum(recording.samples.size for recording in corpus.train.noise) / RATE
    assert require_training(corpus, seconds=seconds, rate_hz=RATE) is corpus
    with pytest.raises(BadInput, match=r"hold [0-9.]+ s of noise to train on; [0-9.]+ s are needed"):
        require_training(corpus, seconds=1.01 * seconds, rate_hz=RATE)


def test_pairs_alone_are_for_evaluation_only_where_the_manifest_says_so(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    (tmp_path / "manifest.csv").write_text(f"{HEADER}\nclean/a.wav,CC0,x,,,true")
    assert load(tmp_path).pairs_evaluation_only


def test_one_of_several_folders_of_pairs_is_chosen_by_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_pairs(tmp_path / name)
    assert "several folders of pairs (one, two)" in refusal(tmp_path)
    assert load(tmp_path, pairs="two").pairs_name == "two"
    assert "got 'three'" in refusal(tmp_path, pairs="three")


def test_a_pair_without_a_partner_is_refused(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    sound(tmp_path / "noisy" / "c.wav")
    message = refusal(tmp_path)
    assert "noisy: c has no partner in" in message
    assert "clean; pairs bear" in message


def test_pairs_can_be_given_as_two_folders(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    pairs = load_pairs(tmp_path / "clean", tmp_path / "noisy", rate_hz=RATE)
    assert [pair.name for pair in pairs] == ["a", "b"]
    assert not np.array_equal(pairs[0].clean, pairs[0].noisy)
    with pytest.raises(BadInput, match="no such folder"):
        load_pairs(tmp_path / "clean", tmp_path / "loud", rate_hz=RATE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"hold no \.wav"):
        load_pairs(tmp_path / "empty", tmp_path / "empty", rate_hz=RATE)


def test_a_pair_of_unequal_lengths_is_refused(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    sound(tmp_path / "noisy" / "a.wav", seconds=0.2)
    assert "cut both to one length" in refusal(tmp_path)


@pytest.mark.parametrize(
    "name", ["../secret.wav", "/etc/passwd", "speech/../../secret.wav", "C:/secret.wav", "..\\s.wav", ""]
)
def test_a_manifest_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path / "data")
    sound(tmp_path / "secret.wav")
    (folder / "manifest.csv").write_text(f'{HEADER}\n"{name}",CC0,ann,,,')
    assert "manifest.csv:2: file" in refusal(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,licence\nspeech/ann_000.wav,CC0", "column speaker_or_kind is missing"),
        ("", "column file is missing"),
        (f"{HEADER}\nspeech/nobody.wav,CC0,ann,,,", "manifest.csv:2: speech/nobody.wav does not exist"),
        (f"{HEADER}\nspeech/ann_000.wav,CC0,,,,", "manifest.csv:2: speaker_or_kind is empty"),
        (f"{HEADER}\nspeech/ann_000.wav,CC0,ann,,practice,", "got split 'practice'"),
        (f"{HEADER}\nspeech/ann_000.wav,CC0,ann,,,maybe", "got evaluation_only 'maybe'"),
        (f"{HEADER}\nspeech/ann_000.wav,CC0,ann,,,,7", "more cells"),
        (
            f"{HEADER}\n" + "speech/ann_000.wav,CC0,ann,,,\n" * 2,
            "manifest.csv:3: file speech/ann_000.wav is listed twice",
        ),
        (f'{HEADER}\n"speech/ann', "cannot be read as UTF-8 CSV"),
    ],
)
def test_a_broken_manifest_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    make_folder(tmp_path)
    (tmp_path / "manifest.csv").write_text(text)
    assert says in refusal(tmp_path)


def test_a_manifest_that_is_not_text_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00file")
    assert "UTF-8" in refusal(tmp_path)


def test_a_folder_without_manifest_has_no_entries(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {}


def test_what_a_manifest_keeps_for_testing_is_never_trained_on(tmp_path: Path) -> None:
    make_folder(tmp_path, noises=5)
    rows = ["speech/di_000.wav,CC0,di,,test,", "noise/street_01.wav,CC0,street,,test,"]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    corpus = load(tmp_path, test_speakers=["ann"], test_noise=["street_03"])
    assert speakers_of(corpus) == [{"cy"}, {"bob"}, {"ann"}]
    assert [[r.name for r in s.noise] for s in (corpus.train, corpus.validation, corpus.test)] == [
        ["street_02", "street_04"],
        ["street_00"],
        ["street_03"],
    ]


@pytest.mark.parametrize("also", [{}, {"test_speakers": ["bob"], "test_noise": ["street_02"]}])
@pytest.mark.parametrize("wrong", [{"validation_speakers": ["di"]}, {"validation_noise": ["street_01"]}])
def test_what_a_manifest_keeps_for_testing_is_not_chosen_with(
    tmp_path: Path, wrong: dict[str, object], also: dict[str, object]
) -> None:
    make_folder(tmp_path)
    rows = ["speech/di_000.wav,CC0,di,,test,", "noise/street_01.wav,CC0,street,,test,"]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    assert "is both in test" in refusal(tmp_path, **wrong, **also)


def test_a_study_may_choose_other_voices_than_the_manifest_and_those_of_another_folder_do_not_matter(
    tmp_path: Path,
) -> None:
    make_folder(tmp_path)
    said = {"ann": "train", "bob": "train", "cy": "validation", "di": "test"}
    rows = [f"speech/{name}_000.wav,CC0,{name},,{split}," for name, split in said.items()]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    assert speakers_of(load(tmp_path)) == [{"ann", "bob"}, {"cy"}, {"di"}]
    assert speakers_of(load(tmp_path, validation_speakers=["bob"])) == [{"ann", "cy"}, {"bob"}, {"di"}]
    elsewhere = {"test_speakers": ["zoe"], "validation_speakers": ["yan"]}
    assert speakers_of(load(tmp_path, **elsewhere)) == [{"ann", "bob"}, {"cy"}, {"di"}]
    assert "test_speakers" in refusal(tmp_path, test_speakers=["zoe"], validation_speakers=["bob"])


def test_speech_and_noise_for_evaluation_only_are_tested_on_and_stay_marked(tmp_path: Path) -> None:
    make_folder(tmp_path)
    rows = ["speech/di_000.wav,CC0,di,,,true", "noise/street_01.wav,CC0,street,,test,true"]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    corpus = load(tmp_path)
    assert [(r.name, r.evaluation_only) for r in corpus.test.speech] == [("di_000", True)]
    assert [(r.name, r.evaluation_only) for r in corpus.test.noise] == [("street_01", True)]
    for split in (corpus.train, corpus.validation):
        assert not any(r.evaluation_only for r in (*split.speech, *split.noise))
    mixed = fixed_mixtures(corpus.test, count=1, seconds=0.1, rate_hz=RATE, snr_db=(0.0, 0.0), seed=1)
    assert mixed[0].evaluation_only


def test_sound_for_evaluation_only_that_is_to_be_trained_on_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    (tmp_path / "manifest.csv").write_text(f"{HEADER}\nspeech/ann_000.wav,CC0,ann,,train,true")
    assert "manifest.csv:2: evaluation_only is true and split is train" in refusal(tmp_path)
