"""Tables of kernels as they lie in hw_profiles/kernels: by core, toolchain and name."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import lru_cache
from typing import Any

from npuexplore.documents.shipped import shipped_folder
from npuexplore.errors import BadInput

Place = tuple[str, str, str]
"""Core, toolchain and name of a kernel."""


@lru_cache(maxsize=16)
def kernel_table(stem: str) -> Any:
    """The document of a file, read once."""
    path = shipped_folder("hw_profiles") / "kernels" / f"{stem}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def listed_kernels(stem: str, *, but: Collection[str] = ()) -> tuple[Place, ...]:
    """Every kernel of a file.

    but : names that are no kernels of their own

    >>> len(listed_kernels("product"))
    32
    """
    return tuple(
        (core, toolchain, name)
        for core, toolchains in kernel_table(stem)["kernels"].items()
        for toolchain, names in toolchains.items()
        for name in names
        if name not in but
    )


def kernel_entry(stem: str, place: Place, *, but: Collection[str] = ()) -> Any:
    """The entry of a kernel; raises BadInput for one that the file lacks."""
    core, toolchain, name = place
    if place not in listed_kernels(stem, but=but):
        there = ", ".join(
            f"{each} on {part} under {tools}" for part, tools, each in listed_kernels(stem, but=but)
        )
        raise BadInput(f"kernels/{stem}.json: got {name} on {core} under {toolchain}; it has {there}")
    return kernel_table(stem)["kernels"][core][toolchain][name]
