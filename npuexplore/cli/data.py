"""`npuexplore data ...`: what a folder holds, and speech and noise made here."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from npuexplore.cli.console import Json, note, print_json, print_table, progress_bars
from npuexplore.errors import UsageError

app = typer.Typer(
    no_args_is_help=True, help="Look at audio folders; fetch recorded data; write the built-in data as files."
)

RATE_HZ = 16_000
MOST_NAMED = 20
"""Speakers or kinds that a table names."""


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
    reader: Annotated[
        bool, typer.Option("--reader", help="Add a recorded man who reads (festvox-ru, 179 MB).")
    ] = False,
    men: Annotated[
        bool,
        typer.Option("--men", help="Add three men's voices of Debian's flite, which is run for them."),
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Fetch nothing: check every file of the folder by its SHA-256.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Recorded speech and noise: download, decode, split, write licences (needs the extra `data`)."""
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
            made = fetch_debian_speech(
                output,
                languages=wanted,
                reader=reader,
                men=men,
                debs=debs,
                say=note,
                on_progress=tell,
            )
        document = fetched_document(output)
        for one in document["left_out"]:
            note(_left_out(output, one))
        if not verify:
            note(f"Written: {output}" if made else f"{output}: already there")
    if as_json:
        print_json(document)
        return
    print_table(str(output), ["split", "what", "files", "minutes", "of"], list(_fetched_rows(document)))


def _left_out(folder: Path, one: dict[str, Any]) -> str:
    return (
        f"{folder}: is whole, but without {', '.join(one['speakers'])}, men's voices synthesised by "
        f"{one['package']} ({one['reason']}); to have them, fetch into a new folder where it can run"
    )


def _fetched_rows(document: dict[str, Any]) -> Iterator[list[str]]:
    for split, parts in document["splits"].items():
        for part, said in parts.items():
            groups = ", ".join(f"{name} {minutes:.1f}" for name, minutes in said["groups"].items())
            yield [split, part, str(said["files"]), f"{said['minutes']:.1f}", groups]


@app.command("inspect")
def inspect(
    folder: Annotated[
        Path,
        typer.Argument(help="speech/ and noise/, clean/ and noisy/, or VoiceBank-DEMAND's tree."),
    ],
    as_json: Json = False,
) -> None:
    """Layout, splits, minutes, speakers, rates, clipping, true bandwidth, levels and SNR of a folder."""
    from npuexplore.audio.survey import survey

    with progress_bars() as tell:
        document = survey(folder, on_progress=lambda done, total: tell("reading", done, total, ""))
    if as_json:
        print_json(document)
        return
    columns = ("part", "files", "min", "rates Hz", "bandwidth Hz", "clipped files", "level dB", "of, min")
    title = f"{folder} ({document['layout'].replace('_', ' ')})"
    print_table(title, columns, list(_survey_rows(document)))
    if snr_db := document["pairs"]["snr_db"]:
        note(f"SNR of the pairs: {_between(snr_db)} dB")
    for remark in document["notes"]:
        note(f"Note: {remark}")


def _survey_rows(document: dict[str, Any]) -> Iterator[list[str]]:
    parts = {f"{split} {part}": said for split, of in document["splits"].items() for part, said in of.items()}
    pairs = document["pairs"]
    if pairs["count"]:
        parts |= {f"pairs {pairs['name']} {side}": pairs[side] for side in ("clean", "noisy")}
    for name, said in parts.items():
        groups = said.get("speakers") or said.get("kinds") or {}
        named = ", ".join(f"{group} {minutes:.1f}" for group, minutes in groups.items())
        yield [
            name,
            str(said["files"]),
            f"{said['minutes']:.1f}",
            ", ".join(said["rates_hz"]),
            _between(said["bandwidth_hz"]),
            str(said["clipped_files"]),
            _between(said["level_db"]),
            named if len(groups) <= MOST_NAMED else f"{len(groups)} groups, see --json",
        ]


def _between(values: dict[str, float] | None) -> str:
    """Median, and in brackets lowest to highest."""
    if values is None:
        return ""
    return f"{values['median']:.0f} ({values['lowest']:.0f} to {values['highest']:.0f})"


@app.command("synth")
def synth(
    folder: Annotated[Path | None, typer.Argument(help="The same as --output.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="Folder to make.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=600.0, help="Speech in all splits.")] = 24.0,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    rate_hz: Annotated[int, typer.Option("--rate", min=8_000, max=96_000)] = RATE_HZ,
) -> None:
    """Write the built-in synthesised speech and noise as files (needs the extra `demo`)."""
    from npuexplore.audio.demo_files import write_demo

    target = output or folder
    if target is None or (output is not None and folder is not None):
        raise UsageError("data synth: name the folder to make once, with --output DIR")
    with progress_bars() as tell:
        write_demo(
            target,
            rate_hz=rate_hz,
            seed=seed,
            minutes=minutes,
            on_progress=lambda done, total: tell("synthesis", done, total, ""),
        )
    note(f"Written: {target}")
