"""Before searching: does anything in the space keep every limit, and if not, which limit is to blame?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npuexplore.compression.matrix_plan import MatrixChoice
from npuexplore.compression.plan import MATRIX_KEYS, STRUCTURES, LayerPlan, PlanBatch, plan_at
from npuexplore.errors import LimitsNotMet
from npuexplore.search.evaluation import Constraint, Evaluate
from npuexplore.search.parts import by_part, part_names
from npuexplore.search.space import Space, plans_from, random_choices
from npuexplore.search.uniform import uniform_choices
from npuexplore.units import FloatArray, IntArray
from npuexplore.workload.network import Network

RANDOM_PLANS = 1_000
SWEEPS = 3
ROUNDS, PARENTS, CHILDREN = 100, 200, 400
"""Effort of the last resort, for limits that can each be kept but pull apart."""

_REMEDIES = {
    "flash_bytes": "allow more sparsity or fewer weight_bits, or take a smaller network or more flash",
    "sram_bytes": "allow unit sparsity, take a smaller network, or a part or memory mode with more SRAM",
    "engine_weight_bytes": "allow more sparsity or fewer weight_bits, or take a smaller network",
    "latency_ms": "allow more sparsity, take a smaller network, a faster part or a longer deadline_ms",
    "quality_loss_db": "raise the allowed loss, or list lower sparsities and more bits",
}


@dataclass(frozen=True)
class _Miss:
    """The plan that comes nearest to a limit that nothing keeps."""

    over_frac: float
    sentence: str


def preflight(space: Space, evaluate: Evaluate, *, seed: int) -> None:
    """Raise LimitsNotMet when no plan of the space keeps every limit, on none of its parts.

    Walks from the best of the uniform and some random plans to the best corner of each limit, one choice
    at a time: exact where each choice acts on its own, which sizes and times of layers nearly do. Limits
    that can each be kept, but not by one plan, then get a search for the least sum of excesses. The
    sentence names the tightest limit, the nearest plan, its part where there are several, and what to change.
    """
    misses = []
    for own in list(by_part(space).values()) or [space]:
        miss = _nearest_miss(own, evaluate, seed)
        if miss is None:
            return
        misses.append(miss)
    raise LimitsNotMet(min(misses, key=lambda miss: miss.over_frac).sentence)


def _nearest_miss(space: Space, evaluate: Evaluate, seed: int) -> _Miss | None:
    """How far the plans for one part are from its limits; None where one keeps them all."""
    rng = np.random.default_rng([seed, 0xFEA51B1E])
    starts = np.concatenate([uniform_choices(space), random_choices(space, rng, RANDOM_PLANS)])
    evaluation = evaluate(plans_from(space, starts))
    if not evaluation.constraints or evaluation.feasible.any():
        return None
    corners = np.array(
        [
            _descend(space, evaluate, starts[np.argmin(evaluation.violations[:, column])], column)
            for column in range(len(evaluation.constraints))
        ]
    )
    reached = evaluate(plans_from(space, corners))
    if reached.feasible.any():
        return None
    least = np.diag(reached.violations)
    if (least > 0.0).any():
        tightest = int(np.argmax(least))
        blame = f"{reached.constraints[tightest].name} is the tightest limit"
        return _miss(space, evaluate, corners[tightest], tightest, blame)
    nearest = _least_excess(space, evaluate, np.concatenate([corners, starts]), rng)
    last = evaluate(plans_from(space, nearest[None]))
    if last.feasible.any():
        return None
    blame = "each limit can be kept, but no plan was found that keeps all at once"
    return _miss(space, evaluate, nearest, int(np.argmax(last.violations[0])), blame)


def _descend(space: Space, evaluate: Evaluate, start: IntArray, column: int) -> IntArray:
    """Choice indices (K) after changing one choice at a time to the least violation of one limit."""
    row = start.copy()
    for _ in range(SWEEPS):
        before = row.copy()
        for index, parameter in enumerate(space.parameters):
            trial = np.repeat(row[None], len(parameter.choices), axis=0)
            trial[:, index] = np.arange(len(parameter.choices))
            row = trial[np.argmin(evaluate(plans_from(space, trial)).violations[:, column])]
        if (row == before).all():
            break
    return row


def _least_excess(space: Space, evaluate: Evaluate, starts: IntArray, rng: np.random.Generator) -> IntArray:
    """Choice indices (K) of the least sum of excesses that crossing and changing plans finds."""
    sizes = np.array([len(parameter.choices) for parameter in space.parameters])
    rows, excess = starts, _excess(space, evaluate, starts)
    for _ in range(ROUNDS):
        best = np.argsort(excess, kind="stable")[:PARENTS]
        rows, excess = rows[best], excess[best]
        if excess[0] == 0.0:
            break
        mother, father = rows[rng.integers(len(rows), size=(2, CHILDREN))]
        children = np.where(rng.random(mother.shape) < 0.5, mother, father)
        changed = rng.random(mother.shape) < 1.5 / len(sizes)
        children = np.where(changed, rng.integers(sizes, size=mother.shape), children)
        rows = np.concatenate([rows, children])
        excess = np.concatenate([excess, _excess(space, evaluate, children)])
    return np.asarray(rows[np.argmin(excess)])


def _excess(space: Space, evaluate: Evaluate, rows: IntArray) -> FloatArray:
    """(P,) sum over limits of how far they are exceeded, as shares of the limits."""
    return np.asarray(np.maximum(evaluate(plans_from(space, rows)).violations, 0.0).sum(axis=1))


def _miss(space: Space, evaluate: Evaluate, row: IntArray, column: int, blame: str) -> _Miss:
    plans = plans_from(space, row[None])
    evaluation = evaluate(plans)
    limit, over_frac = evaluation.constraints[column], float(evaluation.violations[0, column])
    part = "" if plans.part is None else f"on {part_names(space)[plans.part[0]]}: "
    return _Miss(
        over_frac,
        f"nothing in the search space fits: {blame}; the nearest plan "
        f"({part}{describe(plans, space.network)}) {_excess_words(limit, over_frac)}; "
        f"{_REMEDIES.get(limit.name, 'raise that limit or widen the space')}",
    )


def _excess_words(limit: Constraint, over_frac: float) -> str:
    value = limit.limit * (1.0 + over_frac)
    return f"has {limit.name} {value:,.6g}, {100 * over_frac:.1f} % over the {limit.limit:,.6g} allowed"


def describe(plans: PlanBatch, network: Network) -> str:
    """The first plan of a batch in words; layers that are treated alike are named once."""
    plan = plan_at(plans, 0, network)
    by_choice: dict[str, list[str]] = {}
    for layer in network.layers:
        by_choice.setdefault(_layer_words(plan.of(layer.name)), []).append(layer.name)
    if len(by_choice) == 1:
        return f"all layers {next(iter(by_choice))}"
    return ", ".join(f"{' and '.join(names)} {words}" for words, names in by_choice.items())


def _layer_words(choice: LayerPlan) -> str:
    if not choice.matrices_differ:
        return _choice_words(choice.shared)
    own = {key: _choice_words(choice.of_matrix(name)) for name, key in MATRIX_KEYS.items()}
    return " and ".join(f"{words} in {key}" for key, words in own.items())


def _choice_words(choice: LayerPlan | MatrixChoice) -> str:
    block = f" {choice.block[0]}x{choice.block[1]}" if choice.block else ""
    amount = f" {100 * choice.sparsity_frac:.0f} %" if choice.structure != STRUCTURES[0] else ""
    return f"{choice.structure}{block}{amount} int{choice.weight_bits}"
