"""What verbs share: results on stdout, everything else on stderr, progress bars, tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

Tell = Callable[[str, int, int, str], None]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder that holds run directories.", show_default="runs")]
DEFAULT_RUNS = Path("runs")
WIDTH_OF_FILES = 180
"""Columns of text that a table may take where no terminal says how many there are."""


def print_json(document: Any) -> None:
    """One document on stdout."""
    plain = "utf" not in (sys.stdout.encoding or "utf").lower()
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, ensure_ascii=plain) + "\n")


def note(text: str) -> None:
    """A line for people, on stderr."""
    sys.stderr.write(text + "\n")


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A rich table on stdout; numbers are right-aligned from the second column on."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
    with console.capture() as drawn:
        console.print(table)
    sys.stdout.write(drawn.get())


@contextmanager
def progress_bars() -> Iterator[Tell]:
    """A bar per stage on stderr; without a terminal, a line at a stage's start and end."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int, detail: str) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, detail=detail)
            bars.update(tasks[stage], completed=done, total=total, detail=detail)

        yield tell


def _lines() -> Tell:
    shown: dict[str, int] = {}

    def tell(stage: str, done: int, total: int, detail: str) -> None:
        quarter = 4 * done // max(total, 1)
        if shown.get(stage) != quarter:
            shown[stage] = quarter
            note(f"{stage}: {done} of {total}" + (f" ({detail})" if detail else ""))

    return tell
