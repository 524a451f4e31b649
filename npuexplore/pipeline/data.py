"""The sound of a study: its corpus, the prepared segments, the mixtures it is scored on."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.format import open_memmap

from npuexplore.audio.augment import Augmentation
from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.audio.mixtures import fixed_mixtures
from npuexplore.audio.pool import segment_pair
from npuexplore.audio.sources import Corpus, Pair, Split, load_corpus, require_training, sound_files
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError
from npuexplore.pipeline.run_directory import RunDirectory, digest
from npuexplore.pipeline.study_file import StudyFile
from npuexplore.pipeline.workers import Send, Task, run_tasks
from npuexplore.workload.network import Network

Progress = Callable[[int, int], None]
CHUNK_SEGMENTS = 25


def data_document(study: StudyFile, folder: Path | None) -> dict[str, Any]:
    """What identifies the data of a run: names and sizes of the sound files, and their manifest.

    Raises UsageError when the study needs a folder and has none, BadInput when there is no such folder.
    """
    if folder is None:
        if study.data == "recorded":
            raise UsageError(
                f"study {study.name}: learns from recorded audio; give its folder with --data FOLDER "
                "(speech/ and noise/, and pairs to score on if there are any)"
            )
        return {"kind": "demo"}
    if not folder.is_dir():
        raise BadInput(f"--data {folder}: no such folder; give one with speech/ and noise/")
    files = sound_files(folder)
    listing: list[Any] = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]
    manifest = folder / MANIFEST_NAME
    if manifest.is_file():
        listing.append(hashlib.sha256(manifest.read_bytes()).hexdigest())
    return {"kind": "recorded", "files": len(files), "sha256": digest(listing)}


def gather(study: StudyFile, network: Network, folder: Path | None, *, on_progress: Progress) -> Corpus:
    """The corpus that a study learns from. Raises BadInput, or EnvironmentLacking without the demo voices."""
    rate_hz = network.frame_clock.sample_rate_hz
    if folder is None:
        from npuexplore.audio.demo import demo_corpus

        corpus = demo_corpus(
            rate_hz=rate_hz, seed=study.seed, train_minutes=study.demo_minutes, on_progress=on_progress
        )
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
class _Part:
    """What a worker needs to make every `stride`-th chunk of the segments."""

    split: Split
    settings: Augmentation
    folder: Path
    samples: int
    rate_hz: int
    seed: int
    first: int
    stride: int


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

    speech.npy and noise.npy : (S, N) int16. Raises EnvironmentLacking without room on the disk.
    """
    done = run.cache / "segments"
    if done.is_dir():
        return done
    clock, recipe = network.frame_clock, study.mixtures
    overlap = clock.window_samples // clock.hop_samples
    samples = (recipe.segment_frames - overlap + 1) * clock.hop_samples
    building = run.cache / "segments.part"
    shutil.rmtree(building, ignore_errors=True)
    for name in ("speech", "noise"):
        _reserve(building / f"{name}.npy", (recipe.pool_segments, samples))
    tasks = [
        Task(
            f"segments {first}",
            _make_segments,
            _Part(
                split=corpus.train,
                settings=recipe.augmentation,
                folder=building,
                samples=samples,
                rate_hz=clock.sample_rate_hz,
                seed=study.seed,
                first=first,
                stride=workers,
            ),
        )
        for first in range(workers)
    ]
    made = [0]

    def count(_: str, segments: int) -> None:
        made[0] += segments
        on_progress(made[0], recipe.pool_segments)

    run_tasks(tasks, workers=workers, on_message=count)
    building.rename(done)
    return done


def _reserve(path: Path, shape: tuple[int, int]) -> None:
    """An empty int16 array on disk whose room is really there, so that writing to it cannot fail."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        array = open_memmap(path, mode="w+", dtype=np.int16, shape=shape)
        with path.open("r+b") as stream:
            _allocate(stream, start_bytes=array.offset, count_bytes=array.nbytes)
    except OSError as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        megabytes = 2 * shape[0] * shape[1] * 2 / 1e6
        raise EnvironmentLacking(
            f"{path.parent}: the prepared segments need {megabytes:.0f} MB there ({error.strerror}); "
            "free room, choose another --runs, or lower mixtures.pool_segments"
        ) from None


def _allocate(stream: BinaryIO, *, start_bytes: int, count_bytes: int) -> None:
    """Gives a file its blocks on disk; where the system has no call for that, by writing zeros."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), start_bytes, count_bytes)
        return
    zeros = bytes(1 << 20)
    stream.seek(start_bytes)
    for left in range(count_bytes, 0, -len(zeros)):
        stream.write(zeros[:left])


def _make_segments(part: _Part, send: Send) -> None:
    speech = open_memmap(part.folder / "speech.npy", mode="r+")
    noise = open_memmap(part.folder / "noise.npy", mode="r+")
    for start in range(part.first * CHUNK_SEGMENTS, len(speech), part.stride * CHUNK_SEGMENTS):
        chunk = range(start, min(start + CHUNK_SEGMENTS, len(speech)))
        for index in chunk:
            speech[index], noise[index] = segment_pair(
                part.split, part.settings, index, samples=part.samples, rate_hz=part.rate_hz, seed=part.seed
            )
        send(len(chunk))
