"""Profiles in pieces: `based_on` names fragments and profiles that a document is laid over.

A bare name is a profile or, where no profile bears it, a fragment; `parts/NAME` and `systems/NAME` always
mean the shipped fragment; anything that ends in .yaml is a path seen from the folder of the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, NoReturn

from npuexplore.documents.layers import laid_over, without
from npuexplore.documents.sentences import KeyPath, Place
from npuexplore.documents.shipped import nearest_first, shipped_folder
from npuexplore.documents.strict_yaml import Located, printable, read_located
from npuexplore.errors import BadInput

HOST = "parts/cortex-m55-host"
"""The fragment with a CPU and a runtime for an engine without a board."""
FRAGMENT_FOLDERS = ("parts", "systems")
"""Folders of the shipped fragments: engines and CPUs; clocks, memories and their modes."""
WHAT = "hardware profile"
MAX_PIECES = 64
"""More documents than this in one profile are an accident."""
OF_THE_FILE_ALONE = ("schema", "name", "description", "based_on")
"""Keys that a base does not hand on."""


def composed(own: Located, path: Path, *, profiles: Mapping[str, Sequence[Path]]) -> Located:
    """A document with everything that it is based on below it.

    own : what is read at, or will be written to, `path`; profiles : files that a name in `based_on` may
    mean, the one that counts first.
    Raises BadInput with the place of a name that is unknown, goes round in a circle or means two things.
    """
    return _on_its_bases(own, path, _search(profiles), (path,))


def composed_of(document: dict[str, Any], *, where: str) -> Located:
    """A document that is no file, on the shipped fragments that it names."""
    paths: list[KeyPath] = [(), *((key,) for key in document)]
    paths += [("based_on", index) for index, _ in enumerate(document["based_on"])]
    places: dict[KeyPath, Place] = dict.fromkeys(paths, (where, 1))
    own = Located(document, places)
    return composed(own, shipped_folder("hw_profiles") / where, profiles={})


def lasting_name(entry: str, asking: Path, *, folder: Path, profiles: Mapping[str, Sequence[Path]]) -> str:
    """An entry of `based_on` of the file `asking`, as it must read in a file in another folder.

    Raises ValueError where it means nothing or two things.
    """
    meant = _search(profiles).meant_by(entry, asking)
    if entry.endswith(".yaml") and meant == asking.parent / entry:
        return os.path.relpath(meant, folder)
    for name, fragment in fragments().items():
        if fragment == meant:
            return name
    return entry


def fragments() -> dict[str, Path]:
    """Shipped fragments by `folder/name`."""
    return {
        f"{folder}/{path.stem}": path
        for folder in FRAGMENT_FOLDERS
        for path in sorted((shipped_folder("hw_profiles") / folder).glob("*.yaml"))
    }


def _search(profiles: Mapping[str, Sequence[Path]]) -> _Search:
    files = {f"profiles/{name}": paths for name, paths in profiles.items()}
    return _Search(files | {name: [fragment] for name, fragment in fragments().items()})


@dataclass
class _Search:
    """What names may mean, and how many documents have been read."""

    files: Mapping[str, Sequence[Path]]
    """By `folder/name`, the one that counts first."""
    read: int = 0

    def meant_by(self, name: str, asking: Path) -> Path:
        """The file of an entry of `based_on` of the file `asking`.

        By its own name a file means the one that it hides. Raises ValueError with the end of a sentence.
        """
        keys = [key for key in self.files if name in (key, key.split("/", 1)[1])]
        hidden = {key: _after(asking, self.files[key]) for key in keys}
        meant = [key for key in keys if hidden[key]]
        if len(meant) == 1:
            return hidden[meant[0]][0]
        if meant:
            raise ValueError(f"got {name!r}, which means {' and '.join(meant)}; write one of those")
        if keys:
            return asking
        if name.endswith((".yaml", ".yml")):
            return asking.parent / name
        allowed = nearest_first(name, [key.removeprefix("profiles/") for key in self.files])
        raise ValueError(f"got {name!r}; there is {allowed}; write one of those or a path to a .yaml")


def _on_its_bases(own: Located, path: Path, search: _Search, way: tuple[Path, ...]) -> Located:
    entries = own.data.get("based_on")
    if entries is None:
        return without(own, ["based_on"])
    if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
        _refuse(own.places["based_on",], "based_on: write a list of names, such as [parts/ethos-u55-128]")
    bases = [
        _base(entry, own.places["based_on", index], index, path, search, way)
        for index, entry in enumerate(entries)
    ]
    layers = [*bases, without(own, ["based_on"])]
    return reduce(lambda lower, upper: laid_over(lower, upper, joined=["sources"]), layers)


def _base(
    entry: str, place: Place, index: int, path: Path, search: _Search, way: tuple[Path, ...]
) -> Located:
    key = f"based_on.{index}"
    try:
        base = search.meant_by(entry, path)
    except ValueError as error:
        _refuse(place, f"{key}: {error}")
    known = [seen for seen in way if _same(seen, base)]
    if known:
        circle = " -> ".join(printable(seen) for seen in (*way[way.index(known[0]) :], base))
        _refuse(place, f"{key}: goes round in a circle ({circle}); remove one of these")
    search.read += 1
    if search.read > MAX_PIECES:
        _refuse(place, f"{key}: more than {MAX_PIECES} documents in one profile; base it on fewer")
    try:
        piece = read_located(base, what=WHAT)
    except BadInput as error:
        _refuse(place, f"{key}: {error}")
    return without(_on_its_bases(piece, base, search, (*way, base)), OF_THE_FILE_ALONE)


def _after(asking: Path, paths: Sequence[Path]) -> Sequence[Path]:
    """The files of a name that come after `asking`; all of them where it is none of them."""
    place = next((index for index, path in enumerate(paths) if _same(path, asking)), -1)
    return paths[place + 1 :]


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return one == other


def _refuse(place: Place, problem: str) -> NoReturn:
    raise BadInput(f"{place[0]}:{place[1]}: {problem}")
