"""The sound of a study: its corpus, the prepared segments, the mixtures it is scored on."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from npuexplore.audio.augment import Augmentation
from npuexplore.audio.mixtures import fixed_mixtures
from npuexplore.audio.pool import segment_pair
from npuexplore.audio.sources import Corpus, Pair, Split, load_corpus, require_training
from npuexplore.audio.wav import SUFFIXES
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.run_directory import RunDirectory, digest
from npuexplore.pipeline.study_file import StudyFile
from npuexplore.workload.network import Network

Progress = Callable[[int, int], None]
CHUNK_SEGMENTS = 25


def data_document(study: StudyFile, folder: Path | None) -> dict[str, Any]:
    """What identifies the data of a run: kind, and names and sizes of the sound files. Raises BadInput."""
    if folder is None:
        if study.data == "recorded":
            raise UsageError(
                f"study {study.name}: learns from recorded audio; give its folder with --data FOLDER "
                "(speech/ and noise/, and pairs to score on if there are any)"
            )
        return {"kind": "demo"}
    if not folder.is_dir():
        raise BadInput(f"--data {folder}: no such folder; give one with speech/ and noise/")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    listing = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]
    return {"kind": "recorded", "files": len(files), "sha256": digest(listing)}


def gather(study: StudyFile, network: Network, folder: Path | None, *, on_progress: Progress) -> Corpus:
    """The corpus that a study learns from. Raises BadInput, or EnvironmentLacking without the demo voices."""
    rate_hz = network.frame_clock.sample_rate_hz
    if folder is None:
        from npuexplore.audio.demo import demo_corpus

        corpus = demo_corpus(rate_hz=rate_hz, seed=study.seed, on_progress=on_progress)
    else:
        corpus = load_corpus(folder, rate_hz=rate_hz, split=study.split, on_progress=on_progress)
    return require_training(corpus)


def evaluation_sets(study: StudyFile, network: Network, corpus: Corpus) -> dict[str, tuple[Pair, ...]]:
    """`unseen` (test voices in test noises) and, where the data holds pairs, `pairs`."""
    spec = study.evaluation
    sets = {
        "unseen": fixed_mixtures(
            corpus.test,
            count=spec.mixtures,
            seconds=spec.seconds,
            rate_hz=network.frame_clock.sample_rate_hz,
            snr_db=spec.snr_db,
            seed=study.seed,
        )
    }
    if corpus.pairs:
        sets["pairs"] = corpus.pairs
    return sets


def calibration_set(study: StudyFile, network: Network, corpus: Corpus) -> tuple[Pair, ...]:
    """Mixtures of the validation voices and noises."""
    spec = study.evaluation
    return fixed_mixtures(
        corpus.validation,
        count=spec.calibration_mixtures,
        seconds=spec.seconds,
        rate_hz=network.frame_clock.sample_rate_hz,
        snr_db=spec.snr_db,
        seed=study.seed + 1,
    )


def credits_of(corpus: Corpus) -> tuple[str, ...]:
    """Licences of the training audio, each once."""
    recordings = [*corpus.train.speech, *corpus.train.noise]
    return tuple(sorted({recording.licence for recording in recordings if recording.licence}))


@dataclass(frozen=True)
class _PoolPart:
    """What a worker needs to make segments."""

    split: Split
    settings: Augmentation
    folder: Path
    samples: int
    rate_hz: int
    seed: int


def prepare_segments(
    run: RunDirectory,
    study: StudyFile,
    network: Network,
    corpus: Corpus,
    *,
    workers: int,
    on_progress: Progress,
) -> Path:
    """Writes the segments once for all trainings of the run; returns their folder.

    speech.npy and noise.npy : (S, N) int16
    """
    clock, recipe = network.frame_clock, study.mixtures
    overlap = clock.window_samples // clock.hop_samples
    samples = (recipe.segment_frames - overlap + 1) * clock.hop_samples
    done = run.cache / "segments"
    if done.is_dir():
        return done
    building = run.cache / "segments.part"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for name in ("speech", "noise"):
        open_memmap(
            building / f"{name}.npy", mode="w+", dtype=np.int16, shape=(recipe.pool_segments, samples)
        )
    part = _PoolPart(corpus.train, recipe.augmentation, building, samples, clock.sample_rate_hz, study.seed)
    starts = range(0, recipe.pool_segments, CHUNK_SEGMENTS)
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_set_part, initargs=(part,)
    ) as executor:
        for finished, _ in enumerate(executor.map(_make_chunk, starts), start=1):
            on_progress(min(finished * CHUNK_SEGMENTS, recipe.pool_segments), recipe.pool_segments)
    building.rename(done)
    return done


_part: list[_PoolPart] = []


def _set_part(part: _PoolPart) -> None:
    _part[:] = [part]


def _make_chunk(start: int) -> None:
    part = _part[0]
    speech = open_memmap(part.folder / "speech.npy", mode="r+")
    noise = open_memmap(part.folder / "noise.npy", mode="r+")
    for index in range(start, min(start + CHUNK_SEGMENTS, len(speech))):
        speech[index], noise[index] = segment_pair(
            part.split, part.settings, index, samples=part.samples, rate_hz=part.rate_hz, seed=part.seed
        )
