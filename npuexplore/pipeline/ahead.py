"""Training batches mixed ahead of the training, in a process of their own."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.audio.mixtures import BatchAt, MixtureRecipe, SpectralBatch, training_batches
from npuexplore.audio.pool import SegmentPool
from npuexplore.audio.stft import FrontEnd, front_end
from npuexplore.errors import EnvironmentLacking
from npuexplore.pipeline.workers import start_process
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

SLOTS = 4
"""Batches in shared memory: the one learned from, the one handed out after it, and two in the making."""
LEAST_STEPS = 100
"""Trainings of fewer steps mix for themselves: a process takes as long to start as some steps."""


@dataclass(frozen=True)
class BatchSource:
    """All that decides what the batch of a step is; crosses to another process."""

    network: Network
    mixtures: MixtureRecipe
    pool_folder: Path
    batch: int
    seed: int

    def geometry(self) -> FrontEnd:
        """The front end of the network."""
        return front_end(self.network)

    def batches(self) -> BatchAt:
        """The batch of a step, mixed where this is called."""
        pool = SegmentPool(
            np.load(self.pool_folder / "speech.npy", mmap_mode="r"),
            np.load(self.pool_folder / "noise.npy", mmap_mode="r"),
        )
        return training_batches(pool, self.mixtures, self.geometry(), batch=self.batch, seed=self.seed)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the arrays of a batch, in the order of SpectralBatch."""
        geometry, frames = self.geometry(), self.mixtures.segment_frames
        last = [geometry.bands, geometry.bins, geometry.bins, geometry.bins]
        names = [field.name for field in fields(SpectralBatch)]
        return {name: (frames, self.batch, size) for name, size in zip(names, last, strict=True)}


@contextmanager
def batches_ahead(source: BatchSource, *, start: int, stop: int) -> Iterator[Callable[[int], SpectralBatch]]:
    """The batches of the steps start .. stop - 1, to be asked for in that order.

    They are those of `source.batches()`. A batch lies in shared memory and is valid until the second next
    one is asked for. Raises EnvironmentLacking when the process that mixes dies.
    """
    if stop - start < LEAST_STEPS:
        yield source.batches()
        return
    shelf = _Shelf(source)
    process, line = start_process(_mix_ahead, source, shelf.memory, range(start, stop))
    steps = iter(range(start, stop))

    def batch_at(step: int) -> SpectralBatch:
        if step != next(steps, None):
            raise ValueError(f"batches come in order; {step} was asked for out of turn")
        try:
            if step >= start + 2:
                line.send(step - 2)
            line.recv()
        except (EOFError, OSError):
            process.join()
            raise EnvironmentLacking(
                f"mixing: its process died (exit code {process.exitcode}; out of memory?); free memory, then "
                "run the same command to go on"
            ) from None
        return shelf.slot(step - start)

    try:
        yield batch_at
    finally:
        process.terminate()
        process.join()
        line.close()


class _Shelf:
    """Batches in memory that two processes share."""

    def __init__(self, source: BatchSource, memory: Any = None) -> None:
        shapes = source.shapes()
        sizes = {name: math.prod(shape) for name, shape in shapes.items()}
        if memory is None:
            memory = multiprocessing.get_context("spawn").RawArray("f", SLOTS * sum(sizes.values()))
        self.memory = memory
        rows = np.frombuffer(memory, np.float32).reshape(SLOTS, -1)
        edges = np.cumsum([0, *sizes.values()])
        self._slots = [
            SpectralBatch(*(_piece(row, edges[i], shape) for i, shape in enumerate(shapes.values())))
            for row in rows
        ]

    def slot(self, count: int) -> SpectralBatch:
        """Where the batch with this number, counted from the first, lies."""
        return self._slots[count % SLOTS]


def _piece(row: FloatArray, start: int, shape: tuple[int, ...]) -> FloatArray:
    return row[start : start + math.prod(shape)].reshape(shape)


def _mix_ahead(line: Connection, source: BatchSource, memory: Any, steps: range) -> None:
    """Fills slots as they are given back, and says so; then waits to be ended."""
    shelf, batch_at = _Shelf(source, memory), source.batches()
    try:
        for count, step in enumerate(steps):
            if count >= SLOTS:
                line.recv()
            batch_at(step, shelf.slot(count))
            line.send(step)
        while True:
            line.recv()
    except (EOFError, ConnectionError):
        return
