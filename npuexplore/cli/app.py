"""The `npuexplore` command: verbs, and what happens when something is wrong."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from npuexplore import __version__
from npuexplore.cli import audio, costs, data, profiles, stages, study
from npuexplore.errors import NpuexploreError

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which sparsity and bit-widths make a recurrent network fit a part, and how it sounds then.",
)
app.add_typer(study.app, name="study")
app.add_typer(profiles.app, name="profile")
app.add_typer(data.app, name="data")
app.command("estimate")(costs.estimate)
app.command("search")(stages.search)
app.command("train")(stages.train)
app.command("retrain")(stages.retrain)
app.command("report")(stages.report)
app.command("evaluate")(audio.evaluate)
app.command("enhance")(audio.enhance)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"npuexplore {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


def main() -> None:
    """Entry point: errors become one sentence on stderr and an exit code."""
    try:
        app()
    except NpuexploreError as error:
        sys.stderr.write(f"npuexplore: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("npuexplore: interrupted; the same command goes on where it stopped\n")
        sys.exit(INTERRUPTED)
