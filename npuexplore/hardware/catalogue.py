"""Where profiles lie: the user's own folders, then what is shipped; the first of a name counts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from npuexplore.documents.shipped import shipped_folder

VARIABLE = "NPUEXPLORE_PROFILES"
"""Environment variable with folders of profiles, parted as in PATH."""


def config_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of a user's own profiles, as XDG says."""
    base = environment.get("XDG_CONFIG_HOME", "")
    home = (
        Path(base) if os.path.isabs(base) else Path(environment.get("HOME") or "~").expanduser() / ".config"
    )
    return home / "npuexplore" / "profiles"


def own_folders(environment: Mapping[str, str]) -> list[tuple[str, Path]]:
    """(origin, folder) of everywhere a user may keep profiles, the one that counts first.

    >>> own_folders({"NPUEXPLORE_PROFILES": "/a:/b", "XDG_CONFIG_HOME": "/c"})[1:]
    [('NPUEXPLORE_PROFILES', PosixPath('/b')), ('own', PosixPath('/c/npuexplore/profiles'))]
    """
    named = [Path(part) for part in environment.get(VARIABLE, "").split(os.pathsep) if part]
    return [*((VARIABLE, folder) for folder in named), ("own", config_folder(environment))]


def missing_folders(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Folders that the variable names and that are not there."""
    folders = own_folders(environment)
    return [folder for origin, folder in folders if origin == VARIABLE and not folder.is_dir()]


def all_files(environment: Mapping[str, str] = os.environ) -> list[tuple[str, Path]]:
    """(origin, file) of every profile there is, the one that counts first."""
    folders = [*own_folders(environment), ("shipped", shipped_folder("hw_profiles"))]
    return [(origin, path) for origin, folder in folders for path in _yaml_files(folder)]


def files_by_name(environment: Mapping[str, str] = os.environ) -> dict[str, list[Path]]:
    """Files of every name, the one that counts first."""
    found: dict[str, list[Path]] = {}
    for _, path in all_files(environment):
        found.setdefault(path.stem, []).append(path)
    return found


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".yaml" and path.is_file())
    except OSError:
        return []
