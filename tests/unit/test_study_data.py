import json
import os
import shutil

import numpy as np
import pytest
import tiny_study

from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.audio.pool import segment_pair
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError
from npuexplore.pipeline import data, segments
from npuexplore.pipeline.data import (
    calibration_set,
    credits_of,
    data_document,
    evaluation_sets,
    gather,
)
from npuexplore.pipeline.problem import load_problem
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.segments import prepare_segments
from npuexplore.pipeline.timings import add_seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_study.write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    return load_problem(tiny_study.write_study(tmp_path_factory.mktemp("study")))


@pytest.fixture(scope="module")
def corpus(problem, folder):
    return gather(problem.study, problem.network, folder, on_progress=lambda *_: None)


def test_a_copy_of_the_data_is_the_same_data(problem, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    first = data_document(problem.study, folder)
    assert data_document(problem.study, tmp_path / "copy") == first
    assert first["files"] == 12
    assert str(folder) not in json.dumps(first)


def test_another_file_another_length_or_another_manifest_is_other_data(problem, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    seen = {data_document(problem.study, copy)["sha256"]}
    for change in (
        lambda: (copy / "speech" / "anna_0.wav").rename(copy / "speech" / "anna_9.wav"),
        lambda: os.truncate(copy / "noise" / "hiss_0.wav", 1_000),
        lambda: (copy / MANIFEST_NAME).write_text("file,licence,speaker_or_kind\n"),
        lambda: (copy / MANIFEST_NAME).write_text("file,licence,speaker_or_kind,split\n"),
    ):
        change()
        digest = data_document(problem.study, copy)["sha256"]
        assert digest not in seen
        seen.add(digest)


def test_a_file_that_is_no_sound_does_not_matter(problem, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "README.txt").write_text("hello")
    assert data_document(problem.study, copy) == data_document(problem.study, folder)


def test_a_study_of_recordings_asks_for_its_folder(problem, tmp_path):
    with pytest.raises(UsageError, match="--data FOLDER"):
        data_document(problem.study, None)
    with pytest.raises(BadInput, match="no such folder"):
        data_document(problem.study, tmp_path / "missing")


def test_a_study_of_demo_voices_needs_no_folder(problem):
    demo = problem.study.model_copy(update={"data": "demo"})
    assert data_document(demo, None) == {"kind": "demo"}


def test_demo_minutes_reach_the_synthesis(problem, monkeypatch):
    from npuexplore.audio import demo

    asked = {}
    monkeypatch.setattr(demo, "demo_corpus", lambda **arguments: asked.update(arguments) or pytest.skip)
    study = problem.study.model_copy(update={"data": "demo", "demo_minutes": 2.5, "seed": 9})
    monkeypatch.setattr(data, "require_training", lambda corpus, **_: corpus)
    gather(study, problem.network, None, on_progress=lambda *_: None)
    assert (asked["train_minutes"], asked["seed"], asked["rate_hz"]) == (2.5, 9, 16_000)


def test_what_is_scored_on_was_neither_trained_nor_calibrated_on(problem, corpus):
    groups = [{r.group for r in split.speech} for split in (corpus.train, corpus.validation, corpus.test)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    unseen = evaluation_sets(problem.study, problem.network, corpus)["unseen"]
    calibration = calibration_set(problem.study, problem.network, corpus)
    assert len(unseen) == len(calibration) == 2
    assert not any((a.clean == b.clean).all() for a in unseen for b in calibration)


def test_pairs_are_scored_where_there_are_any(problem, corpus):
    assert set(evaluation_sets(problem.study, problem.network, corpus)) == {"unseen"}
    with_pairs = type(corpus)(
        corpus.train,
        corpus.validation,
        corpus.test,
        pairs=calibration_set(problem.study, problem.network, corpus),
    )
    assert evaluation_sets(problem.study, problem.network, with_pairs)["pairs"] == with_pairs.pairs


def test_credits_are_the_licences_of_the_training_audio_each_once(corpus):
    assert credits_of(corpus) == ("not stated",)


def prepare(folder, problem, corpus, workers):
    """60 segments (three chunks) in `folder`; their folder and what the progress was told."""
    mixtures = problem.study.mixtures.model_copy(update={"pool_segments": 60})
    study = problem.study.model_copy(update={"mixtures": mixtures})
    heard = []
    made = prepare_segments(
        RunDirectory(folder),
        study,
        problem.network,
        corpus,
        workers=workers,
        on_progress=lambda *numbers: heard.append(numbers),
    )
    return made, heard


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, problem, corpus):
    return prepare(tmp_path_factory.mktemp("run"), problem, corpus, workers=1)


def test_segments_do_not_depend_on_how_many_workers_make_them(tmp_path, problem, corpus, prepared):
    one, heard = prepared
    two, _ = prepare(tmp_path, problem, corpus, workers=2)
    assert heard == [(25, 60), (50, 60), (60, 60)]
    for name in ("speech.npy", "noise.npy"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_a_segment_is_what_its_index_says(problem, corpus, prepared):
    expected = segment_pair(
        corpus.train, problem.study.mixtures.augmentation, 57, samples=15 * 256, rate_hz=16_000, seed=1
    )
    for name, samples in zip(("speech", "noise"), expected, strict=True):
        np.testing.assert_array_equal(np.load(prepared[0] / f"{name}.npy")[57], samples)


def test_segments_that_are_there_are_not_made_again(problem, corpus, prepared):
    folder, _ = prepared
    before = [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(folder.iterdir())]
    again, heard = prepare(folder.parents[1], problem, corpus, workers=1)
    assert [(path, path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(again.iterdir())] == before
    assert heard == []


def test_a_stopped_preparation_goes_on_after_its_finished_chunks(tmp_path, problem, corpus, prepared):
    half = tmp_path / "cache" / "segments.part"
    shutil.copytree(prepared[0], half)
    made = np.load(half / "made.npy")
    made[1] = 0
    np.save(half / "made.npy", made)
    speech = np.load(half / "speech.npy")
    speech[25:50] = 0
    np.save(half / "speech.npy", speech)
    whole, heard = prepare(tmp_path, problem, corpus, workers=1)
    assert len(heard) == 1
    assert (whole / "speech.npy").read_bytes() == (prepared[0] / "speech.npy").read_bytes()


def test_without_room_the_megabytes_are_said_and_nothing_stays(tmp_path, problem, corpus, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EnvironmentLacking, match=r"need 1 MB there \(No space left on device\); free room"):
        prepare(tmp_path, problem, corpus, workers=1)
    assert list((tmp_path / "cache").iterdir()) == []


def test_room_is_taken_by_writing_where_the_system_cannot_reserve_it(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate")
    segments._reserve(tmp_path / "x", (3, 700_000))
    array = np.load(tmp_path / "x" / "speech.npy")
    assert array.shape == (3, 700_000)
    assert array.dtype == np.int16
    assert not array.any()
    assert (tmp_path / "x" / "speech.npy").stat().st_blocks * 512 >= array.nbytes


def test_seconds_of_a_stage_add_up_over_resumes(tmp_path):
    run = RunDirectory(tmp_path)
    add_seconds(run, "baseline", 1.5)
    add_seconds(run, "search", 1.0)
    add_seconds(run, "baseline", 2.25)
    document = json.loads(run.timings.read_text())
    assert document["schema"] == "npuexplore.timings/1"
    assert document["seconds"] == {"baseline": 3.75, "search": 1.0}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"seconds": 3}', '{"seconds": {"a": "x"}}', '{"seconds": {"a": null}}']
)
def test_torn_timings_are_begun_anew(tmp_path, text):
    run = RunDirectory(tmp_path)
    run.timings.write_text(text)
    add_seconds(run, "search", 1.0)
    assert json.loads(run.timings.read_text())["seconds"] == {"search": 1.0}
