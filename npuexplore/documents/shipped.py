"""Profiles, studies and networks that come with npuexplore, by name, in a checkout and in a wheel."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from npuexplore.errors import BadInput

Kind = Literal["hw_profiles", "studies", "networks"]

SHOWN_NAMES = 8
"""More names than this in a sentence are not read."""

_FOLDERS: dict[Kind, str] = {
    "hw_profiles": "hw_profiles",
    "studies": "studies",
    "networks": "studies/networks",
}
_WORDS: dict[Kind, str] = {"hw_profiles": "hardware profile", "studies": "study", "networks": "network"}


def shipped_folder(kind: Kind) -> Path:
    """The folder of the shipped files: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped"
    return (installed if installed.is_dir() else package.parent) / _FOLDERS[kind]


def shipped_names(kind: Kind) -> list[str]:
    """Names that `find_document` knows, sorted."""
    return sorted(path.stem for path in shipped_folder(kind).glob("*.yaml"))


def find_document(name_or_path: str | Path, kind: Kind, *, own: Mapping[str, Path] | None = None) -> Path:
    """The file meant by a name or by a path.

    own : the user's documents by name; they count before shipped ones.
    Raises BadInput that names what there is, nearest first, when there is neither.
    """
    text = str(name_or_path)
    files = {name: shipped_folder(kind) / f"{name}.yaml" for name in shipped_names(kind)} | dict(own or {})
    if text in files:
        return files[text]
    path = Path(text)
    if text and _exists(path):
        return path
    raise BadInput(_not_found(text, sorted(files), kind))


def nearest_first(text: str, names: Iterable[str]) -> str:
    """A few names in a row, the most similar first, and how many more there are.

    >>> nearest_first("m4", ["a", "m7", "m4x"])
    'm4x, m7, a'
    """
    words = difflib.SequenceMatcher(b=text[:80])

    def likeness(name: str) -> float:
        words.set_seq1(name)
        return words.ratio()

    ranked = sorted(sorted(names), key=likeness, reverse=True)
    more = len(ranked) - SHOWN_NAMES
    return ", ".join(ranked[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _not_found(text: str, names: list[str], kind: Kind) -> str:
    word = _WORDS[kind]
    looks_like_path = os.sep in text or text.endswith((".yaml", ".yml"))
    problem = "no such file" if looks_like_path else f"no {word} of that name and no such file exists"
    near = difflib.get_close_matches(Path(text).stem if looks_like_path else text, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listed = nearest_first(text, names) or "none"
    shown = repr(text if len(text) <= 80 else f"{text[:77]}...")
    return f"{word} {shown}: {problem}; {hint}give a path or one of the names: {listed}"
