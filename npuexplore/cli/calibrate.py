"""`npuexplore calibrate`: a profile's coefficients from a board's measurements."""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from npuexplore.cli.console import Json, note, print_json
from npuexplore.errors import BadInput, UsageError

if TYPE_CHECKING:
    from npuexplore.hardware.load import LocatedProfile
    from npuexplore.pipeline.calibrate import Calibrated

SUFFIX = "-calibrated"
"""Ends the name of a profile that nobody named."""


Measured = Annotated[
    Path | None, typer.Argument(metavar="MEASURED.csv", help="Measured layers and networks.")
]
Profile = Annotated[
    str | None, typer.Option("--profile", "-p", help="Profile of the part: a name or a path.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="YAML file of the new profile.")]
Name = Annotated[str | None, typer.Option(help="Name of the new profile, in your own folder of profiles.")]
Where = Annotated[
    list[str] | None,
    typer.Option(help="Rows to take: column=value, with * for any text; may be repeated."),
]
Coefficients = Annotated[
    str | None,
    typer.Option(help="memory_wait_ratio, cycles_per_layer, elementwise, sparse, product; by comma."),
]
Board = Annotated[str | None, typer.Option(help="Where it was measured.")]
Stack = Annotated[str | None, typer.Option(help="Kernels, compiler and runtime measured.")]
Day = Annotated[str | None, typer.Option(help="Day of the measurements, YYYY-MM-DD.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a profile that is there.")]
Example = Annotated[
    bool, typer.Option("--example", help="Print an example of MEASURED.csv, and do nothing else.")
]


def calibrate(
    measured: Measured = None,
    profile: Profile = None,
    output: Output = None,
    name: Name = None,
    where: Where = None,
    coefficients: Coefficients = None,
    board: Board = None,
    stack: Stack = None,
    date: Day = None,
    force: Force = False,
    example: Example = False,
    as_json: Json = False,
) -> None:
    """Fit a Cortex-M profile to measurements, and write a new profile whose estimates have intervals."""
    from npuexplore.cli.calibrate_tables import show_calibration
    from npuexplore.hardware.load import load_located
    from npuexplore.pipeline.calibrate import EXAMPLE, Said, named_coefficients
    from npuexplore.pipeline.calibrate import calibrate as fitted
    from npuexplore.pipeline.calibrate.document import calibration_document

    if example:
        sys.stdout.write(EXAMPLE)
        return
    if measured is None or profile is None:
        lacking = "MEASURED.csv" if measured is None else "--profile"
        raise UsageError(f"{lacking}: not given; `npuexplore calibrate --example` prints an example file")
    base = load_located(profile)
    target = _target(base, output=output, name=name, force=force)
    result = fitted(
        measured,
        base.profile,
        where=where or (),
        coefficients=named_coefficients(coefficients) if coefficients is not None else None,
        said=Said(board=board, stack=stack, date=_day(date)),
        today=datetime.date.today().isoformat(),
    )
    _write(result, base, target, given=profile)
    document = calibration_document(result, name=target.stem, written=str(target))
    if as_json:
        print_json(document)
    else:
        show_calibration(document)


def _target(base: LocatedProfile, *, output: Path | None, name: str | None, force: bool) -> Path:
    """Where the new profile goes: a named file, the user's own folder, or the working folder."""
    from npuexplore.documents.model import NAME_PATTERN
    from npuexplore.hardware.catalogue import config_folder

    if output is not None and name is not None:
        raise UsageError("--output and --name: a file, or a name in your own folder; give one of the two")
    if output is not None:
        target = output
    elif name is not None:
        target = config_folder() / f"{name}.yaml"
    else:
        target = Path(f"{base.profile.name[: 64 - len(SUFFIX)]}{SUFFIX}.yaml")
    sound = re.fullmatch(NAME_PATTERN.removeprefix("^").removesuffix("$"), target.stem)
    if target.suffix != ".yaml" or sound is None or (name is not None and target.stem != name):
        given = name if name is not None else str(output)
        raise UsageError(
            f"{given!r}: a profile is called by letters, digits, '_', '.' and '-', and its file ends in .yaml"
        )
    if target.exists() and target.resolve() == base.path.resolve():
        raise UsageError(f"{target}: is the profile that is calibrated; name another file")
    if target.exists() and not force:
        raise UsageError(f"{target}: exists already; give another --output, or --force to replace it")
    return target


def _day(text: str | None) -> str | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UsageError(f"--date {text!r}: write the day as YYYY-MM-DD") from None


def _write(result: Calibrated, base: LocatedProfile, target: Path, *, given: str) -> None:
    from npuexplore.documents.atomic import write_text
    from npuexplore.hardware.draft import drafted
    from npuexplore.hardware.lint import check_located
    from npuexplore.pipeline.calibrate.written import based_on, profile_text

    text = profile_text(result, target.stem, base=based_on(given, base.path, target))
    try:
        loaded = drafted(text, target)
    except BadInput as error:
        raise UsageError(f"nothing is written, because it would be refused: {error}") from None
    known = {(old.key, old.problem) for old in check_located(base)}
    for finding in check_located(loaded):
        if (finding.key, finding.problem) not in known:
            note(f"Doubtful: {finding}")
    replaced = target.exists()
    write_text(target, text)
    note(f"{'Replaced' if replaced else 'Written'}: {target}")
