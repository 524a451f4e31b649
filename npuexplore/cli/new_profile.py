"""`npuexplore profile new`: a profile from a few answers, or from another one."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from npuexplore.cli.console import note
from npuexplore.errors import BadInput, UsageError

if TYPE_CHECKING:
    from npuexplore.hardware.draft import Sizes

SCHEMA_FILE = "profile.schema.json"
"""A schema of this name beside the new profile is named in its first line."""


class Base(NamedTuple):
    """What answers about an engine come to."""

    based_on: list[str]
    changes: dict[tuple[str | int, ...], Any]
    description: str


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new profile.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Profile to copy, comments and sources with it.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="micronpu, cortex_m or ethos_u.")] = None,
    clock_mhz: Annotated[float | None, typer.Option(help="Clock of the engine.")] = None,
    sram_kib: Annotated[float | None, typer.Option(help="SRAM for the network and its software.")] = None,
    flash_kib: Annotated[float | None, typer.Option(help="Flash for weights and code.")] = None,
    array: Annotated[str | None, typer.Option(help="micronpu: MAC array, such as 8x16.")] = None,
    sparsity_mode: Annotated[str | None, typer.Option(help="micronpu: what becomes of zeros.")] = None,
    core: Annotated[str | None, typer.Option(help="cortex_m: m4, m7, ...")] = None,
    part: Annotated[str | None, typer.Option(help="ethos_u: ethos-u55-128, ...")] = None,
    system: Annotated[str | None, typer.Option(help="ethos_u: the memories around it.")] = None,
    description: Annotated[str | None, typer.Option(help="One line on the part.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder to write into; else your own folder of profiles.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a profile that is there.")] = False,
) -> None:
    """Start a profile by answering a few questions (each is an option too), or from another one."""
    from npuexplore.hardware.catalogue import config_folder

    given = {
        "--clock-mhz": clock_mhz, "--sram-kib": sram_kib, "--flash-kib": flash_kib, "--array": array,
        "--sparsity-mode": sparsity_mode, "--core": core, "--part": part, "--system": system,
    }  # fmt: skip
    target = (folder or config_folder()) / f"{_sound_name(name)}.yaml"
    if target.exists() and not force:
        raise UsageError(f"{target}: exists already; give another name, or --force to replace it")
    if source is not None and family is not None:
        raise UsageError("--from and --family: a copy has the family of what it copies; give one of the two")
    if source is not None:
        text = _copy(name, source, given, description=description, target=target)
    else:
        text = _fresh(name, _family(family), given, description=description, target=target)
    _write(text, target, source=source)


def _copy(name: str, source: str, given: Mapping[str, Any], *, description: str | None, target: Path) -> str:
    from npuexplore.hardware.draft import copied_text, size_changes
    from npuexplore.hardware.load import load_located

    _refuse_others(given, (), because="--from")
    loaded = load_located(source)
    told = {("description",): description} if description is not None else {}
    changes = told | size_changes(loaded.profile, _sizes(given))
    return copied_text(loaded.path, name=name, changes=changes, folder=target.parent)


def _fresh(name: str, family: str, given: Mapping[str, Any], *, description: str | None, target: Path) -> str:
    from npuexplore.hardware.draft import based_text

    flags, base_of = FAMILIES[family]
    _refuse_others(given, flags, because=f"--family {family}")
    base = base_of(given)
    asked = {flag: _number(flag, question, given[flag]) for flag, question in SIZES.items()}
    return based_text(
        name,
        target,
        description=base.description if description is None else description,
        based_on=base.based_on,
        changes=base.changes,
        sizes=_sizes(asked),
        head=_head(target.parent),
    )


def _micronpu(given: Mapping[str, Any]) -> Base:
    from npuexplore.hardware.draft import FORMATS, MICRONPU_BASE, micronpu_changes

    text = _answer("--array", "MAC array, outputs x inputs in a cycle, such as 8x16", given["--array"])
    sides = re.fullmatch(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", text)
    if sides is None:
        raise UsageError(f"--array {text!r}: write outputs x inputs in a cycle, such as 8x16")
    mode = _chosen("--sparsity-mode", "what becomes of zeros", given["--sparsity-mode"], FORMATS)
    outputs, inputs = int(sides[1]), int(sides[2])
    changes = micronpu_changes(outputs=outputs, inputs=inputs, sparsity_mode=mode)
    return Base([MICRONPU_BASE], changes, f"A microNPU with {outputs} x {inputs} MACs, {mode}")


def _cortex_m(given: Mapping[str, Any]) -> Base:
    from npuexplore.hardware.draft import UNKNOWN, cores

    known = cores()
    core = _chosen("--core", "core", given["--core"], known)
    return Base([known[core]], dict(UNKNOWN), f"A Cortex-{core.upper()} with the kernels of {known[core]}")


def _ethos_u(given: Mapping[str, Any]) -> Base:
    from npuexplore.hardware.compose import HOST
    from npuexplore.hardware.draft import parts

    known = parts()
    part = _chosen("--part", "part", given["--part"], known)
    system = _chosen("--system", "system around it", given["--system"], known[part])
    return Base([HOST, f"parts/{part}", f"systems/{system}"], {}, f"Arm {part} in the system {system}")


FAMILIES: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, Any]], Base]]] = {
    "micronpu": (("--array", "--sparsity-mode"), _micronpu),
    "cortex_m": (("--core",), _cortex_m),
    "ethos_u": (("--part", "--system"), _ethos_u),
}
"""Questions of each family of engines, and what the answers come to."""
SIZES = {
    "--clock-mhz": "clock of the engine in MHz",
    "--sram-kib": "SRAM in KiB",
    "--flash-kib": "flash in KiB",
}
"""Questions of all families."""


def _family(given: str | None) -> str:
    return _chosen("--family", "family of the engine", given, FAMILIES)


def _chosen(flag: str, question: str, given: str | None, allowed: Collection[str]) -> str:
    listed = ", ".join(allowed)
    answer = _answer(flag, f"{question} ({listed})", given)
    if answer not in allowed:
        raise UsageError(f"{flag} {answer!r}: allowed are {listed}; give one of those")
    return answer


def _number(flag: str, question: str, given: float | None) -> float:
    answer = _answer(flag, question, None if given is None else str(given))
    try:
        value = float(answer)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise UsageError(f"{flag} {answer}: allowed is a number above 0; give one")
    return value


def _answer(flag: str, question: str, given: str | None) -> str:
    """What the option says, or else the person."""
    if given is not None:
        return given
    sys.stderr.write(f"{question}: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        sys.stderr.write("\n")
        raise UsageError(f"{flag}: not given, and nobody answers; give the option")
    return line.strip()


def _refuse_others(given: Mapping[str, Any], flags: Collection[str], *, because: str) -> None:
    for flag, value in given.items():
        if value is not None and flag not in flags and flag not in SIZES:
            raise UsageError(f"{flag}: does not go with {because}; leave one of the two out")


def _sizes(given: Mapping[str, Any]) -> Sizes:
    from npuexplore.hardware.draft import Sizes

    clock, sram, flash = (given[flag] for flag in SIZES)
    return Sizes(
        clock_hz=None if clock is None else round(clock * 1_000_000),
        sram_bytes=None if sram is None else round(sram * 1_024),
        flash_bytes=None if flash is None else round(flash * 1_024),
    )


def _sound_name(name: str) -> str:
    from npuexplore.documents.model import NAME_PATTERN

    if not re.fullmatch(NAME_PATTERN.removeprefix("^").removesuffix("$"), name) or name.endswith(".yaml"):
        raise UsageError(
            f"{name!r}: not a name; write letters, digits, '_', '.' and '-' (the folder goes to --folder)"
        )
    return name


def _head(folder: Path) -> str:
    from npuexplore.hardware.schema import modeline

    return f"{modeline(SCHEMA_FILE)}\n" if (folder / SCHEMA_FILE).is_file() else ""


def _write(text: str, target: Path, *, source: str | None) -> None:
    from npuexplore.documents.atomic import write_text
    from npuexplore.hardware.draft import drafted
    from npuexplore.hardware.lint import check_located
    from npuexplore.hardware.load import load_located

    try:
        findings = check_located(drafted(text, target))
    except BadInput as error:
        raise UsageError(f"nothing is written, because it would be refused: {error}") from None
    known = {(old.key, old.problem) for old in check_located(load_located(source))} if source else set()
    fresh = [finding for finding in findings if (finding.key, finding.problem) not in known]
    if fresh:
        raise UsageError(f"nothing is written, because `profile check` would say: {fresh[0]}")
    write_text(target, text)
    note(f"Written: {target}")
