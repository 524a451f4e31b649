"""Sound files and folders that cannot be used: one sentence that names the file, nothing left behind."""

import os
import shutil

import numpy as np
import pytest
from command_line import everything_in

from npuexplore.pipeline import study as study_module


def spoil_stereo(path):
    import soundfile

    soundfile.write(path, np.zeros((16_000, 2)) + 0.1, 16_000)


def spoil_nan(path):
    import soundfile

    soundfile.write(path, np.full(16_000, np.nan, np.float32), 16_000, subtype="FLOAT")


def spoil_rate(path):
    import soundfile

    soundfile.write(path, np.zeros(4_000) + 0.1, 4_000)


def spoil_truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def spoil_directory(path):
    path.unlink()
    path.mkdir()


SPOILERS = {
    "2 channels": spoil_stereo,
    "not numbers": spoil_nan,
    "sample rate of 4000 Hz": spoil_rate,
    "truncated": spoil_truncated,
    "0 bytes": lambda path: os.truncate(path, 0),
    "cannot be read as WAV": lambda path: path.write_text("no sound at all"),
}


@pytest.fixture
def spoilt(inside, recordings):
    """A function that spoils one speech file of a copy of the recordings."""

    def spoil(problem):
        shutil.copytree(recordings, inside / "data")
        SPOILERS[problem](inside / "data" / "speech" / "bert_1.wav")
        return everything_in(inside)

    return spoil


@pytest.mark.parametrize("problem", SPOILERS)
def test_a_study_with_a_bad_sound_file_leaves_nothing_behind(cli, spoilt, inside, tiny, problem):
    before = spoilt(problem)
    for verb in (("study", "run"), ("train",)):
        outcome = cli(*verb, tiny, "--data", "data")
        assert outcome.code == 3
        assert outcome.sentence.startswith("data/speech/bert_1.wav: ")
        assert problem in outcome.sentence
    assert everything_in(inside) == before


@pytest.mark.parametrize("problem", SPOILERS)
def test_inspecting_enhancing_and_scoring_a_bad_sound_file_is_bad_input(
    cli, spoilt, finished, inside, problem
):
    before = spoilt(problem)
    bad = "data/speech/bert_1.wav"
    for arguments in (
        ("data", "inspect", "data"),
        ("enhance", f"{finished}:baseline", bad, "out.wav"),
        ("evaluate", f"{finished}:baseline", "--clean", "data/speech", "--noisy", "data/speech"),
    ):
        outcome = cli(*arguments)
        assert outcome.code == 3
        assert outcome.sentence.startswith(bad)
        assert problem in outcome.sentence
        assert outcome.out == ""
    assert everything_in(inside) == before


def test_a_file_name_that_is_no_text_is_bad_input(cli, inside, tiny, recordings):
    shutil.copytree(recordings, inside / "data")
    try:
        os.rename("data/speech/bert_1.wav", b"data/speech/bert_\xff.wav")
    except OSError:
        pytest.skip("this file system keeps no such name")
    for arguments in (("study", "run", tiny, "--data", "data"), ("data", "inspect", "data")):
        outcome = cli(*arguments)
        assert outcome.code == 3
        assert "is not UTF-8; rename it" in outcome.sentence


def test_a_study_whose_data_was_mended_goes_on_without_ado(
    cli, spoilt, inside, tiny, recordings, monkeypatch
):
    spoilt("truncated")
    assert cli("study", "run", tiny, "--data", "data").code == 3
    shutil.copy(recordings / "speech" / "bert_1.wav", "data/speech/bert_1.wav")
    monkeypatch.setattr(study_module, "_run_stages", lambda *_: None)
    assert cli("train", tiny, "--data", "data").code == 0


@pytest.mark.parametrize("shape", ["nothing", "no noise", "two speakers", "two noises", "pairs alone"])
def test_a_folder_that_cannot_teach_is_bad_input(cli, inside, tiny, recordings, shape):
    data = inside / "data"
    if shape == "nothing":
        data.mkdir()
    else:
        shutil.copytree(recordings, data)
    if shape == "no noise":
        shutil.rmtree(data / "noise")
    if shape == "two speakers":
        for path in (*data.glob("speech/anna*"), *data.glob("speech/bert*")):
            path.unlink()
    if shape == "two noises":
        for number in (0, 1):
            (data / "noise" / f"hiss_{number}.wav").unlink()
    if shape == "pairs alone":
        shutil.rmtree(data / "noise")
        (data / "speech").rename(data / "clean")
        shutil.copytree(data / "clean", data / "noisy")
    outcome = cli("study", "run", tiny, "--data", data)
    assert outcome.code == 3
    assert outcome.sentence
    assert not (inside / "runs" / "tiny").exists()


def rewrite(folder, change):
    """Replaces every sound of a folder by what `change` makes of it."""
    import soundfile

    for path in folder.glob("*.wav"):
        samples, rate_hz = soundfile.read(path, dtype="float32")
        soundfile.write(path, change(samples), rate_hz, subtype="FLOAT")


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("verb", [("study", "run"), ("retrain",)])
def test_less_sound_than_one_training_mixture_is_bad_input(cli, inside, tiny, recordings, what, verb):
    shutil.copytree(recordings, inside / "data")
    rewrite(inside / "data" / what, lambda samples: samples[4_000:4_200])
    before = everything_in(inside)
    outcome = cli(*verb, tiny, "--data", "data")
    assert outcome.code == 3
    assert f"s of {what} to train on; 0.24 s are needed" in outcome.sentence
    assert everything_in(inside) == before


@pytest.mark.parametrize("what", ["speech", "noise"])
@pytest.mark.parametrize("problem", ["silent", "faint", "infinite"])
def test_sound_that_says_nothing_is_bad_input(cli, inside, tiny, recordings, what, problem):
    changes = {
        "silent": lambda samples: 0.0 * samples,
        "faint": lambda samples: np.float32(1e-30) * samples,
        "infinite": lambda samples: samples + np.float32(np.inf),
    }
    shutil.copytree(recordings, inside / "data")
    rewrite(inside / "data" / what, changes[problem])
    before = everything_in(inside)
    outcome = cli("study", "run", tiny, "--data", "data")
    assert outcome.code == 3
    assert outcome.sentence.startswith(f"data/{what}/")
    assert everything_in(inside) == before
