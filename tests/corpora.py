"""Small folders of speech and noise, and what loading them says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npuexplore.audio.sources import Corpus, SplitSpec, load_corpus
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
