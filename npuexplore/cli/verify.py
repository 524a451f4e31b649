"""`npuexplore verify`: the estimator against reference data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from npuexplore.cli.console import Json, note, print_json, print_table
from npuexplore.cli.verify_rows import show_rows

GROUPS_SHOWN = 24
"""Groups of rows that people see; coarse ones come first."""

Folder = Annotated[Path, typer.Argument(help="Folder with reference files: vela_fc.csv, vela_lstm.csv, ...")]


def verify(folder: Folder, as_json: Json = False) -> None:
    """Replay every reference file of a folder through the estimator and say how far off it is."""
    from npuexplore.pipeline.verify import replay_folder

    document = replay_folder(folder, tell=lambda name: note(f"replaying {name}"))
    if as_json:
        print_json(document)
    else:
        _show(document)


def _show(document: dict[str, Any]) -> None:
    columns = ["quantity", "exact", "within 2 %", "mean error", "95 % below", "worst"]
    for stem, file in document["files"].items():
        rows = [[name, *_cells(figures)] for name, figures in file["quantities"].items()]
        print_table(f"{stem}: {file['rows']:,} rows", columns, rows)
        _show_groups(stem, file)
        if "rows_table" in file:
            show_rows(stem, file["rows_table"])
    if document["skipped"]:
        note(f"Left out: {'; '.join(document['skipped'])}")


def _show_groups(stem: str, file: dict[str, Any]) -> None:
    """The first quantity where it is not exact everywhere, group by group."""
    name, figures = next(iter(file["quantities"].items()))
    inexact = [group for group in figures["groups"] if group["exact_frac"] < 1.0]
    shown = inexact[:GROUPS_SHOWN]
    rows = [
        [", ".join(str(value) for value in group["where"].values()), f"{group['rows']:,}", *_cells(group)]
        for group in shown
    ]
    if rows:
        columns = ["where", "rows", "exact", "within 2 %", "mean error", "95 % below", "worst"]
        print_table(f"{stem}: where {name} is not exact", columns, rows)
    left = inexact[GROUPS_SHOWN:]
    if left:
        worst = max(group["mean_error_pct"] for group in left)
        note(f"{stem}: {len(left)} finer groups, mean errors up to {worst:.3g} %: --json lists them")


def _cells(figures: dict[str, float]) -> list[str]:
    return [
        f"{100 * figures['exact_frac']:.2f} %",
        f"{100 * figures['within_2pct_frac']:.2f} %",
        f"{figures['mean_error_pct']:.3g} %",
        f"{figures['p95_error_pct']:.3g} %",
        f"{figures['max_abs_error_pct']:.3g} %",
    ]
