"""`npuexplore study ...`: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from npuexplore.cli import worker
from npuexplore.cli.console import DEFAULT_RUNS, Json, Runs, print_json, print_table, progress_bars
from npuexplore.cli.results_table import show_results

app = typer.Typer(no_args_is_help=True, help="Run a study, look at one, go on with one.")

Data = Annotated[
    Path | None, typer.Option("--data", help="Folder with speech/ and noise/ (and pairs to score on).")
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=256, help="Trainings at a time.")]
Executor = Annotated[
    str | None,
    typer.Option(
        "--executor", help="Where trainings run: processes (here), dask://HOST:PORT or tls://HOST:PORT."
    ),
]
Heartbeat = Annotated[
    int,
    typer.Option(
        "--heartbeat", min=1, max=3600, help="Seconds between signs of life of trials in --storage."
    ),
]

app.command("worker")(worker.worker)


@app.command("run")
def run(
    study: Annotated[str, typer.Argument(help="Shipped study or path of a study YAML.")],
    data: Data = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run directory.")] = None,
    runs: Runs = DEFAULT_RUNS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over in a used run directory.")] = False,
    workers: Workers = 2,
    executor: Executor = None,
    storage: worker.Storage = None,
    heartbeat: Heartbeat = 10,
    as_json: Json = False,
) -> None:
    """Search, retrain the picks, write report.html and results.json; resumes a stopped run."""
    from npuexplore.pipeline.problem import load_problem
    from npuexplore.pipeline.study import run_study
    from npuexplore.pipeline.study_file import run_name
    from npuexplore.pipeline.study_job import Request

    problem = load_problem(study, runs=runs)
    folder = runs / run_name(problem.study.name if name is None else name)
    request = Request(
        problem=problem,
        folder=folder,
        data=data,
        fresh=fresh,
        workers=workers,
        executor=executor,
        storage=storage,
        heartbeat_s=heartbeat,
    )
    with progress_bars() as tell:
        finished = run_study(request, tell=tell)
    show_results(finished, as_json=as_json)


@app.command("resume")
def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    data: Data = None,
    workers: Workers = 2,
    executor: Executor = None,
    storage: worker.Storage = None,
    heartbeat: Heartbeat = 10,
    as_json: Json = False,
) -> None:
    """Go on with a stopped run, with the study as it was started."""
    from npuexplore.pipeline.status import request_of
    from npuexplore.pipeline.study import run_study

    request = request_of(folder, data=data, workers=workers, executor=executor)
    request = replace(request, storage=storage, heartbeat_s=heartbeat)
    with progress_bars() as tell:
        finished = run_study(request, tell=tell)
    show_results(finished, as_json=as_json)


@app.command("status")
def status(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    as_json: Json = False,
) -> None:
    """What of a run is finished."""
    from npuexplore.pipeline.status import status_of

    document = status_of(folder)
    if as_json:
        print_json(document)
    else:
        rows = [[stage, state] for stage, state in document["stages"].items()]
        print_table(f"{document['study']} in {folder}", ["stage", "state"], rows)


@app.command("repair")
def repair(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory.")],
    salvage: Annotated[
        bool,
        typer.Option("--salvage", help="Give up damaged lines of the search journal; a copy of it is kept."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Mend a run after a crash or a full disk: torn journals, stale trials, half-written files."""
    from npuexplore.pipeline.repair import repair_run

    document = repair_run(folder, salvage=salvage, dry_run=dry_run)
    if as_json:
        print_json(document)
    else:
        print("\n".join(document["repairs"]) or f"{folder}: nothing to repair")
