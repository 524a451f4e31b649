"""Corpora: recorded speech and noise, kept apart by person and by file, and clean/noisy pairs to score on.

Layouts that `load_corpus` reads (WAV, FLAC, Ogg; any rate; subfolders allowed):

- `speech/` and `noise/`, mixed on the fly. A speaker (or noise kind) is what `manifest.csv` says, else the
  first subfolder a file lies in, else the file's name without its trailing number (`anna_012.wav` is anna).
- any other subfolder that holds `clean/` and `noisy/` with the same names: pairs, for scoring only.
- `clean/` and `noisy/` alone: pairs without anything to train on.

Babble noise made of real talkers stays where its files fall: its talkers are not known, so a voice of the
training babble may in principle be one of the test speakers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npuexplore.audio.manifest import SPLITS, Entry, read_manifest
from npuexplore.audio.splits import Item, SplitSpec, split_noise, split_speech
from npuexplore.audio.wav import SUFFIXES, Stereo, read_audio
from npuexplore.errors import BadInput

__all__ = [
    "Corpus",
    "Pair",
    "Recording",
    "Split",
    "SplitSpec",
    "load_corpus",
    "load_pairs",
    "require_training",
    "sound_files",
]

Float32 = NDArray[np.float32]
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


@dataclass(frozen=True, eq=False)
class Pair:
    """One utterance, clean and noisy, sample by sample."""

    name: str
    clean: Float32
    noisy: Float32


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
    """Read `folder` in one of this module's layouts, resampled to `rate_hz`.

    Pairs beside `speech/` are for evaluation only unless every row of theirs in the manifest says
    `evaluation_only` false; pairs alone are so only where the manifest says true.
    Raises BadInput for a folder, a file, a manifest or a split that cannot be used.
    """
    try:
        return _load(Path(folder), split, _Reader(rate_hz, stereo, on_progress))
    except OSError as error:
        raise _unreadable(error, Path(folder)) from None


def _load(folder: Path, spec: SplitSpec, reader: _Reader) -> Corpus:
    if not folder.is_dir():
        raise BadInput(
            f"{folder}: no such folder; name one that holds speech/ and noise/, or clean/ and noisy/"
        )
    manifest = read_manifest(folder)
    speech, noise = folder / "speech", folder / "noise"
    pairs_folder = _find_pairs(folder, wanted=spec.pairs)
    if pairs_folder is None and not (speech.is_dir() and noise.is_dir()):
        raise BadInput(f"{folder}: holds neither speech/ and noise/ nor clean/ and noisy/; sort the files so")
    pair_paths = _paired(pairs_folder / "clean", pairs_folder / "noisy") if pairs_folder else []
    reader.total = len(sound_files(speech)) + len(sound_files(noise)) + 2 * len(pair_paths)
    train, validation, test = _read_splits(folder, manifest, spec=spec, reader=reader)
    return Corpus(
        train=train,
        validation=validation,
        test=test,
        pairs=tuple(_read_pair(name, clean, noisy, reader) for name, clean, noisy in pair_paths),
        pairs_name=pairs_folder.name if pairs_folder else "",
        pairs_evaluation_only=_evaluation_only(folder, pairs_folder, manifest, beside_speech=speech.is_dir()),
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
        paths = _paired(clean, noisy)
        reader = _Reader(rate_hz, stereo, on_progress)
        reader.total = 2 * len(paths)
        return tuple(_read_pair(*names, reader) for names in paths)
    except OSError as error:
        raise _unreadable(error, clean) from None


def require_training(corpus: Corpus) -> Corpus:
    """`corpus`, if it holds speech and noise to train on; BadInput otherwise."""
    if corpus.train.speech and corpus.train.noise:
        return corpus
    raise BadInput(
        "the data hold no speech and noise to train on, only pairs to score; "
        "give a folder with speech/ and noise/, or train on the built-in data by leaving --data out"
    )


def _unreadable(error: OSError, folder: Path) -> BadInput:
    return BadInput(f"{error.filename or folder}: cannot be read ({error.strerror}); check its permissions")


class _Reader:
    """Reads files at one rate and counts them."""

    def __init__(self, rate_hz: int, stereo: Stereo, on_progress: Progress | None) -> None:
        self.rate_hz, self.stereo, self.on_progress = rate_hz, stereo, on_progress
        self.done, self.total = 0, 0

    def __call__(self, path: Path) -> Float32:
        samples = read_audio(path, rate_hz=self.rate_hz, stereo=self.stereo)
        if not samples.any():
            raise BadInput(f"{path}: is silent from beginning to end; remove it or record it again")
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)
        return samples


def _read_splits(
    folder: Path, manifest: Mapping[str, Entry], *, spec: SplitSpec, reader: _Reader
) -> tuple[Split, Split, Split]:
    """Train, validation and test of `speech/` and `noise/`; three empty splits where there are none."""
    speech, noise = folder / "speech", folder / "noise"
    if not speech.is_dir() and not noise.is_dir():
        return Split(), Split(), Split()
    for part, other in ((speech, noise), (noise, speech)):
        if not part.is_dir():
            raise BadInput(f"{folder}: holds {other.name}/ but no {part.name}/; add the missing folder")
    voices, voice_items = _read_part(speech, manifest, reader)
    noises, noise_items = _read_part(noise, manifest, reader)
    of_voices = split_speech(voice_items, spec, where=str(speech))
    of_noises = split_noise(noise_items, spec, where=str(noise))
    made = [Split(speech=_taken(voices, of_voices, s), noise=_taken(noises, of_noises, s)) for s in SPLITS]
    return made[0], made[1], made[2]


def _read_part(
    part: Path, manifest: Mapping[str, Entry], reader: _Reader
) -> tuple[list[Recording], list[Item]]:
    """The recordings of `speech/` or `noise/`, and what the choice of splits needs to know of each."""
    recordings, items = [], []
    for path in sound_files(part):
        local = path.relative_to(part)
        entry = manifest.get(f"{part.name}/{local.as_posix()}") or _guessed(local)
        samples = reader(path)
        name, seconds = local.with_suffix("").as_posix(), samples.size / reader.rate_hz
        recordings.append(Recording(name=name, group=entry.group, samples=samples, licence=entry.licence))
        group = entry.person if part.name == "speech" else entry.group
        items.append(Item(name, group, seconds, entry.split, speaker=entry.group))
    if not recordings:
        raise BadInput(f"{part}: holds no {', '.join(SUFFIXES)} file; put recordings there")
    return recordings, items


def _guessed(local: Path) -> Entry:
    """What a file's place and name say where the manifest says nothing."""
    group = local.parts[0] if len(local.parts) > 1 else re.sub(r"[_\-. ]*\d+$", "", local.stem) or local.stem
    return Entry(licence="not stated", group=group, person=group, split="", evaluation_only=None)


def _taken(recordings: Iterable[Recording], splits: Iterable[str], wanted: str) -> tuple[Recording, ...]:
    return tuple(r for r, split in zip(recordings, splits, strict=True) if split == wanted)


def sound_files(folder: Path) -> list[Path]:
    """Sound files below `folder`, hidden ones left out, in the order of their names.

    Raises BadInput for a name that is not UTF-8.
    """
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    visible = [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    for path in visible:
        if any("\ud800" <= character <= "\udfff" for character in str(path.relative_to(folder))):
            raise BadInput(f"{folder}: the file name {path.name!a} is not UTF-8; rename it")
    return sorted(visible, key=lambda path: path.relative_to(folder).as_posix())


def _find_pairs(folder: Path, *, wanted: str) -> Path | None:
    """The folder that holds `clean/` and `noisy/`: `folder` itself or one of its subfolders."""
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [path for path in candidates if (path / "clean").is_dir() and (path / "noisy").is_dir()]
    names = ", ".join(path.name for path in found)
    if wanted:
        found = [path for path in found if path.name == wanted]
        if not found:
            raise BadInput(
                f"{folder}: split.pairs: got {wanted!r}; folders of pairs there: {names or 'none'}"
            )
    if len(found) > 1:
        raise BadInput(f"{folder}: holds several folders of pairs ({names}); name one as split.pairs")
    return found[0] if found else None


def _paired(clean: Path, noisy: Path) -> list[tuple[str, Path, Path]]:
    """(name, clean, noisy) of every pair; both folders must hold the same names."""
    cleans, noisies = (
        {path.relative_to(folder).with_suffix("").as_posix(): path for path in sound_files(folder)}
        for folder in (clean, noisy)
    )
    if lonely := sorted(cleans.keys() ^ noisies.keys()):
        here, there = (clean, noisy) if lonely[0] in cleans else (noisy, clean)
        raise BadInput(f"{here}: {lonely[0]} has no partner in {there}; pairs bear the same name in both")
    if not cleans:
        raise BadInput(f"{clean} and {noisy}: hold no {', '.join(SUFFIXES)} file; put recordings there")
    return [(name, cleans[name], noisies[name]) for name in sorted(cleans)]


def _read_pair(name: str, clean: Path, noisy: Path, reader: _Reader) -> Pair:
    pair = Pair(name=name, clean=reader(clean), noisy=reader(noisy))
    if pair.clean.size != pair.noisy.size:
        raise BadInput(
            f"{noisy}: has {pair.noisy.size} samples, clean has {pair.clean.size}; cut both to one length"
        )
    return pair


def _evaluation_only(
    folder: Path, pairs: Path | None, manifest: Mapping[str, Entry], *, beside_speech: bool
) -> bool:
    if pairs is None:
        return False
    prefix = "" if pairs == folder else f"{pairs.name}/"
    sides = (f"{prefix}clean/", f"{prefix}noisy/")
    said = {e.evaluation_only for name, e in manifest.items() if name.startswith(sides)}
    return True in said or (beside_speech and said != {False})
