"""The segments that a run's trainings share: made once, by several processes, chunk by chunk."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import open_memmap

from npuexplore.audio.augment import Augmentation
from npuexplore.audio.pool import segment_pair
from npuexplore.audio.sources import Corpus, Split
from npuexplore.documents.atomic import write_bytes
from npuexplore.errors import EnvironmentLacking
from npuexplore.pipeline.data import calibration_set, segment_samples
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.study_file import StudyFile
from npuexplore.pipeline.workers import Send, Task, run_tasks
from npuexplore.units import ceil_div
from npuexplore.workload.network import Network

Progress = Callable[[int, int], None]
CHUNK_SEGMENTS = 25
MADE = "made.npy"
"""(chunks,) uint8: 1 where a chunk of the segments is written."""


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

    speech.npy and noise.npy : (S, N) int16. When it was stopped, it goes on after the chunks that are made.
    Raises EnvironmentLacking without room on the disk.
    """
    done = run.cache / "segments"
    if done.is_dir():
        return done
    clock, recipe = network.frame_clock, study.mixtures
    samples = segment_samples(study, network)
    building = run.cache / "segments.part"
    if not (building / MADE).is_file():
        _reserve(building, (recipe.pool_segments, samples))
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
    made = [CHUNK_SEGMENTS * int(np.load(building / MADE).sum())]

    def count(_: str, segments: int) -> None:
        made[0] += segments
        on_progress(min(made[0], recipe.pool_segments), recipe.pool_segments)

    run_tasks(tasks, workers=workers, on_message=count)
    building.rename(done)
    return done


def prepare_validation(run: RunDirectory, study: StudyFile, network: Network, corpus: Corpus) -> Path:
    """Writes the mixtures that tell which network of a training is best; returns their file.

    (2, M, N) float32: clean and noisy, of voices and noises that no training learns from.
    """
    done = run.cache / "validation.npy"
    if not done.is_file():
        pairs = calibration_set(study, network, corpus)
        content = io.BytesIO()
        np.save(content, np.stack([[pair.clean for pair in pairs], [pair.noisy for pair in pairs]]))
        write_bytes(done, content.getvalue())
    return done


def _reserve(folder: Path, shape: tuple[int, int]) -> None:
    """Empty int16 arrays whose room is really there, so that writing cannot fail; last, that none is made."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        for name in ("speech", "noise"):
            array = open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.int16, shape=shape)
            with (folder / f"{name}.npy").open("r+b") as stream:
                _allocate(stream, start_bytes=array.offset, count_bytes=array.nbytes)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        megabytes = 2 * shape[0] * shape[1] * 2 / 1e6
        raise EnvironmentLacking(
            f"{folder}: the prepared segments need {megabytes:.0f} MB there ({error.strerror}); "
            "free room, choose another --runs, or lower mixtures.pool_segments"
        ) from None
    none_made = io.BytesIO()
    np.save(none_made, np.zeros(ceil_div(shape[0], CHUNK_SEGMENTS), np.uint8))
    write_bytes(folder / MADE, none_made.getvalue())


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
    speech, noise, made = (
        open_memmap(part.folder / name, mode="r+") for name in ("speech.npy", "noise.npy", MADE)
    )
    for chunk in range(part.first, len(made), part.stride):
        if made[chunk]:
            continue
        segments = range(chunk * CHUNK_SEGMENTS, min((chunk + 1) * CHUNK_SEGMENTS, len(speech)))
        for index in segments:
            speech[index], noise[index] = segment_pair(
                part.split, part.settings, index, samples=part.samples, rate_hz=part.rate_hz, seed=part.seed
            )
        speech.flush()
        noise.flush()
        made[chunk] = 1
        send(len(segments))
