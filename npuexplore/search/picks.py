"""Which plans are worth retraining: the knee, the best of each part and structure, the extremes, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import LimitsNotMet
from npuexplore.search.pareto import crowding, feasible_front, knee
from npuexplore.units import FloatArray

LOSS = "quality_loss_db"
MOST_UNCERTAIN = "most-uncertain"
"""Name of the pick whose predicted loss is least sure."""

_SUPERLATIVES = {
    "latency_ms": ("fastest", "fastest"),
    "mean_latency_ms": ("least-mean-time", "fastest on average"),
    "cycles": ("fastest", "fastest"),
    "flash_bytes": ("smallest", "smallest in flash"),
    "sram_bytes": ("least-sram", "smallest in SRAM"),
    "energy_uj": ("least-energy", "least energy"),
    "average_power_mw": ("least-power", "least power"),
    LOSS: ("best-quality", "least loss of quality"),
}
"""Objective -> (name of the pick that minimises it, the same in a sentence)."""


@dataclass(frozen=True)
class Pick:
    """A plan to retrain."""

    index: int
    """Its position among the evaluated plans."""
    name: str
    structure: str
    why: str
    """One sentence on what it is best at, with its predicted figures."""
    part: str | None = None
    """What it is for, where a study has several parts."""


@dataclass(frozen=True)
class PickList:
    """The picks, in the order of their importance, and what could not be picked."""

    picks: tuple[Pick, ...]
    missing: tuple[str, ...]
    """A sentence for each structure, and each of several parts, that no pick can stand for."""


def choose_picks(
    objectives: FloatArray,
    names: Sequence[str],
    *,
    feasible: NDArray[np.bool_],
    structures: Sequence[str],
    loss_limit_db: float,
    count: int,
    required: Sequence[str] = ("weight", "block", "unit"),
    single: NDArray[np.bool_] | None = None,
    uncertainty_db: FloatArray | None = None,
    parts: Sequence[str] | None = None,
    part_order: Sequence[str] = (),
) -> PickList:
    """Up to `count` plans: the knee, the best of each required structure, then the best of each objective.

    Where a study has several parts, the knee of each part's own front comes after the knee of all.

    objectives : (P, M) float, minimised, named by `names` (quality_loss_db among them); feasible : (P,)
    bool; structures : dominant structure of each plan; single : (P,) bool, whether it is the plan's only
    one (taken as true where not given): plans of one structure stand for it before mixed ones do;
    uncertainty_db : (P,) how unsure each loss is: where given, the least sure plan of the front is a pick,
    the last one unless it is another anyway; parts : (P,) name of the part that each plan is for, and
    part_order those of the study, where it has several. Only feasible plans within `loss_limit_db` are
    picked; where there is none at all, the feasible plans that lose least. Of equal plans the first one is
    taken. Raises LimitsNotMet when nothing is feasible.
    """
    if not feasible.any():
        raise LimitsNotMet(
            "no evaluated plan keeps every limit; raise a limit, allow more sparsity or search longer"
        )
    within = feasible & (objectives[:, names.index(LOSS)] <= loss_limit_db)
    table = _Table(
        objectives,
        tuple(names),
        np.array(structures),
        np.ones(len(objectives), bool) if single is None else single,
        loss_limit_db,
        np.array([""] * len(objectives) if parts is None else parts),
        () if parts is None else tuple(part_order),
    )
    missing = tuple(_missing(table, feasible, within, required))
    proposals = (
        _within_limit(table, within, required, count) if within.any() else _nearest(table, feasible, required)
    )
    if uncertainty_db is not None and within.any():
        unsure = _most_uncertain(table, feasible_front(table.objectives, within), uncertainty_db)
        return PickList(_first(proposals, count, unsure), missing)
    return PickList(_first(proposals, count), missing)


def _first(proposals: Iterable[Pick], count: int, unsure: Pick | None = None) -> tuple[Pick, ...]:
    """The first `count` proposals, no plan twice; the last gives way to `unsure`, where that is no other."""
    picks: dict[int, Pick] = {}
    for pick in proposals:
        if len(picks) == count:
            break
        picks.setdefault(pick.index, pick)
    if unsure is None or unsure.index in picks:
        return tuple(picks.values())
    return (*list(picks.values())[: count - 1], unsure)


def _most_uncertain(table: _Table, front: NDArray[np.int64], uncertainty_db: FloatArray) -> Pick:
    index = int(front[np.argmax(uncertainty_db[front])])
    reason = (
        f"Of the front within {table.loss_limit_db:g} dB the least sure, by {uncertainty_db[index]:.2f} dB"
    )
    return table.pick(index, MOST_UNCERTAIN, reason)


@dataclass(frozen=True)
class _Table:
    objectives: FloatArray
    names: tuple[str, ...]
    structures: NDArray[np.str_]
    single: NDArray[np.bool_]
    loss_limit_db: float
    parts: NDArray[np.str_]
    """(P,) empty where there is one part."""
    part_order: tuple[str, ...]

    @property
    def cost(self) -> str:
        """The objective that stands for speed or size: the first one that is not the quality."""
        return next(name for name in self.names if name != LOSS)

    def best(self, index: NDArray[np.int64], objective: str) -> int:
        """Among `index`, the plan with the least of an objective; the others, as listed, break ties."""
        first = self.names.index(objective)
        order = [first, *(column for column in range(len(self.names)) if column != first)]
        keys = [index, *(self.objectives[index, column] for column in reversed(order))]
        return int(index[np.lexsort(keys)[0]])

    def pick(self, index: int, name: str, reason: str) -> Pick:
        figures = ", ".join(
            figure(objective, value)
            for objective, value in zip(self.names, self.objectives[index].tolist(), strict=True)
        )
        part = str(self.parts[index])
        why = f"{reason}, on {part}: {figures} predicted." if part else f"{reason}: {figures} predicted."
        return Pick(index, name, str(self.structures[index]), why, part or None)


def _within_limit(
    table: _Table, within: NDArray[np.bool_], required: Sequence[str], count: int
) -> Iterator[Pick]:
    front = feasible_front(table.objectives, within)
    limit = f"within {table.loss_limit_db:g} dB of predicted loss"
    best_balance = int(front[knee(table.objectives[front])])
    yield table.pick(best_balance, "knee", f"Knee of the front, the best balance {limit}")
    others = list(_of_other_parts(table, within, best_balance))
    yield from others
    # A mixed knee stands for its main structure only where there are too few picks for all.
    counts = bool(table.single[best_balance]) or count <= len(others) + len(required)
    covered = str(table.structures[best_balance]) if counts else ""
    _, superlative = _SUPERLATIVES[table.cost]
    for structure in required:
        own = within & (table.structures == structure)
        if own.any() and structure != covered:
            only = bool((own & table.single).any())
            candidates = np.flatnonzero(own & table.single if only else own)
            whose = f"only {structure}-sparse" if only else f"mostly {structure}-sparse"
            reason = f"Of the plans that are {whose} the {superlative} {limit}"
            yield table.pick(table.best(candidates, table.cost), structure, reason)
    for objective in table.names:
        name, superlative = _SUPERLATIVES[objective]
        yield table.pick(table.best(front, objective), name, f"Of all plans the {superlative} {limit}")
    yield from _spread(table, front)


def _of_other_parts(table: _Table, within: NDArray[np.bool_], best_balance: int) -> Iterator[Pick]:
    """The knee of each part's own front, but for the part that the knee of all is for."""
    limit = f"within {table.loss_limit_db:g} dB of predicted loss"
    for part in table.part_order:
        own = within & (table.parts == part)
        if own.any() and part != table.parts[best_balance]:
            front = feasible_front(table.objectives, own)
            index = int(front[knee(table.objectives[front])])
            yield table.pick(index, f"on-{part}", f"Knee of its part's own front, the best balance {limit}")


def _spread(table: _Table, front: NDArray[np.int64]) -> Iterator[Pick]:
    """The rest of the front, loneliest first."""
    order = np.argsort(-crowding(table.objectives[front]), kind="stable")
    for rank, index in enumerate(front[order], start=1):
        yield table.pick(int(index), f"front-{rank}", "A point of the front far from the other picks")


def _nearest(table: _Table, feasible: NDArray[np.bool_], required: Sequence[str]) -> Iterator[Pick]:
    """Where no plan is within the limit: what fits and loses least, over all and of each structure."""
    reason = f"No plan that fits stays within {table.loss_limit_db:g} dB; this one loses least"
    yield table.pick(table.best(np.flatnonzero(feasible), LOSS), "best-quality", reason)
    for structure in required:
        own = np.flatnonzero(feasible & (table.structures == structure))
        if own.size:
            yield table.pick(table.best(own, LOSS), structure, f"{reason} of the {structure}-sparse plans")


def _missing(
    table: _Table, feasible: NDArray[np.bool_], within: NDArray[np.bool_], required: Sequence[str]
) -> Iterator[str]:
    """Why no plan of a required structure, or for one of several parts, can be picked."""
    kinds = {f"{name}-sparse plan": table.structures == name for name in required}
    kinds |= {f"plan for {name}": table.parts == name for name in table.part_order}
    loss = table.objectives[:, table.names.index(LOSS)]
    for kind, own in kinds.items():
        if (own & within).any():
            continue
        if (own & feasible).any():
            least = figure(LOSS, float(loss[own & feasible].min()))
            yield f"No {kind} that fits stays within {table.loss_limit_db:g} dB; the best has {least}."
        elif own.any():
            yield f"No {kind} that was evaluated keeps every limit."
        else:
            yield f"No {kind} was evaluated."


def figure(objective: str, value: float) -> str:
    """An objective's value with its unit, for a sentence.

    >>> figure("flash_bytes", 87000.0), figure("quality_loss_db", 0.314)
    ('87.0 kB flash', '0.31 dB loss')
    """
    if objective == "flash_bytes":
        return f"{value / 1000:,.1f} kB flash"
    if objective == "sram_bytes":
        return f"{value / 1000:,.1f} kB SRAM"
    if objective == "cycles":
        return f"{value:,.0f} cycles"
    forms = {
        "latency_ms": f"{value:.3g} ms",
        "mean_latency_ms": f"{value:.3g} ms on average",
        "energy_uj": f"{value:.3g} µJ per frame",
        "average_power_mw": f"{value:.3g} mW",
        LOSS: f"{value:.2f} dB loss",
    }
    return forms[objective]
