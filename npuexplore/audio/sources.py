"""Corpora: recorded speech and noise, kept apart by person and by file, and clean/noisy pairs to score on.

The layouts that `load_corpus` reads are those of `layouts` (WAV, FLAC, Ogg; any rate; subfolders allowed).

Babble noise made of real talkers stays where its files fall: its talkers are not known, so a voice of the
training babble may in principle be one of the test speakers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio.layouts import Layout, PairFiles, SoundFile, find_layout, items_of, paired, sound_files
from npuexplore.audio.manifest import SPLITS
from npuexplore.audio.splits import SplitSpec, split_noise, split_speech
from npuexplore.audio.wav import Stereo, read_audio
from npuexplore.errors import BadInput

__all__ = [
    "Corpus",
    "Pair",
    "Recording",
    "Split",
    "SplitSpec",
    "load_corpus",
    "load_enhanced",
    "load_pairs",
    "require_training",
    "sound_files",
]

Float32 = NDArray[np.float32]
LENGTH_SLACK_SECONDS = 0.032
"""How much an enhanced file may be longer or shorter than its noisy one: a window, where frames end."""

SILENT_PEAK = 2.0**-24
"""Half a step of 24-bit sound; energies of what is fainter vanish in float32."""

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One mono recording of speech or noise."""

    name: str
    group: str
    """Who speaks, or what kind of noise it is."""
    samples: Float32
    """(N,) at the corpus's rate."""
    licence: str
    evaluation_only: bool = False
    """True: may be scored and nothing else; neither trained on nor embedded anywhere."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One utterance, clean and noisy, sample by sample."""

    name: str
    clean: Float32
    noisy: Float32
    evaluation_only: bool = False
    """True: may be scored and nothing else; neither trained on nor embedded anywhere."""


@dataclass(frozen=True)
class Split:
    """What is mixed with what."""

    speech: tuple[Recording, ...] = ()
    noise: tuple[Recording, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """Everything a study hears; no person and no noise file is in two splits."""

    train: Split
    validation: Split
    test: Split
    pairs: tuple[Pair, ...] = ()
    pairs_name: str = ""
    pairs_evaluation_only: bool = False
    """True: pairs are scored and nothing else; neither trained on nor embedded anywhere."""


def load_corpus(
    folder: Path,
    *,
    rate_hz: int,
    split: SplitSpec,
    stereo: Stereo = "refuse",
    on_progress: Progress | None = None,
) -> Corpus:
    """Read `folder` in one of the layouts, resampled to `rate_hz`.

    Raises BadInput for a folder, a file, a manifest or a split that cannot be used.
    """
    folder = Path(folder)
    try:
        layout = find_layout(folder, pairs=split.pairs)
        return _load(layout, split, _Reader(rate_hz, stereo, on_progress))
    except OSError as error:
        raise unreadable(error, folder) from None


def _load(layout: Layout, spec: SplitSpec, reader: _Reader) -> Corpus:
    reader.total = len(layout.speech) + len(layout.noise) + 2 * len(layout.pairs)
    train, validation, test = _read_splits(layout, spec=spec, reader=reader)
    only = layout.pairs_evaluation_only
    return Corpus(
        train=train,
        validation=validation,
        test=test,
        pairs=tuple(_read_pair(pair, reader, evaluation_only=only) for pair in layout.pairs),
        pairs_name=layout.pairs_name,
        pairs_evaluation_only=only,
    )


def load_pairs(
    clean: Path, noisy: Path, *, rate_hz: int, stereo: Stereo = "refuse", on_progress: Progress | None = None
) -> tuple[Pair, ...]:
    """Pairs of two folders that hold files of the same names, resampled to `rate_hz`.

    Raises BadInput for a folder or file that cannot be used, a file without its partner, unequal lengths.
    """
    clean, noisy = Path(clean), Path(noisy)
    try:
        for folder in (clean, noisy):
            if not folder.is_dir():
                raise BadInput(f"{folder}: no such folder; name one that holds sound files")
        pairs = paired(clean, noisy)
        reader = _Reader(rate_hz, stereo, on_progress)
        reader.total = 2 * len(pairs)
        return tuple(_read_pair(pair, reader) for pair in pairs)
    except OSError as error:
        raise unreadable(error, clean) from None


def load_enhanced(folder: Path, pairs: Iterable[Pair], *, rate_hz: int) -> list[Float32]:
    """What some system made of the noisy files: one signal for each pair, by the pairs' names.

    Samples beyond the pair's are cut off; up to 32 ms may be missing or too many.
    Raises BadInput for a folder or file that cannot be used, a name or samples without their partner.
    """
    folder, reader = Path(folder), _Reader(rate_hz, "refuse", None)
    try:
        if not folder.is_dir():
            raise BadInput(f"{folder}: no such folder; name one that holds the enhanced files")
        found = {p.relative_to(folder).with_suffix("").as_posix(): p for p in sound_files(folder)}
        wanted = {pair.name: pair for pair in pairs}
        if lonely := sorted(found.keys() ^ wanted.keys()):
            what = "has no enhanced file" if lonely[0] in wanted else "has no clean and noisy file"
            raise BadInput(f"{folder}: {lonely[0]} {what}; files that belong together bear the same name")
        return [_enhanced(found[name], pair, reader) for name, pair in wanted.items()]
    except OSError as error:
        raise unreadable(error, folder) from None


def _enhanced(path: Path, pair: Pair, reader: _Reader) -> Float32:
    samples = reader(path)
    if abs(samples.size - pair.clean.size) > LENGTH_SLACK_SECONDS * reader.rate_hz:
        raise BadInput(
            f"{path}: has {samples.size} samples, clean has {pair.clean.size}; they may differ by "
            f"{LENGTH_SLACK_SECONDS * 1000:.0f} ms, cut both to one length"
        )
    return samples[: pair.clean.size]


def require_training(corpus: Corpus, *, seconds: float, rate_hz: int) -> Corpus:
    """`corpus`, if it holds speech and noise to train on, `seconds` of each at least; BadInput otherwise.

    seconds : length of one training mixture. Single recordings may be shorter; they are repeated.
    """
    if not (corpus.train.speech and corpus.train.noise):
        raise BadInput(
            "the data hold no speech and noise to train on, only pairs to score; "
            "give a folder with speech/ and noise/, or train on the built-in data by leaving --data out"
        )
    for what, recordings in (("speech", corpus.train.speech), ("noise", corpus.train.noise)):
        got = sum(recording.samples.size for recording in recordings) / rate_hz
        if got < seconds:
            raise BadInput(
                f"the data hold {got:.3g} s of {what} to train on; {seconds:.3g} s are needed, as long as a "
                f"training mixture is: add {what}, or lower mixtures.segment_frames of the study"
            )
    return corpus


def unreadable(error: OSError, folder: Path) -> BadInput:
    """What to say of a file that the system does not let read."""
    return BadInput(f"{error.filename or folder}: cannot be read ({error.strerror}); check its permissions")


class _Reader:
    """Reads files at one rate and counts them."""

    def __init__(self, rate_hz: int, stereo: Stereo, on_progress: Progress | None) -> None:
        self.rate_hz, self.stereo, self.on_progress = rate_hz, stereo, on_progress
        self.done, self.total = 0, 0

    def __call__(self, path: Path, minus: Path | None = None) -> Float32:
        samples = read_audio(path, rate_hz=self.rate_hz, stereo=self.stereo)
        if minus is not None:
            samples = difference(path, samples, read_audio(minus, rate_hz=self.rate_hz, stereo=self.stereo))
        if np.abs(samples).max() < SILENT_PEAK:
            raise BadInput(f"{path}: is silent from beginning to end; remove it or record it again")
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)
        return samples


def difference(path: Path, noisy: Float32, clean: Float32) -> Float32:
    """(N,) what the noisy side of a pair adds. Raises BadInput where the two are of unequal length."""
    if clean.size != noisy.size:
        raise BadInput(f"{path}: has {noisy.size} samples, clean has {clean.size}; cut both to one length")
    return noisy - clean


def _read_splits(layout: Layout, *, spec: SplitSpec, reader: _Reader) -> tuple[Split, Split, Split]:
    """Train, validation and test of the speech and noise; three empty splits where there are none."""
    if not layout.speech:
        return Split(), Split(), Split()
    voices, noises = _recordings(layout.speech, reader), _recordings(layout.noise, reader)
    of_voices, of_noises = splits_of(
        layout,
        speech_seconds=[one.samples.size / reader.rate_hz for one in voices],
        noise_seconds=[one.samples.size / reader.rate_hz for one in noises],
        spec=spec,
    )
    made = [Split(speech=_taken(voices, of_voices, s), noise=_taken(noises, of_noises, s)) for s in SPLITS]
    return made[0], made[1], made[2]


def splits_of(
    layout: Layout, *, speech_seconds: Iterable[float], noise_seconds: Iterable[float], spec: SplitSpec
) -> tuple[list[str], list[str]]:
    """The split of every speech and of every noise file, as a study would part them. Raises BadInput."""
    voices = items_of(layout.speech, speech_seconds, by_person=True)
    noises = items_of(layout.noise, noise_seconds, by_person=False)
    speech_part, noise_part = layout.speech[0].path.parent, layout.noise[0].path.parent
    return (
        split_speech(voices, spec, where=str(speech_part)),
        split_noise(noises, spec, where=str(noise_part)),
    )


def _recordings(files: Iterable[SoundFile], reader: _Reader) -> list[Recording]:
    return [
        Recording(
            name=file.name,
            group=file.entry.group,
            samples=reader(file.path, file.minus),
            licence=file.entry.licence,
            evaluation_only=bool(file.entry.evaluation_only),
        )
        for file in files
    ]


def _taken(recordings: Iterable[Recording], splits: Iterable[str], wanted: str) -> tuple[Recording, ...]:
    return tuple(r for r, split in zip(recordings, splits, strict=True) if split == wanted)


def _read_pair(files: PairFiles, reader: _Reader, *, evaluation_only: bool = False) -> Pair:
    clean, noisy = reader(files.clean), reader(files.noisy)
    difference(files.noisy, noisy, clean)
    return Pair(name=files.name, clean=clean, noisy=noisy, evaluation_only=evaluation_only)
