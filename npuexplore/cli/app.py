"""The `npuexplore` command: verbs, and what happens when something is wrong."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from npuexplore import __version__
from npuexplore.cli import audio, costs, data, profiles, stages, study
from npuexplore.errors import EnvironmentLacking, NpuexploreError

INTERRUPTED = 130
BROKEN_PIPE = 141

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
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(
            f"npuexplore: {where}{error.strerror or error}; check the path, its rights and the disk\n"
        )
        sys.exit(EnvironmentLacking.exit_code)
    except MemoryError:
        sys.stderr.write("npuexplore: not enough memory; close other programs or use --workers 1\n")
        sys.exit(EnvironmentLacking.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("npuexplore: interrupted; the same command goes on where it stopped\n")
        sys.exit(INTERRUPTED)
