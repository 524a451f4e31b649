"""`npuexplore data ...`: what a folder holds, and speech and noise made here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from npuexplore.cli.console import Json, note, print_json, print_table, progress_bars

app = typer.Typer(no_args_is_help=True, help="Look at audio folders; write the built-in data as files.")

RATE_HZ = 16_000


@app.command("inspect")
def inspect(
    folder: Annotated[Path, typer.Argument(help="Folder with speech/ and noise/, or clean/ and noisy/.")],
    rate_hz: Annotated[int, typer.Option("--rate", min=8_000, max=96_000)] = RATE_HZ,
    as_json: Json = False,
) -> None:
    """Minutes, speakers, kinds, levels and licences, split by split."""
    from npuexplore.audio.inspect import describe_corpus
    from npuexplore.audio.sources import SplitSpec, load_corpus

    with progress_bars() as tell:
        corpus = load_corpus(
            folder,
            rate_hz=rate_hz,
            split=SplitSpec(),
            on_progress=lambda done, total: tell("reading", done, total, ""),
        )
    document = describe_corpus(corpus, rate_hz=rate_hz)
    if as_json:
        print_json(document)
        return
    rows = [[key, _words(value)] for key, value in _flat(document, "")]
    print_table(str(folder), ["what", "value"], rows)


@app.command("synth")
def synth(
    folder: Annotated[Path, typer.Argument(help="Folder to write speech/ and noise/ into.")],
    seed: Annotated[int, typer.Option(min=0)] = 1,
    rate_hz: Annotated[int, typer.Option("--rate", min=8_000, max=96_000)] = RATE_HZ,
) -> None:
    """Write the built-in synthesised speech and noise as files (needs the extra [demo])."""
    from npuexplore.audio.inspect import write_demo

    with progress_bars() as tell:
        write_demo(
            folder,
            rate_hz=rate_hz,
            seed=seed,
            on_progress=lambda done, total: tell("synthesis", done, total, ""),
        )
    note(f"Written: {folder}")


def _flat(node: object, key: str) -> list[tuple[str, object]]:
    if isinstance(node, dict):
        return [
            leaf
            for name, child in node.items()
            for leaf in _flat(child, f"{key}.{name}" if key else str(name))
        ]
    return [(key, node)]


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_words(item) for item in value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)
