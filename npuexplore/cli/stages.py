"""The stages of the main job on their own: `train`, `search`, `retrain` stop early, `report` draws again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from npuexplore.cli.console import DEFAULT_RUNS, Runs, note, progress_bars
from npuexplore.cli.study import Data, Executor, Workers

Study = Annotated[str, typer.Argument(help="Shipped study or path of a study YAML.")]
RunName = Annotated[str | None, typer.Option("--name", help="Name of the run directory.")]


def train(
    study: Study,
    data: Data = None,
    name: RunName = None,
    runs: Runs = DEFAULT_RUNS,
    workers: Workers = 2,
    executor: Executor = None,
) -> None:
    """Make a study's float baseline (train it, or take its start), and stop there."""
    folder = _run_until("baseline", study, data, name, runs, workers, executor)
    note(f"Baseline: {folder / 'baseline.npz'}")


def search(
    study: Study, data: Data = None, name: RunName = None, runs: Runs = DEFAULT_RUNS, workers: Workers = 2
) -> None:
    """Search a study's plans (making its baseline first where that is missing), and stop there."""
    folder = _run_until("search", study, data, name, runs, workers)
    note(f"Journal: {folder / 'search.log'}; `npuexplore retrain` goes on with the picks")


def retrain(
    study: Study,
    data: Data = None,
    name: RunName = None,
    runs: Runs = DEFAULT_RUNS,
    workers: Workers = 2,
    executor: Executor = None,
) -> None:
    """Retrain a study's picks (after what must come first), and stop there."""
    folder = _run_until("retraining", study, data, name, runs, workers, executor)
    note(f"Picks: {folder / 'picks'}")


def report(folder: Annotated[Path, typer.Argument(metavar="RUN", help="Finished run directory.")]) -> None:
    """Draw report.html again from results.json."""
    from npuexplore.pipeline.redraw import redraw

    note(f"Report: {redraw(folder)}")


def _run_until(
    stage: str,
    study: str,
    data: Path | None,
    name: str | None,
    runs: Path,
    workers: int,
    executor: str | None = None,
) -> Path:
    from npuexplore.pipeline.problem import load_problem
    from npuexplore.pipeline.study import run_study
    from npuexplore.pipeline.study_file import run_name
    from npuexplore.pipeline.study_job import Request

    problem = load_problem(study, runs=runs)
    folder = runs / run_name(problem.study.name if name is None else name)
    request = Request(
        problem=problem, folder=folder, data=data, workers=workers, until=stage, executor=executor
    )
    with progress_bars() as tell:
        return run_study(request, tell=tell).folder
