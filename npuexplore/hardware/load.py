"""Profiles from YAML, by name or path, whole or in pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from npuexplore.documents.shipped import find_document, shipped_names
from npuexplore.documents.strict_yaml import Located, read_located, validated
from npuexplore.hardware.catalogue import files_by_name
from npuexplore.hardware.compose import HOST, composed, composed_of
from npuexplore.hardware.profile import HardwareProfile


@dataclass(frozen=True)
class LocatedProfile:
    """A profile, its file, and the file and line of every key in it."""

    profile: HardwareProfile
    path: Path
    located: Located


def load_profile(name_or_path: str | Path) -> HardwareProfile:
    """The profile of a name or a YAML file; raises BadInput with file and line.

    A name is a file of the user's own folders (`catalogue.own_folders`) or a shipped one.

    >>> load_profile("stm32f746").clock_hz
    216000000
    """
    return load_located(name_or_path).profile


def load_located(name_or_path: str | Path) -> LocatedProfile:
    """`load_profile` that also says where everything stands."""
    first = {name: paths[0] for name, paths in files_by_name().items()}
    path = find_document(name_or_path, "hw_profiles", own=first)
    return located_text(read_located(path, what="hardware profile"), path)


def located_text(own: Located, path: Path) -> LocatedProfile:
    """The profile of a document that is read at, or will be written to, `path`; raises BadInput."""
    located = composed(own, path, profiles=files_by_name())
    return LocatedProfile(validated(located, HardwareProfile), path, located)


def compose_profile(
    part: str, system: str, *, name: str | None = None, others: Sequence[str] = (HOST,)
) -> HardwareProfile:
    """A profile of shipped fragments: an engine, a system around it, and what else it needs.

    part, system : names of files in hw_profiles/parts and hw_profiles/systems; others : fragments by
    `folder/name`, laid below the two. Raises BadInput for a name that is not there.
    """
    pieces = [*others, f"parts/{part}", f"systems/{system}"]
    called = name or f"{part}-{system}"
    document = {"schema": "npuexplore.profile/1", "name": called, "based_on": pieces}
    return validated(composed_of(document, where=called), HardwareProfile)


def list_profiles() -> list[str]:
    """Names of the shipped profiles."""
    return shipped_names("hw_profiles")
