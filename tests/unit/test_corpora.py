from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpora import HEADER, RATE, load, make_folder, make_pairs, refusal, sound, speakers_of
from pydantic import ValidationError

from npuexplore.audio.sources import SplitSpec, load_corpus
from npuexplore.audio.wav import write_wav


def test_the_smallest_speakers_are_kept_back_and_none_is_in_two_splits(tmp_path: Path) -> None:
    make_folder(tmp_path, speakers=tuple("abcdefgh"))
    for speaker in "cdefgh":
        sound(tmp_path / "speech" / f"{speaker}_001.wav", seconds=101.0)
    train, validation, test = speakers_of(load(tmp_path))
    assert test == {"a", "b", "c"}  # a and b together say less than a minute
    assert validation == {"d"}
    assert train == {"e", "f", "g", "h"}


def test_noise_is_kept_back_from_the_ends_of_every_large_kind(tmp_path: Path) -> None:
    make_folder(tmp_path, noises=5)
    for index in range(4):
        sound(tmp_path / "noise" / "rain" / f"{index}.wav")
    sound(tmp_path / "noise" / "bell.wav")
    corpus = load(tmp_path)
    assert [r.name for r in corpus.test.noise] == ["rain/3", "street_04"]
    assert [r.name for r in corpus.validation.noise] == ["rain/0", "street_00"]
    assert {r.group for r in corpus.train.noise} == {"bell", "rain", "street"}


def test_noise_kinds_that_are_all_small_are_taken_together(tmp_path: Path) -> None:
    make_folder(tmp_path, noises=0)
    for name in ("bell", "fan", "rain"):
        sound(tmp_path / "noise" / f"{name}.wav")
    corpus = load(tmp_path)
    assert [s.noise[0].name for s in (corpus.validation, corpus.train, corpus.test)] == [
        "bell",
        "fan",
        "rain",
    ]


def test_named_speakers_and_noises_are_kept_back(tmp_path: Path) -> None:
    make_folder(tmp_path)
    held_out = {"test_noise": ["street_01"], "validation_noise": ["street_02", "street_03"]}
    corpus = load(tmp_path, test_speakers=["di"], validation_speakers=["cy"], **held_out)
    assert speakers_of(corpus) == [{"ann", "bob"}, {"cy"}, {"di"}]
    assert [r.name for r in corpus.train.noise] == ["street_00"]
    assert [r.name for r in corpus.validation.noise] == ["street_02", "street_03"]
    assert [r.name for r in corpus.test.noise] == ["street_01"]


def test_a_noise_named_for_two_splits_is_refused(tmp_path: Path) -> None:
    message = refusal(make_folder(tmp_path), test_noise=["street_01"], validation_noise=["street_0"])
    assert "noise street_01 is both in" in message


def test_three_people_are_enough_however_little_they_say(tmp_path: Path) -> None:
    train, validation, test = speakers_of(load(make_folder(tmp_path, speakers=("ann", "bob", "cy"))))
    assert (train, validation, test) == ({"cy"}, {"bob"}, {"ann"})


def test_one_person_under_two_names_is_never_parted(tmp_path: Path) -> None:
    make_folder(tmp_path, speakers=("ann_en", "ann_es", "bob", "cy", "di"))
    train, validation, test = speakers_of(
        load(tmp_path, same_speaker=[["ann_en", "ann_es"]], test_speakers=["ann_es"])
    )
    assert test == {"ann_en", "ann_es"}
    assert not (train | validation) & test


def test_the_manifest_can_say_that_two_speakers_are_one_person(tmp_path: Path) -> None:
    make_folder(tmp_path)
    rows = ["speech/ann_000.wav,CC0,ann_en,Ann,,", "speech/bob_000.wav,CC0,ann_es,Ann,test,"]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    corpus = load(tmp_path)
    assert speakers_of(corpus)[2] == {"ann_en", "ann_es"}
    assert corpus.test.speech[0].licence == "CC0"
    assert corpus.train.speech[0].licence == "not stated"


def test_a_split_in_the_manifest_holds(tmp_path: Path) -> None:
    make_folder(tmp_path)
    rows = [
        "speech/di_000.wav,CC0,di,,test,",
        "speech/ann_000.wav,CC0,ann,,validation,",
        "noise/street_01.wav,CC0,street,,test,",
        "noise/street_02.wav,CC0,street,,validation,",
    ]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    corpus = load(tmp_path)
    assert speakers_of(corpus) == [{"bob", "cy"}, {"ann"}, {"di"}]
    assert [r.name for r in corpus.test.noise] == ["street_01"]
    assert [r.name for r in corpus.train.noise] == ["street_00", "street_03"]


def test_a_speaker_in_two_splits_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    sound(tmp_path / "speech" / "ann_001.wav")
    rows = ["speech/ann_000.wav,CC0,ann,,train,", "speech/ann_001.wav,CC0,ann,,test,"]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    assert "speaker ann is both in train and in test" in refusal(tmp_path)


def test_one_person_asked_for_in_two_splits_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    message = refusal(
        tmp_path, same_speaker=[["ann", "bob"]], test_speakers=["ann"], validation_speakers=["bob"]
    )
    assert "both in" in message


def test_a_name_in_both_held_out_sets_is_refused_by_the_spec() -> None:
    with pytest.raises(ValidationError, match="ann is in both"):
        SplitSpec(test_speakers=("ann",), validation_speakers=("ann",))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("test_speakers", ["anne"]),
        ("validation_speakers", ["anne"]),
        ("same_speaker", [["anne", "bob"]]),
    ],
)
def test_an_unknown_speaker_is_answered_by_the_nearest(tmp_path: Path, key: str, value: object) -> None:
    message = refusal(make_folder(tmp_path), **{key: value})
    assert key in message
    assert message.endswith("is ann")


def test_an_unknown_noise_is_answered_by_the_nearest(tmp_path: Path) -> None:
    assert "street_00" in refusal(make_folder(tmp_path), test_noise=["stret_00"])


@pytest.mark.parametrize("speakers", [("ann",), ("ann", "bob")])
def test_too_few_people_to_keep_apart_are_refused(tmp_path: Path, speakers: tuple[str, ...]) -> None:
    assert "at least 3 people" in refusal(make_folder(tmp_path, speakers=speakers))


def test_too_few_noises_to_keep_apart_are_refused(tmp_path: Path) -> None:
    assert "at least 3 files" in refusal(make_folder(tmp_path, noises=2))


def test_a_missing_an_empty_and_a_foreign_folder_are_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "holds neither" in refusal(tmp_path)
    sound(tmp_path / "song.wav")
    assert "holds neither" in refusal(tmp_path)


@pytest.mark.parametrize(("there", "missing"), [("speech", "noise"), ("noise", "speech")])
def test_half_a_corpus_is_refused(tmp_path: Path, there: str, missing: str) -> None:
    make_pairs(tmp_path / "set")
    sound(tmp_path / there / "ann_000.wav")
    assert f"no {missing}/" in refusal(tmp_path)


def test_folders_without_sound_are_refused(tmp_path: Path) -> None:
    (tmp_path / "speech").mkdir()
    (tmp_path / "noise").mkdir()
    (tmp_path / "speech" / "readme.txt").write_text("none yet")
    assert "holds no .wav" in refusal(tmp_path)


def test_a_silent_file_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path)
    write_wav(tmp_path / "speech" / "ann_001.wav", np.zeros(100), rate_hz=RATE)
    assert "is silent" in refusal(tmp_path)


def test_a_file_so_faint_that_its_energy_vanishes_is_silent(tmp_path: Path) -> None:
    import soundfile

    make_folder(tmp_path)
    path = tmp_path / "speech" / "ann_001.wav"
    soundfile.write(path, np.full(100, 1e-30, np.float32), RATE, subtype="FLOAT")
    assert "is silent" in refusal(tmp_path)
    soundfile.write(path, np.full(100, 1e-7, np.float32), RATE, subtype="FLOAT")
    load(tmp_path)


def test_progress_counts_every_file_once(tmp_path: Path) -> None:
    make_folder(tmp_path)
    make_pairs(tmp_path / "set")
    seen: list[tuple[int, int]] = []
    load_corpus(
        tmp_path, rate_hz=RATE, split=SplitSpec(), on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n, 12) for n in range(1, 13)]


def test_loading_twice_gives_the_same_corpus(tmp_path: Path) -> None:
    make_folder(tmp_path)
    first, again = (
        [(r.name, r.group, r.samples.tobytes()) for s in (c.train, c.validation, c.test) for r in s.speech]
        for c in (load(tmp_path), load(tmp_path))
    )
    assert first == again
