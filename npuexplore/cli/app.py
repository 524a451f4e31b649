"""The `npuexplore` command: verbs, and what happens when something is wrong."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer

from npuexplore import __version__
from npuexplore.errors import EnvironmentLacking, NpuexploreError, UsageError

GARBAGE_THRESHOLD = 50_000
"""Objects between two looks for garbage; Python's 700 would look a hundred times while modules load."""
INTERRUPTED = 130
BROKEN_PIPE = 141

TyperUsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Parent of all that typer says of a command line; its module differs between versions of typer."""

VERBS: Mapping[str, tuple[str, str]] = {
    "study": ("study", "app"),
    "profile": ("profiles", "app"),
    "data": ("data", "app"),
    "estimate": ("costs", "estimate"),
    "compare-structures": ("compare", "compare_structures"),
    "search": ("stages", "search"),
    "train": ("stages", "train"),
    "retrain": ("stages", "retrain"),
    "report": ("stages", "report"),
    "verify": ("verify", "verify"),
    "calibrate": ("calibrate", "calibrate"),
    "evaluate": ("audio", "evaluate"),
    "enhance": ("audio", "enhance"),
}
"""Verb: module of this package, and what in it is a function or a group of verbs."""


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"npuexplore {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


def app_of(verbs: Iterable[str]) -> typer.Typer:
    """The command with some of its verbs, whose modules are loaded here."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Which sparsity and bit-widths make a recurrent network fit a part, and how it sounds then.",
    )
    app.callback()(options)
    for verb in verbs:
        module, name = VERBS[verb]
        found = getattr(import_module(f"npuexplore.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command(verb)(found)
    return app


def main() -> None:
    """Entry point: errors become one sentence on stderr and an exit code."""
    _prepare_streams()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read every installed package
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        _run(sys.argv[1:])
        sys.stdout.flush()
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except TyperUsageError as error:
        _refuse(error)
    except NpuexploreError as error:
        _leave(str(error), error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        problem = f"{where}{error.strerror or error}; check the path, its rights and the disk"
        _leave(problem, EnvironmentLacking.exit_code)
    except MemoryError:
        _leave("not enough memory; close other programs or use --workers 1", EnvironmentLacking.exit_code)
    except KeyboardInterrupt:
        _leave("interrupted; the same command goes on where it stopped", INTERRUPTED)


def _run(arguments: list[str]) -> None:
    """Parses and calls a verb; what goes wrong is raised, not printed."""
    asked = [argument for argument in arguments[:1] if argument in VERBS]
    command = typer.main.get_command(app_of(asked or VERBS))
    with command.make_context("npuexplore", arguments) as context:
        command.invoke(context)


def _prepare_streams() -> None:
    """Makes printing safe: into a stream that the shell closed (`>&-`), of what a terminal cannot show."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if name == "stderr" else "replace")


def _refuse(error: Any) -> NoReturn:
    """What typer found wrong with the command line, in one sentence; the help where nothing was given."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(UsageError.exit_code)
    problem = " ".join(error.format_message().split()).rstrip(".")
    command = error.ctx.command_path if error.ctx else "npuexplore"
    _leave(f"{problem}; see `{command} --help`", UsageError.exit_code)


def _leave(sentence: str, exit_code: int) -> NoReturn:
    one_line = "".join(character if character.isprintable() else "?" for character in sentence)
    sys.stderr.write(f"npuexplore: {one_line}\n")
    sys.exit(exit_code)
