"""A study's several parts as a choice of the search: the parameter `profile`, and what one choice leaves.

A design is then a part and a plan: the same plan on two parts is two designs.
"""

from __future__ import annotations

from dataclasses import replace

from npuexplore.search.space import Space


def part_names(space: Space) -> tuple[str, ...]:
    """All parts of the study that a space belongs to, in its order; () where it names one part."""
    return space.parts


def only_part(space: Space, name: str) -> Space:
    """The designs of a space for one of its parts; its parameter `profile` keeps that choice alone."""
    return replace(
        space,
        parameters=tuple(
            replace(parameter, choices=(name,)) if parameter.kind == "profile" else parameter
            for parameter in space.parameters
        ),
    )


def part_column(space: Space) -> int | None:
    """The parameter that is the part; None where there is one part."""
    return next((i for i, each in enumerate(space.parameters) if each.kind == "profile"), None)


def by_part(space: Space) -> dict[str, Space]:
    """What each part that may be chosen leaves of a space; {} where there is one part."""
    column = part_column(space)
    names = () if column is None else space.parameters[column].choices
    return {str(name): only_part(space, str(name)) for name in names}
