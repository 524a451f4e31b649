"""`npuexplore study ...`: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npuexplore.cli import worker
from npuexplore.cli.console import DEFAULT_RUNS, Json, Runs, note, print_json, print_table, progress_bars

if TYPE_CHECKING:
    from npuexplore.pipeline.run_directory import RunDirectory

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
    _show_results(finished, as_json=as_json)


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
    _show_results(finished, as_json=as_json)


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


def _show_results(run: RunDirectory, *, as_json: bool) -> None:
    from npuexplore.pipeline.redraw import read_results, unusable_results

    results = read_results(run)
    if as_json:
        print_json(results)
        return
    try:
        title, rows = _title(results), _rows(results)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise unusable_results(run) from None
    columns = ["network", "ms", "flash kB", "SDR dB", "SI-SDR dB", "lost dB", "predicted"]
    if any(pick["plan"]["skip_rate_frac"] for pick in results["picks"]):
        columns, rows = [*columns, "skipped", "mean ms"], _with_skips(rows, results)
    print_table(title, columns, rows)
    note(f"Report: {run.report}")
    note(f"Results: {run.results}")


def _title(results: dict[str, Any]) -> str:
    return f"{results['study']['name']} on {results['profile']['name']}: gains over unseen noisy mixtures"


def _rows(results: dict[str, Any]) -> list[list[str]]:
    baseline = results["baseline"]
    rows = [_row("float baseline", baseline["estimates"], baseline["quality"])]
    for pick in results["picks"]:
        losses_db = (pick["achieved"]["quality_loss_db"], pick["predicted"]["quality_loss_db"])
        rows.append(_row(pick["name"], pick["estimates"], pick["achieved"]["quality"], *losses_db))
    return rows


def _with_skips(rows: list[list[str]], results: dict[str, Any]) -> list[list[str]]:
    """The rows with the share of frames that each network skips on unseen mixtures, and its mean time."""
    records = [results["baseline"], *results["picks"]]
    shares = [record.get("skip_rate_frac_achieved", {"unseen": 0.0})["unseen"] for record in records]
    return [
        [*row, *[""] * (7 - len(row)), f"{share:.0%}", f"{record['estimates']['mean_latency_ms']:.2f}"]
        for row, record, share in zip(rows, records, shares, strict=True)
    ]


def _row(name: str, estimates: dict[str, Any], quality: dict[str, Any], *losses_db: float) -> list[str]:
    return [
        str(name),
        f"{estimates['latency_ms']:.2f}",
        f"{estimates['flash_bytes'] / 1000:.1f}",
        f"{quality['unseen']['sdr_improvement_db']:+.2f}",
        f"{quality['unseen']['si_sdr_improvement_db']:+.2f}",
        *(f"{loss_db:.2f}" for loss_db in losses_db),
    ]
