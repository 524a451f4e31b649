"""What a study minimises and keeps to, as one function from plans to numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan, PlanBatch
from npuexplore.cost.estimate import estimate
from npuexplore.cost.part import part_of
from npuexplore.cost.result import Estimate
from npuexplore.errors import LimitsNotMet
from npuexplore.pipeline.problem import Problem
from npuexplore.search.evaluation import Constraint, Evaluate, Evaluation, evaluate_parts, violations_of
from npuexplore.search.spec import refuse_unknown_objectives
from npuexplore.units import FloatArray

QualityLoss = Callable[[PlanBatch], NDArray[np.float64]]


def constraints_of(problem: Problem, *, with_quality: bool) -> tuple[Constraint, ...]:
    """Upper limits on the one part of a problem: flash, SRAM, share of the deadline, loss of quality.

    Memories count by what is left of them; all but the last less the study's slack. Raises LimitsNotMet when
    nothing is left of a memory.
    """
    profile, limits = problem.profile, problem.study.limits
    mode = profile.memory_modes[problem.study.memory_mode or profile.default_memory_mode]
    found = [
        _what_is_left(problem, "flash_bytes", mode.storage, limits.reserved_flash_bytes),
        _what_is_left(problem, "sram_bytes", mode.activations, limits.reserved_sram_bytes),
        *_weight_memory(problem),
        Constraint("latency_ms", problem.network.frame_clock.frame_deadline_ms * limits.deadline_share_frac),
    ]
    found = [replace(each, limit=each.limit * (1.0 - limits.slack_frac)) for each in found]
    if with_quality:
        found.append(Constraint("quality_loss_db", limits.quality_loss_db))
    return tuple(found)


def fits_of(problem: Problem, costs: Estimate, index: int) -> dict[str, bool]:
    """Which limits of the study one plan keeps; a memory for weights only counts as SRAM."""
    limits = {limit.name: limit.limit for limit in constraints_of(problem, with_quality=False)}
    return {
        "flash": bool(costs.flash_bytes[index] <= limits["flash_bytes"]),
        "sram": bool(costs.sram_bytes[index] <= limits["sram_bytes"] and costs.fits_weights[index]),
        "deadline": bool(costs.latency_ms[index] <= limits["latency_ms"]),
    }


def reserved_sentences(problem: Problem) -> list[str]:
    """What the study keeps for something else on the part, if anything."""
    limits = problem.study.limits
    kept = [
        f"{reserved_bytes:,} bytes of {what}"
        for what, reserved_bytes in (
            ("flash", limits.reserved_flash_bytes),
            ("SRAM", limits.reserved_sram_bytes),
        )
        if reserved_bytes
    ]
    if limits.deadline_share_frac < 1.0:
        kept.append(f"{1.0 - limits.deadline_share_frac:.4g} of the deadline")
    said = [f"kept for what else runs on the part: {', '.join(kept)}"] if kept else []
    if limits.slack_frac:
        said.append(
            f"left free because estimates are not exact: {100 * limits.slack_frac:.4g} % of the memories and "
            "of the deadline"
        )
    return said


def _weight_memory(problem: Problem) -> Iterator[Constraint]:
    """Room for weights where they have a memory of their own."""
    part = part_of(problem.profile, problem.network, memory_mode=problem.study.memory_mode)
    if part.weight_capacity_bytes is not None:
        yield Constraint("engine_weight_bytes", float(part.weight_capacity_bytes))


def _what_is_left(problem: Problem, name: str, memory: str, reserved_bytes: int) -> Constraint:
    capacity_bytes = problem.profile.memories[memory].capacity_bytes
    if reserved_bytes >= capacity_bytes:
        raise LimitsNotMet(
            f"study {problem.study.name}: limits.reserved_{name}: got {reserved_bytes}, which is all of "
            f"{memory} on {problem.profile.name} ({capacity_bytes} bytes); reserve less"
        )
    return Constraint(name, float(capacity_bytes - reserved_bytes))


def evaluator(problem: Problem, quality_loss: QualityLoss | None) -> Evaluate:
    """Objectives and violations of a batch of plans; without `quality_loss` the loss counts as 0.

    Of a shortlist, each plan is that of its own part. Raises BadInput when an objective is unknown on a part.
    """
    return evaluate_parts([_evaluator(part, quality_loss) for part in problem.parts])


def _evaluator(problem: Problem, quality_loss: QualityLoss | None) -> Evaluate:
    spec = problem.study.search
    constraints = constraints_of(problem, with_quality=quality_loss is not None)
    unknown = _unknown_objectives(problem)
    refuse_unknown_objectives(spec, unknown)

    def evaluate(plans: PlanBatch) -> Evaluation:
        costs = estimate(problem.profile, problem.network, plans, memory_mode=problem.study.memory_mode)
        loss_db = np.zeros(len(plans)) if quality_loss is None else quality_loss(plans)

        def values(name: str) -> FloatArray:
            return loss_db if name == "quality_loss_db" else np.asarray(getattr(costs, name), np.float64)

        return Evaluation(
            objectives=np.stack([values(name) for name in spec.objectives], axis=1),
            violations=violations_of(
                np.stack([values(limit.name) for limit in constraints], axis=1), constraints
            ),
            constraints=constraints,
        )

    return evaluate


def _unknown_objectives(problem: Problem) -> dict[str, str]:
    costs = estimate(
        problem.profile, problem.network, CompressionPlan(), memory_mode=problem.study.memory_mode
    )
    why = f"profile {problem.profile.name} states no energy per operation or byte"
    return {name: why for name in ("energy_uj", "average_power_mw") if getattr(costs, name) is None}


def refuse_lossy(problem: Problem, loss_db: FloatArray, violations: FloatArray) -> None:
    """Raises LimitsNotMet when plans fit the part, and all of them lose more quality than is allowed.

    loss_db : (P,) ; violations : (P, C) of `evaluator`
    """
    limits = [limit.name for part in problem.parts for limit in constraints_of(part, with_quality=True)]
    quality = list(dict.fromkeys(limits)).index("quality_loss_db")
    fits = (np.delete(violations, quality, axis=1) <= 0.0).all(axis=1)
    if fits.any() and not (violations[fits, quality] <= 0.0).any():
        limit_db, least_db = problem.study.limits.quality_loss_db, loss_db[fits].min()
        raise LimitsNotMet(
            f"study {problem.study.name}: limits.quality_loss_db: got {limit_db:g}; the plans that fit "
            f"{' or '.join(problem.study.profiles)} lose at least {least_db:.2f} dB (predicted); raise the "
            "limit, list lower sparsities and more bits, or train the baseline longer"
        )
