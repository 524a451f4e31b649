"""Memory factors of boards, each from the rows of other boards only."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from npuexplore.pipeline.verify.silicon_rows import SiliconRow, core_of

CACHED_CORES = ("m7", "m55", "m85")
"""Cores with caches and tightly coupled memory, whose loops find code and inputs there."""


def memory_factor(row: SiliconRow, rows: Sequence[SiliconRow]) -> tuple[float, str]:
    """Cycles of a board over those without wait states, and what says so; its own rows never count.

    The median over scored rows of other boards with the core ("M33 rows: 4"). Where there are none, 1 for
    cores with caches ("caches"), else the median over scored rows of boards with cores that have none.
    """
    others = [other for other in rows if other.scored and other.board != row.board]
    same = [other.ratio for other in others if other.core == row.core]
    if same:
        return median(same), f"{row.core.removeprefix('Cortex-')} rows: {len(same)}"
    if core_of(row.core) in CACHED_CORES:
        return 1.0, "caches"
    near = [other.ratio for other in others if core_of(other.core) not in CACHED_CORES]
    if near:
        return median(near), f"rows of other cores: {len(near)}"
    return 1.0, "nothing"
