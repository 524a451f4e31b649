"""Tables of published silicon: every row with its measured time, ours, the error, and notes by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from npuexplore.cli.console import print_table

Entry = dict[str, Any]


def show_rows(stem: str, entries: Sequence[Entry]) -> None:
    """Rows of fully connected networks first, then those of TinyLSTMs in their two columns."""
    numbers = {text: index for index, text in enumerate(dict.fromkeys(each["note"] for each in entries), 1)}
    silicon = [each for each in entries if each["paper_rate_ms"] is None]
    papers = [each for each in entries if each["paper_rate_ms"] is not None]
    if silicon:
        columns = ["device", "core", "stack", "ms", "zero wait", "factor", "from", "ours", "error"]
        columns += ["scored", "note"]
        rows = [_silicon(each, numbers) for each in silicon]
        print_table(f"{stem}: milliseconds measured and ours", columns, rows)
    if papers:
        columns = ["workload", "ms", "at the paper's rate", "error", "by our kernels", "error", "note"]
        print_table(f"{stem}: TinyLSTMs", columns, [_paper(each, numbers) for each in papers])
    for text, index in numbers.items():
        typer.echo(f"{index:>3}  {text}")


def _silicon(entry: Entry, numbers: dict[str, int]) -> list[str]:
    return [
        entry["device"],
        entry["core"].removeprefix("Cortex-"),
        entry["stack"].split("(")[0].split(";")[0].strip(),
        f"{entry['measured_ms']:.3f}",
        f"{entry['zero_wait_ms']:.3f}",
        f"{entry['factor']:.3f}",
        entry["factor_from"],
        f"{entry['ours_ms']:.3f}",
        f"{entry['error_pct']:+.1f} %",
        "yes" if entry["scored"] else "",
        str(numbers[entry["note"]]),
    ]


def _paper(entry: Entry, numbers: dict[str, int]) -> list[str]:
    rate, measured = entry["paper_rate_ms"], entry["measured_ms"]
    return [
        entry["workload"],
        f"{measured:.2f}",
        f"{rate:.2f}",
        f"{100 * (rate / measured - 1):+.1f} %" if measured else "",
        f"{entry['ours_ms']:.2f}",
        f"{entry['error_pct']:+.1f} %",
        str(numbers[entry["note"]]),
    ]
