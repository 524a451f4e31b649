"""Before searching: does anything in the space keep every limit, and if not, which limit is to blame?"""

from __future__ import annotations

import numpy as np

from npuexplore.compression.plan import STRUCTURES, LayerPlan, PlanBatch, plan_at
from npuexplore.errors import LimitsNotMet
from npuexplore.search.evaluation import Constraint, Evaluate
from npuexplore.search.space import Space, plans_from, random_choices, uniform_choices
from npuexplore.units import FloatArray, IntArray
from npuexplore.workload.network import Network

RANDOM_PLANS = 1_000
SWEEPS = 3

_REMEDIES = {
    "flash_bytes": "allow more sparsity or fewer weight_bits, or take a smaller network or more flash",
    "sram_bytes": "allow unit sparsity, take a smaller network, or a part or memory mode with more SRAM",
    "latency_ms": "allow more sparsity, take a smaller network, a faster part or a longer deadline_ms",
    "quality_loss_db": "raise the allowed loss, or list lower sparsities and more bits",
}


def preflight(space: Space, evaluate: Evaluate, *, seed: int) -> None:
    """Raise LimitsNotMet when no plan of the space keeps every limit.

    Walks from the best of the uniform and some random plans to the best corner of each limit, then of
    their sum, one choice at a time: exact where each choice acts on its own, which sizes and times of
    layers nearly do. The sentence names the tightest limit, the nearest plan and what to change.
    """
    rng = np.random.default_rng([seed, 0xFEA51B1E])
    starts = np.concatenate([uniform_choices(space), random_choices(space, rng, RANDOM_PLANS)])
    evaluation = evaluate(plans_from(space, starts))
    if not evaluation.constraints or evaluation.feasible.any():
        return
    corners = []
    for column in range(len(evaluation.constraints)):
        weights = np.eye(len(evaluation.constraints))[column]
        corner = _descend(space, evaluate, starts[np.argmin(evaluation.violations[:, column])], weights)
        corners.append(corner)
        if evaluate(plans_from(space, corner[None])).feasible.any():
            return
    everything = np.ones(len(evaluation.constraints))
    excess = np.maximum(evaluation.violations, 0.0).sum(axis=1)
    ends = np.array([_descend(space, evaluate, s, everything) for s in [starts[np.argmin(excess)], *corners]])
    reached = evaluate(plans_from(space, ends))
    if reached.feasible.any():
        return
    nearest = ends[np.argmin(np.maximum(reached.violations, 0.0).sum(axis=1))]
    raise LimitsNotMet(_sentence(space, evaluate, np.array(corners), nearest))


def _descend(space: Space, evaluate: Evaluate, start: IntArray, weights: FloatArray) -> IntArray:
    """Choice indices (K) after changing one choice at a time to the least weighted excess."""
    row = start.copy()
    for _ in range(SWEEPS):
        before = row.copy()
        for column, parameter in enumerate(space.parameters):
            trial = np.repeat(row[None], len(parameter.choices), axis=0)
            trial[:, column] = np.arange(len(parameter.choices))
            violations = evaluate(plans_from(space, trial)).violations
            # What keeps its limit counts a little still, so that ties lead further away from it.
            excess = (np.maximum(violations, 1e-6 * violations) * weights).sum(axis=1)
            row = trial[np.argmin(excess)]
        if (row == before).all():
            break
    return row


def _sentence(space: Space, evaluate: Evaluate, corners: IntArray, nearest: IntArray) -> str:
    own = evaluate(plans_from(space, corners))
    least = np.diag(own.violations)
    tightest = int(np.argmax(least))
    if least[tightest] > 0.0:
        limit, plans, over = (
            own.constraints[tightest],
            plans_from(space, corners[[tightest]]),
            least[tightest],
        )
        blame = f"{limit.name} is the tightest limit"
    else:
        last = evaluate(plans_from(space, nearest[None]))
        worst = int(np.argmax(last.violations[0]))
        limit, plans, over = (
            last.constraints[worst],
            plans_from(space, nearest[None]),
            last.violations[0, worst],
        )
        blame = "each limit can be kept, but not all at once"
    return (
        f"nothing in the search space fits: {blame}; the nearest plan ({describe(plans, space.network)}) "
        f"{_miss(limit, float(over))}; {_REMEDIES.get(limit.name, 'raise that limit or widen the space')}"
    )


def _miss(limit: Constraint, over_frac: float) -> str:
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
    block = f" {choice.block[0]}x{choice.block[1]}" if choice.block else ""
    amount = f" {100 * choice.sparsity_frac:.0f} %" if choice.structure != STRUCTURES[0] else ""
    return f"{choice.structure}{block}{amount} int{choice.weight_bits}"
