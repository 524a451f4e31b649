"""Designs that treat every layer alike: what a search looks at first."""

from __future__ import annotations

import numpy as np

from npuexplore.search.space import Choice, Parameter, Space
from npuexplore.units import IntArray


def uniform_choices(space: Space) -> IntArray:
    """Choice indices of the designs that treat every layer alike, (P, K) int64.

    Sparsity, bits and structure are equal in all layers; a layer that cannot have the structure is
    dense, one that has other sizes takes its first. Plans may repeat.
    """
    by_kind: dict[str, list[Choice]] = {}
    for parameter in space.parameters:
        known = by_kind.setdefault(parameter.kind, [])
        known += [choice for choice in parameter.choices if choice not in known]
    if any("dense" not in p.choices for p in space.parameters if p.kind == "structure"):
        by_kind["structure"] = [choice for choice in by_kind["structure"] if choice != "dense"]
    kinds = list(by_kind)
    grid = np.indices([len(by_kind[kind]) for kind in kinds]).reshape(len(kinds), -1).T
    columns = []
    for parameter in space.parameters:
        table = [_nearest_index(parameter, choice) for choice in by_kind[parameter.kind]]
        columns.append(np.array(table)[grid[:, kinds.index(parameter.kind)]])
    return np.unique(np.stack(columns, axis=1), axis=0)


def _nearest_index(parameter: Parameter, choice: Choice) -> int:
    """Of the choice itself, else of one of the same structure, else of dense."""
    if choice in parameter.choices:
        return parameter.choices.index(choice)
    words = [str(each).split()[0] for each in parameter.choices]
    word = str(choice).split()[0]
    return words.index(word if word in words else "dense")
