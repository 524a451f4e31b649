"""Processes that share each batch of a training.

Threads of one interpreter would not do: a step makes thousands of small products and sums, and they would
wait for each other at every one. Parameters, batches and gradients lie in shared memory.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.errors import NpuexploreError
from npuexplore.train.params import flatten, unflatten
from npuexplore.train.share import Given, Part, part_of_batch, workspaces_of
from npuexplore.units import FloatArray

if TYPE_CHECKING:
    from npuexplore.train.run import Task

LINE_ELEMS = 16
"""Every shared array begins at a cache line."""
ENDED = (
    "training: a process that computed a share of the batch ended; run the same command again to go on from "
    "the last saved step"
)
SPECTRA = ("features", "noisy_power", "cross", "clean_power")

Shapes = Mapping[str, tuple[int, ...]]


def _places(shapes: Shapes) -> Iterator[tuple[str, int, int, tuple[int, ...]]]:
    start = 0
    for name, shape in shapes.items():
        elems = math.prod(shape)
        yield name, start, start + elems, shape
        start += -(-elems // LINE_ELEMS) * LINE_ELEMS


def _views(memory: Any, shapes: Shapes) -> dict[str, FloatArray]:
    """Named float32 arrays in one piece of shared memory."""
    whole = np.frombuffer(memory, np.float32)
    first = -whole.ctypes.data // 4 % LINE_ELEMS
    return {name: whole[first + a : first + b].reshape(shape) for name, a, b, shape in _places(shapes)}


def _shared(shapes: Shapes) -> Any:
    elems = max((stop for _, _, stop, _ in _places(shapes)), default=0)
    return multiprocessing.get_context("spawn").RawArray("f", elems + LINE_ELEMS)


@dataclass(frozen=True)
class _Desk:
    """What a member works with."""

    shapes: dict[str, Shapes]
    """Of params, gradients and spectra."""
    memory: dict[str, Any]

    def arrays(self, kind: str) -> dict[str, FloatArray]:
        """Views of the shared arrays of a kind."""
        return _views(self.memory[kind], self.shapes[kind])


class _Member:
    """A process that computes a share of every batch, as its starter sees it."""

    def __init__(self, task: Task, given: Given, part: SpectralBatch) -> None:
        context = multiprocessing.get_context("spawn")
        params = {name: np.shape(array) for name, array in flatten(given.params).items()}
        shapes: dict[str, Shapes] = {
            "params": params,
            "gradients": params,
            "spectra": {name: getattr(part, name).shape for name in SPECTRA},
        }
        desk = _Desk(shapes, {kind: _shared(each) for kind, each in shapes.items()})
        self._arrays = {kind: desk.arrays(kind) for kind in shapes}
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, task, desk), daemon=True)
        self._process.start()
        theirs.close()
        self._sent: Any = None

    def ask(self, given: Given, part: SpectralBatch) -> None:
        """Hand a share over. Masks travel only when they are others than last time."""
        for name, array in flatten(given.params).items():
            self._arrays["params"][name][...] = array
        for name in SPECTRA:
            self._arrays["spectra"][name][...] = getattr(part, name)
        again = self._sent is not None and self._sent == _identity(given)
        light = replace(given, params={}, treatment=None if again else given.treatment)
        self._sent, self._held = _identity(given), given.treatment  # held, so that its id stays its own
        try:
            self._line.send((light, again))
        except OSError:
            raise NpuexploreError(ENDED) from None

    def answer(self) -> Part:
        """Wait for what the share contributes; its gradients are valid until the next `ask`."""
        try:
            loss, names, observed, skipped_frac = self._line.recv()
        except (EOFError, OSError):
            raise NpuexploreError(ENDED) from None
        gradients = {name: self._arrays["gradients"][name] for name in names}
        return Part(loss, gradients, observed, skipped_frac)

    def end(self) -> None:
        self._line.close()
        self._process.join()


def _identity(given: Given) -> tuple[int, int, bool] | None:
    """What tells whether a treatment is the one that was sent."""
    if given.treatment is None:
        return None
    return id(given.treatment.plan), id(given.treatment.masks), given.treatment.frozen


def _serve(line: Connection, task: Task, desk: _Desk) -> None:
    """A member's life: shares come in, what they contribute goes out, until the line is cut."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    params, workspaces = unflatten(desk.arrays("params")), workspaces_of(task.network)
    gradients, batch = desk.arrays("gradients"), SpectralBatch(**desk.arrays("spectra"))
    treatment = None
    with threadpool_limits(1, "blas"), suppress(EOFError, OSError):
        while True:
            light, again = line.recv()
            treatment = treatment if again else light.treatment
            part = part_of_batch(task, replace(light, params=params, treatment=treatment), batch, workspaces)
            for name, gradient in part.gradients.items():
                gradients[name][...] = gradient
            line.send((part.loss, list(part.gradients), part.observed, part.skipped_frac))


class _Here:
    """Stands for a member in a process that may not start others: shares in turn, to the same bits."""

    def __init__(self, task: Task, given: Given, part: SpectralBatch) -> None:
        self._task, self._asked = task, (given, part)
        self._workspaces = workspaces_of(task.network)

    def ask(self, given: Given, part: SpectralBatch) -> None:
        """Take a share on."""
        self._asked = (given, part)

    def answer(self) -> Part:
        """What the share contributes."""
        return part_of_batch(self._task, *self._asked, self._workspaces)

    def end(self) -> None:
        """Nothing was started."""


class Team:
    """This process and others, each of which computes a share of every batch."""

    def __init__(self, task: Task, size: int) -> None:
        self._task, self._size = task, size
        self._members: list[_Member | _Here] = []
        self._workspaces = workspaces_of(task.network)
        self._shape: tuple[int, ...] = ()

    def whole_batch(self, given: Given, batch: SpectralBatch) -> Part:
        """What the batch contributes; shares are added in its order, whichever is done first."""
        parts = list(_split(batch, min(self._size, given.batch)))
        if batch.features.shape != self._shape:
            self.end()
            self._shape = batch.features.shape
            more = [(self._task, given, part) for part in parts[1:]]
            if multiprocessing.current_process().daemon:
                self._members = [_Here(*each) for each in more]
            else:
                self._members = [_Member(*each) for each in more]
        for member, part in zip(self._members, parts[1:], strict=True):
            member.ask(given, part)
        whole = part_of_batch(self._task, given, parts[0], self._workspaces)
        for member in self._members:
            whole.add(member.answer())
        return whole

    def end(self) -> None:
        """Let the others go."""
        for member in self._members:
            member.end()
        self._members = []


def _split(batch: SpectralBatch, parts: int) -> Iterable[SpectralBatch]:
    size = batch.features.shape[1]
    edges = [size * part // parts for part in range(parts + 1)]
    for start, stop in pairwise(edges):
        yield SpectralBatch(*(getattr(batch, name)[:, start:stop] for name in SPECTRA))


@contextmanager
def team_of(task: Task) -> Iterator[Team | None]:
    """The team that a recipe asks for; None for one process."""
    if task.recipe.blas_threads == 1:
        yield None
        return
    team = Team(task, task.recipe.blas_threads)
    try:
        yield team
    finally:
        team.end()
