"""The new profile: laid over the old one, with what was measured and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npuexplore.documents.rewrite import plain_or_quoted
from npuexplore.documents.strict_yaml import printable
from npuexplore.errors import UsageError
from npuexplore.hardware.calibration import Calibration
from npuexplore.hardware.catalogue import files_by_name
from npuexplore.pipeline.calibrate.run import Calibrated

HEAD = "# Made by `npuexplore calibrate`. What is not said here is as in the profile it is based on."


def profile_text(result: Calibrated, name: str, *, base: str) -> str:
    """The YAML of the calibrated profile; base : its entry in `based_on`."""
    measured = result.calibration
    told = f"{result.profile.description or result.profile.name}; calibrated on {measured.board or 'a board'}"
    lines = [
        HEAD,
        "schema: npuexplore.profile/1",
        f"name: {plain_or_quoted(name)}",
        f"description: {plain_or_quoted(told)}",
        f"based_on: [{plain_or_quoted(base)}]",
        *_mapping({"engine": _engine(result)}),
        *_mapping({"calibration": measured.model_dump(mode="json")}),
        "sources:",
        f"  - of: [{', '.join((*measured.coefficients, 'calibration'))}]",
        "    source: measured",
        f"    cite: {plain_or_quoted(citation(measured))}",
    ]
    return "\n".join(lines) + "\n"


def citation(measured: Calibration) -> str:
    """Where the coefficients come from, in one line."""
    return (
        f"{measured.board or 'board not named'}, {measured.stack or 'stack not named'}, {measured.date}: "
        f"{measured.rows} measurements in {measured.file}, fitted by npuexplore calibrate"
    )


def based_on(given: str, base: Path, target: Path) -> str:
    """How the profile that was given as a name or a path is named in a file at `target`.

    Raises UsageError for one that a profile cannot be laid over.
    """
    if given in files_by_name():
        return given
    if base.suffix not in (".yaml", ".yml"):
        raise UsageError(
            f"{printable(base)}: a profile can only be based on a file that ends in .yaml; rename it"
        )
    return os.path.relpath(base.resolve(), target.parent.resolve())


def _engine(result: Calibrated) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each, value in result.values.items():
        node = found
        *way, last = each.key.split(".")[1:]
        for step in way:
            node = node.setdefault(step, {})
        node[last] = value if each.is_ratio else int(value)
    return found


def _mapping(node: Mapping[str, Any], depth: int = 0) -> list[str]:
    lines = []
    for key, value in node.items():
        head = f"{'  ' * depth}{key}:"
        if isinstance(value, Mapping):
            lines += [head, *_mapping(value, depth + 1)]
        else:
            lines.append(f"{head} {_scalar(value)}")
    return lines


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return plain_or_quoted(value) if isinstance(value, str) else f"{value!r}"
