"""Plans that may turn out better than a pick: as cheap, and predicted to lose nearly as little."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npuexplore.search.picks import LOSS, Pick, figure
from npuexplore.units import FloatArray

COST_SLACK_FRAC = 0.05
"""By how much a rival may exceed each cost of its pick."""


def rivals_of(
    picks: Sequence[Pick],
    objectives: FloatArray,
    names: Sequence[str],
    *,
    feasible: NDArray[np.bool_],
    structures: Sequence[str],
    count: int,
    parts: Sequence[str] | None = None,
) -> dict[str, tuple[Pick, ...]]:
    """For each pick up to `count` feasible plans of at most about its costs, least predicted loss first.

    objectives : (P, M) float, minimised, named by `names`; feasible : (P,) bool; structures : dominant
    structure of each plan; parts : (P,) the part that each is for, where a study has several. A plan is the
    rival of one pick only, and for the same part; a pick that stands for its structure has rivals of that
    structure.
    """
    costs = [column for column, name in enumerate(names) if name != LOSS]
    loss = objectives[:, list(names).index(LOSS)]
    free = feasible.copy()
    free[[pick.index for pick in picks]] = False
    found: dict[str, tuple[Pick, ...]] = {}
    for pick in picks:
        bound = objectives[pick.index, costs] * (1.0 + COST_SLACK_FRAC)
        own = free & (objectives[:, costs] <= bound).all(axis=1)
        if pick.name == pick.structure:
            own &= np.array(structures) == pick.structure
        if parts is not None:
            own &= np.array(parts) == pick.part
        index = np.flatnonzero(own)
        chosen = index[np.argsort(loss[index], kind="stable")][:count]
        free[chosen] = False
        found[pick.name] = tuple(
            Pick(
                int(each),
                f"{pick.name}-rival-{rank}",
                str(structures[each]),
                _reason(pick, names, objectives[each]),
                pick.part,
            )
            for rank, each in enumerate(chosen, start=1)
        )
    return found


def _reason(pick: Pick, names: Sequence[str], values: FloatArray) -> str:
    figures = ", ".join(figure(name, value) for name, value in zip(names, values.tolist(), strict=True))
    return f"At most about the cost of {pick.name}: {figures} predicted."
