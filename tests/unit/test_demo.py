from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npuexplore.audio import demo, demo_files, espeak
from npuexplore.audio.demo import BABBLE_VOICES, TEST_VOICES, TRAIN_VOICES, VALIDATION_VOICES, demo_corpus
from npuexplore.audio.demo_files import write_demo
from npuexplore.audio.espeak import Speaker, Voice
from npuexplore.audio.noises import MAKERS
from npuexplore.audio.sentences import ENGLISH, OTHERS, sentence
from npuexplore.audio.sources import Corpus, Split, SplitSpec, load_corpus
from npuexplore.errors import BadInput, EnvironmentLacking

RATE = 16_000
ALL_VOICES = (
    *TRAIN_VOICES,
    *VALIDATION_VOICES,
    *TEST_VOICES,
    *(v for vs in BABBLE_VOICES.values() for v in vs),
)


@pytest.fixture
def wheel() -> None:
    pytest.importorskip("espeakng_loader", reason='needs the extra: pip install ".[demo]"')


@pytest.fixture(scope="module")
def small() -> Corpus:
    pytest.importorskip("espeakng_loader", reason='needs the extra: pip install ".[demo]"')
    return demo_corpus(rate_hz=RATE, seed=1, train_minutes=0.3, held_out_minutes=0.1)


def bytes_of(corpus: Corpus) -> list[bytes]:
    splits = (corpus.train, corpus.validation, corpus.test)
    return [r.samples.tobytes() for split in splits for r in (*split.speech, *split.noise)]


def named_samples(corpus: Corpus) -> dict[tuple[str, ...], np.ndarray]:
    return {
        (split, r.name, r.group, r.licence): r.samples
        for split in ("train", "validation", "test")
        for r in (*getattr(corpus, split).speech, *getattr(corpus, split).noise)
    }


def test_no_voice_speaks_in_two_places() -> None:
    variants = [voice.variant for voice in ALL_VOICES]
    assert len(variants) == len(set(variants))
    assert len(TRAIN_VOICES) >= 12
    assert min(len(VALIDATION_VOICES), len(TEST_VOICES)) >= 2


def test_test_noise_has_kinds_that_training_never_heard() -> None:
    kinds = {split: set(kinds) for split, kinds in demo.NOISE_KINDS.items()}
    assert {"rain", "fan"} <= kinds["test"] - kinds["train"]
    assert len(kinds["test"] & kinds["train"]) >= 3
    assert set().union(*kinds.values()) == {*MAKERS, "babble"}


def test_there_is_enough_to_say() -> None:
    assert len(set(ENGLISH)) >= 60
    rng = np.random.default_rng(0)
    said = {sentence("en-us", rng) for _ in range(600)}
    assert len(said - set(ENGLISH)) > 150
    assert {voice.language.split("-")[0] for voice in ALL_VOICES} <= {"en", *OTHERS}


def test_every_voice_and_kind_is_heard_even_in_a_small_corpus(small: Corpus) -> None:
    assert {r.group for r in small.train.speech} == {f"{v.language}_{v.variant}" for v in TRAIN_VOICES}
    for split in ("train", "validation", "test"):
        assert {r.group for r in getattr(small, split).noise} == set(demo.NOISE_KINDS[split])
    seconds = sum(r.samples.size for r in small.train.speech) / RATE
    assert seconds >= 0.3 * 60.0


def test_every_recording_is_at_the_level_and_within_full_scale(small: Corpus) -> None:
    for split in (small.train, small.validation, small.test):
        for recording in (*split.speech, *split.noise):
            assert recording.samples.dtype == np.float32
            assert np.abs(recording.samples).max() <= 1.0
            assert 0.01 < recording.samples.std() < 0.0501, recording.name


def test_equal_seeds_give_equal_samples_in_the_same_process(small: Corpus) -> None:
    again = demo_corpus(rate_hz=RATE, seed=1, train_minutes=0.3, held_out_minutes=0.1)
    assert bytes_of(again) == bytes_of(small)


def test_another_seed_gives_other_samples(small: Corpus) -> None:
    other = demo_corpus(rate_hz=RATE, seed=2, train_minutes=0.3, held_out_minutes=0.1)
    assert not set(bytes_of(other)) & set(bytes_of(small))


@pytest.mark.usefixtures("wheel")
def test_breath_noise_does_not_depend_on_the_clock() -> None:
    breathy = Voice("en", "f3")
    said = []
    for _ in range(3):
        with Speaker() as speaker:
            said.append([speaker.say("She sells sea shells.", breathy, pitch=50).tobytes() for _ in range(3)])
    assert said[0] == said[1] == said[2]


def test_progress_counts_every_recording_once() -> None:
    seen: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "Speaker", SilentSpeaker)
        corpus = demo_corpus(
            rate_hz=8_000,
            seed=0,
            train_minutes=0.1,
            held_out_minutes=0.1,
            on_progress=lambda n, m: seen.append((n, m)),
        )
    count = len(bytes_of(corpus))
    assert seen == [(n, count) for n in range(1, count + 1)]


class SilentSpeaker:
    """A second of noise for every sentence, without a speech engine."""

    rate_hz = 22_050

    def __enter__(self) -> SilentSpeaker:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, text: str, _voice: Voice, *, pitch: int, pitch_range: int) -> np.ndarray:
        noise = np.random.default_rng([len(text), pitch, pitch_range]).standard_normal(self.rate_hz)
        return (3_000 * noise).astype(np.int16)


@pytest.mark.parametrize("kind", sorted(MAKERS))
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_a_noise_is_finite_levelled_and_its_seed_decides_it(kind: str, rate_hz: int) -> None:
    make = MAKERS[kind]
    first, again, other = (make(rate_hz, rate_hz, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert first.shape == (rate_hz,)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.abs(first).max() <= 1.0
    assert 0.01 < first.std() < 0.0501


def test_hum_has_its_power_at_multiples_of_the_mains() -> None:
    spectrum = np.abs(np.fft.rfft(MAKERS["hum"](RATE * 4, RATE, np.random.default_rng(0)))) ** 2
    frequencies = np.arange(spectrum.size) / 4.0
    mains_hz = frequencies[20 + np.argmax(spectrum[20:1_300])]
    base = 50.0 if abs(mains_hz / 50.0 - round(mains_hz / 50.0)) < 0.02 else 60.0
    near = np.abs(frequencies / base - np.round(frequencies / base)) * base < 0.02 * frequencies + 1.0
    assert spectrum[near & (frequencies < 2_000)].sum() > 0.8 * spectrum.sum()


def test_without_the_extra_one_sentence_names_it_and_the_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(EnvironmentLacking, match=r'pip install "npuexplore\[demo\]", or bring .* --data DIR'):
        demo_corpus(rate_hz=RATE, seed=0)


def test_importing_the_demo_does_not_import_the_engine() -> None:
    code = "import npuexplore.audio.demo, sys; sys.exit('espeakng_loader' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("wheel")
def test_a_wheel_deep_in_long_folders_still_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, data = espeak._locate()
    deep = tmp_path / ("long-folder-name-ä " * 5) / ("x" * 90)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(data)
    monkeypatch.setattr(espeak, "_locate", lambda: (library, deep / "espeak-ng-data"))
    with Speaker() as speaker:
        assert speaker.rate_hz == 22_050
        assert speaker.say("Yes.", Voice("en-us", "m1"), pitch=50).size > 1_000


@pytest.mark.usefixtures("wheel")
def test_a_broken_data_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library, _ = espeak._locate()
    monkeypatch.setattr(espeak, "_locate", lambda: (library, tmp_path))
    with pytest.raises(EnvironmentLacking, match="cannot read its data"), Speaker():
        pass


def test_a_broken_library_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak, "_locate", lambda: (tmp_path / "lib.so", tmp_path))
    with pytest.raises(EnvironmentLacking, match="stopped"), Speaker():
        pass


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("voice", [Voice("en-us", "nobody"), Voice("xx-yy", "m1")])
def test_a_voice_that_is_not_installed_is_one_sentence(voice: Voice) -> None:
    with Speaker() as speaker, pytest.raises(EnvironmentLacking, match="has no voice"):
        speaker.say("Yes.", voice, pitch=50)


@pytest.mark.usefixtures("wheel")
def test_every_voice_is_installed() -> None:
    with Speaker() as speaker:
        for voice in ALL_VOICES:
            said = speaker.say("Seven, 8.", voice, pitch=voice.pitch)
            assert said.size > 5_000, voice.name
            assert 1_000 < np.abs(said.astype(int)).max() < 32_767, voice.name


def test_a_written_demo_is_read_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "Speaker", SilentSpeaker)
    folder = tmp_path / "new" / "demo"
    written = write_demo(folder, rate_hz=8_000, seed=3, minutes=0.2)
    read = load_corpus(folder, rate_hz=8_000, split=SplitSpec())
    assert named_samples(read).keys() == named_samples(written).keys()
    for name, samples in named_samples(read).items():
        np.testing.assert_allclose(samples, named_samples(written)[name], atol=1 / 32_768)
    assert sorted(p.name for p in folder.iterdir()) == ["LICENCE.txt", "manifest.csv", "noise", "speech"]
    assert [p.name for p in folder.parent.iterdir()] == ["demo"]


def test_equal_seeds_write_equal_files_and_hashes_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "Speaker", SilentSpeaker)
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        write_demo(tmp_path / name, rate_hz=8_000, seed=seed, minutes=0.2)
    one, two, three = (
        {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        for folder in (tmp_path / "one", tmp_path / "two", tmp_path / "three")
    )
    assert one == two
    assert one.keys() == three.keys()
    assert one != three
    rows = list(csv.DictReader((tmp_path / "one" / "manifest.csv").read_text().splitlines()))
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    for row in rows:
        content = one[Path(row["file"])]
        assert (row["sha256"], int(row["bytes"])) == (hashlib.sha256(content).hexdigest(), len(content))


def test_minutes_are_of_all_splits_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, float] = {}
    monkeypatch.setattr(
        demo_files, "demo_corpus", lambda **said: asked.update(said) or Corpus(Split(), Split(), Split())
    )
    write_demo(tmp_path / "demo", minutes=12.0)
    assert asked["train_minutes"] + 3 * asked["held_out_minutes"] == pytest.approx(12.0)


def test_a_folder_with_something_in_it_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadInput, match="not an empty folder"):
        write_demo(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_a_broken_synthesis_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(EnvironmentLacking):
        write_demo(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []
