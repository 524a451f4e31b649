"""A study under way: what was asked for, where it is written, and its audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuexplore.audio.sources import Corpus
from npuexplore.pipeline.data import gather
from npuexplore.pipeline.executors import Executor, executor_of
from npuexplore.pipeline.problem import Problem
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.timings import add_seconds
from npuexplore.search.space import Space

Tell = Callable[[str, int, int, str], None]
"""(stage, done, total, detail): what progress bars show."""


@dataclass(frozen=True)
class Request:
    """What a user asks of `study run`."""

    problem: Problem
    folder: Path
    """The run directory."""
    data: Path | None = None
    fresh: bool = False
    workers: int = 2
    executor: str | None = None
    """Where trainings run, as `executor_of` reads it; None is `workers` processes of this machine."""
    storage: str | None = None
    """URL of a database in which others may help with the search; None is a journal that this process has."""
    heartbeat_s: int = 10
    """Seconds between two signs of life of a trial in that database."""
    until: str = "report"
    """Last stage to run: baseline, search, retraining or report."""


@dataclass(frozen=True)
class StudyJob:
    """A study under way."""

    request: Request
    run: RunDirectory
    space: Space
    inputs: Mapping[str, Any]
    """Everything that decides the results."""
    tell: Tell
    clock: Callable[[], float]

    @property
    def problem(self) -> Problem:
        """The study with its part and its network."""
        return self.request.problem

    @property
    def is_finished(self) -> bool:
        """Whether its results and its report are written."""
        return self.run.results.is_file() and self.run.report.is_file()

    @property
    def executor(self) -> Executor:
        """Where trainings run. Raises UsageError for one that cannot be read."""
        request = self.request
        return executor_of(request.executor, workers=request.workers, folder=self.run.folder)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the seconds of a stage to timings.json, also when the stage is stopped by an error."""
        started = self.clock()
        try:
            yield
        finally:
            add_seconds(self.run, stage, self.clock() - started)


class Sound:
    """The study's audio, read when first needed: a finished stage does not need it again."""

    def __init__(self, job: StudyJob) -> None:
        self.job = job
        self._corpus: Corpus | None = None

    def read(self) -> Corpus:
        """The corpus. Raises BadInput, or EnvironmentLacking without the demo voices."""
        if self._corpus is None:
            self._corpus = gather(
                self.job.problem.study,
                self.job.problem.network,
                self.job.request.data,
                on_progress=lambda done, total: self.job.tell("data", done, total, ""),
            )
        return self._corpus
