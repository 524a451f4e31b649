"""All profiles there are: where each comes from, what hides what, and which cannot be read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuexplore.documents.strict_yaml import printable
from npuexplore.errors import BadInput
from npuexplore.hardware.catalogue import all_files
from npuexplore.hardware.load import load_located
from npuexplore.hardware.profile import HardwareProfile


@dataclass(frozen=True)
class Listed:
    """One file of a folder of profiles."""

    name: str
    origin: str
    """shipped, own (the user's folder) or the environment variable."""
    path: Path
    profile: HardwareProfile | None
    problem: str | None
    """Why the profile cannot be read."""
    shadowed_by: Path | None
    """The file of the same name that counts instead."""

    def document(self) -> dict[str, Any]:
        """The entry in `profile list --json`."""
        profile = self.profile
        return {
            "name": self.name,
            "family": profile.engine.family if profile else None,
            "clock_hz": profile.clock_hz if profile else None,
            "description": profile.description if profile else None,
            "origin": self.origin,
            "path": printable(self.path),
            "shadowed_by": printable(self.shadowed_by) if self.shadowed_by else None,
            "problem": self.problem,
        }

    def row(self) -> tuple[str, ...]:
        """Name, family, clock, origin and description for people."""
        origin = f"{self.origin} (shadowed)" if self.shadowed_by else self.origin
        if self.profile is None:
            return (self.name, "broken", "-", origin, self.problem or "")
        return (
            self.name,
            self.profile.engine.family,
            f"{self.profile.clock_hz / 1e6:g}",
            origin,
            self.profile.description,
        )

    def remarks(self) -> list[str]:
        """Sentences about what is not as expected."""
        sentences = [f"{self.name} is broken: {self.problem}"] if self.problem else []
        if self.shadowed_by:
            sentences.append(f"{printable(self.path)} is shadowed by {printable(self.shadowed_by)}")
        return sentences


def listed(environment: Mapping[str, str] = os.environ) -> list[Listed]:
    """Every profile, by name; of one name, the one that counts first."""
    first: dict[str, Path] = {}
    found = []
    for origin, path in all_files(environment):
        profile, problem = _read(path)
        found.append(Listed(path.stem, origin, path, profile, problem, first.get(path.stem)))
        first.setdefault(path.stem, path)
    return sorted(found, key=lambda entry: entry.name)


def _read(path: Path) -> tuple[HardwareProfile | None, str | None]:
    try:
        return load_located(path).profile, None
    except BadInput as error:
        return None, str(error)
