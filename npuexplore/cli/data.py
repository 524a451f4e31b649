"""`npuexplore data ...`: what a folder holds, and speech and noise made here."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from npuexplore.cli.console import Json, note, print_json, print_table, progress_bars

app = typer.Typer(no_args_is_help=True, help="Look at audio folders; write the built-in data as files.")

RATE_HZ = 16_000


class Dataset(StrEnum):
    """What can be fetched."""

    debian_speech = "debian-speech"


@app.command("fetch")
def fetch(
    dataset: Annotated[Dataset, typer.Argument(help="debian-speech: speech and noise of Debian's packages.")],
    output: Annotated[Path, typer.Option("--output", help="Folder to make, with speech/ and noise/.")],
    debs: Annotated[
        Path | None, typer.Option("--from", help="Folder of .deb files; without it, apt downloads them.")
    ] = None,
    languages: Annotated[str, typer.Option(help="Voices to take, with commas between.")] = "en,es,fr,it,ru",
    verify: Annotated[
        bool, typer.Option("--verify", help="Fetch nothing: check every file of the folder by its SHA-256.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Recorded speech and noise: download, decode, split, write licences (needs the extra [data])."""
    from npuexplore.audio.debian.fetch import fetch_debian_speech
    from npuexplore.audio.debian.verify import fetched_document, verify_folder

    with progress_bars() as tell:
        if verify:
            checked = verify_folder(
                output, on_progress=lambda done, total: tell("verifying", done, total, "")
            )
            note(f"{output}: {checked} files are what the manifest says")
        else:
            wanted = [language.strip() for language in languages.split(",")]
            made = fetch_debian_speech(output, languages=wanted, debs=debs, say=note, on_progress=tell)
            note(f"Written: {output}" if made else f"{output}: already there")
    document = fetched_document(output)
    if as_json:
        print_json(document)
        return
    print_table(str(output), ["split", "what", "files", "minutes", "of"], list(_fetched_rows(document)))


def _fetched_rows(document: dict[str, Any]) -> Iterator[list[str]]:
    for split, parts in document["splits"].items():
        for part, said in parts.items():
            groups = ", ".join(f"{name} {minutes:.1f}" for name, minutes in said["groups"].items())
            yield [split, part, str(said["files"]), f"{said['minutes']:.1f}", groups]


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
