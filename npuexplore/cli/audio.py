"""`npuexplore evaluate` and `npuexplore enhance`: what a network does to sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from npuexplore.cli.console import DEFAULT_RUNS, Json, Runs, note, print_json, print_table

ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Checkpoint .npz, RUN:PICK, or tinylstm (the shipped baseline)."),
]


def evaluate(
    model: ModelName,
    clean: Annotated[Path, typer.Option("--clean", help="Folder of clean files.")],
    noisy: Annotated[Path, typer.Option("--noisy", help="Folder of noisy files of the same names.")],
    runs: Runs = DEFAULT_RUNS,
    as_json: Json = False,
) -> None:
    """SDR and SI-SDR before and after, per file and mean."""
    from npuexplore.pipeline.listening import evaluate_folders

    document = evaluate_folders(model, clean=clean, noisy=noisy, runs=runs)
    if as_json:
        print_json(document)
        return
    names = list(document["mean"])
    rows = [[item["name"], *(f"{item[name]:.2f}" for name in names)] for item in document["files"]]
    rows.append(["mean", *(f"{document['mean'][name]:.2f}" for name in names)])
    print_table(f"{model} on {len(rows) - 1} files", ["file", *names], rows)


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
