from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from npuexplore.audio.manifest import read_manifest
from npuexplore.audio.mixtures import fixed_mixtures
from npuexplore.audio.sources import Corpus, SplitSpec, load_corpus, load_pairs, require_training
from npuexplore.audio.wav import write_wav
from npuexplore.errors import BadInput

RATE = 8_000
HEADER = "file,licence,speaker_or_kind,person,split,evaluation_only"


def sound(path: Path, *, seconds: float = 0.1, seed: int = 0) -> None:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    write_wav(path, samples, rate_hz=RATE)


def make_folder(
    folder: Path, speakers: tuple[str, ...] = ("ann", "bob", "cy", "di"), noises: int = 4
) -> Path:
    """Speech of 0.1, 0.2, 0.3... seconds by each speaker in turn, and steady noise of one kind."""
    for index, speaker in enumerate(speakers):
        sound(folder / "speech" / f"{speaker}_000.wav", seconds=0.1 * (index + 1))
    for index in range(noises):
        sound(folder / "noise" / f"street_{index:02d}.wav")
    return folder


def make_pairs(folder: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    for name in names:
        sound(folder / "clean" / f"{name}.wav", seed=1)
        sound(folder / "noisy" / f"{name}.wav", seed=2)
    return folder


def load(folder: Path, **split: object) -> Corpus:
    return load_corpus(folder, rate_hz=RATE, split=SplitSpec.model_validate(split))


def refusal(folder: Path, **split: object) -> str:
    with pytest.raises(BadInput) as caught:
        load(folder, **split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def speakers_of(corpus: Corpus) -> list[set[str]]:
    return [{r.group for r in split.speech} for split in (corpus.train, corpus.validation, corpus.test)]


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
