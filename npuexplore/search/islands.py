"""Searches within a search: plans of one structure, or for one part, have to be compared with all others."""

from __future__ import annotations

from npuexplore.search.parts import by_part
from npuexplore.search.space import Space, only_structure


def islands_of(space: Space) -> dict[str, Space]:
    """What gets a search of its own before the whole space does, by name.

    Each of several structures (`block`), then each of several parts (`on stm32f746`).
    """
    structures = space.structures if len(space.structures) > 1 else ()
    parts = by_part(space) if len(by_part(space)) > 1 else {}
    return {
        **{name: only_structure(space, name) for name in structures},
        **{f"on {name}": own for name, own in parts.items()},
    }
