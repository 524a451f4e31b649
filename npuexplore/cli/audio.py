"""`npuexplore evaluate` and `npuexplore enhance`: what a network does to sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from npuexplore.cli.console import DEFAULT_RUNS, Json, Runs, note, print_json, print_table, progress_bars
from npuexplore.errors import UsageError

MODEL_HELP = "Checkpoint .npz, RUN:PICK, or tinylstm (the shipped baseline)."
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_HELP)]


def evaluate(
    clean: Annotated[Path, typer.Option("--clean", help="Folder of clean files.")],
    noisy: Annotated[Path, typer.Option("--noisy", help="Folder of noisy files of the same names.")],
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help=MODEL_HELP)] = None,
    enhanced: Annotated[
        Path | None,
        typer.Option("--enhanced", help="Instead of a MODEL: folder of what another system made of NOISY."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="sdr, si_sdr, stoi, pesq or dnsmos; repeatable; without it, all that are installed.",
        ),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """SDR, SI-SDR, STOI (PESQ, DNSMOS) before and after, per file and mean."""
    from npuexplore.pipeline.listening import (
        evaluate_enhanced,
        evaluate_folders,
        metrics_to_score,
        not_installed,
    )

    chosen = metrics_to_score(metrics or ())
    if (model is None) == (enhanced is None):
        raise UsageError("evaluate: give either a MODEL or --enhanced FOLDER; one of the two is scored")
    with progress_bars() as tell:

        def on_progress(done: int, total: int) -> None:
            tell("scoring", done, total, "")

        if enhanced is not None:
            document = evaluate_enhanced(
                enhanced, clean=clean, noisy=noisy, metrics=chosen, on_progress=on_progress
            )
        else:
            document = evaluate_folders(
                str(model), clean=clean, noisy=noisy, runs=runs, metrics=chosen, on_progress=on_progress
            )
    if not metrics and (missing := not_installed()):
        note(f"Left out: {', '.join(missing)} (pip install 'npuexplore[{','.join(missing)}]')")
    if as_json:
        print_json(document)
    else:
        _show(str(model or enhanced), document)


def _show(name: str, document: dict[str, Any]) -> None:
    """Scores per file and their means."""
    stems = [name.removesuffix("_db") for name in document["mean"] if "_improvement" in name]
    columns = [stem.replace("_improvement", "").upper().replace("_", "-", 1) for stem in stems]
    rows = [[item["name"], *_changes(item)] for item in document["files"]]
    rows.append(["mean", *_changes(document["mean"])])
    print_table(f"{name}: in, out (gained) on {len(rows) - 1} files", ["file", *columns], rows)


def _changes(scores: dict[str, Any]) -> list[str]:
    """A cell for each score: before, after and the difference; decibels to two places, the rest to three."""
    cells = []
    for name in (key for key in scores if "_improvement" in key):
        places = 2 if name.endswith("_db") else 3
        before, after = (scores[name.replace("_improvement", side)] for side in ("_in", "_out"))
        cells.append(f"{before:.{places}f} {after:.{places}f} ({scores[name]:+.{places}f})")
    return cells


def enhance(
    model: ModelName,
    source: Annotated[Path, typer.Argument(metavar="IN.wav", help="Noisy recording, mono.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.wav", help="Where the enhanced sound goes.")],
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Hear a network: reduce the noise of one recording."""
    from npuexplore.pipeline.listening import enhance_file

    clipped = enhance_file(model, source=source, target=target, runs=runs)
    note(f"Written: {target}" + (f" ({clipped} samples clipped)" if clipped else ""))
