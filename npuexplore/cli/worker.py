"""`npuexplore study worker`: help with a search that another process has opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from npuexplore.cli.console import Json, note, print_json, progress_bars
from npuexplore.errors import UsageError

Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Database that processes share: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.",
    ),
]


def worker(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Run directory, on the machine that has it.")
    ] = None,
    storage: Storage = None,
    study: Annotated[
        str | None, typer.Option("--study", help="Name of the run, where the storage has several.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=1, help="Trials of this process; without it, to the end.")
    ] = None,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0.0, help="Seconds to wait for a search to be shared.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Help with a study that `study run --storage` searches, from this machine or another."""
    from npuexplore.pipeline.worker import help_with, storage_of

    if (folder is None) == (storage is None):
        raise UsageError(
            "give either the run directory RUN or --storage URL; see `npuexplore study worker --help`"
        )
    if folder is not None:
        storage, study = storage_of(folder)
    with progress_bars() as tell:
        done = help_with(str(storage), study=study, trials=trials, wait_s=wait_s, tell=tell)
    if as_json:
        print_json(done)
    else:
        note(
            f"{done['trials']} trials by this process in {done['seconds']:.1f} s; study {done['study']} has "
            f"{done['finished']} of {done['target']}"
        )
