"""What a study minimises and keeps to, as one function from plans to numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan, PlanBatch
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.study_file import StudyFile
from npuexplore.search.evaluation import Constraint, Evaluate, Evaluation, violations_of
from npuexplore.search.spec import refuse_unknown_objectives
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

QualityLoss = Callable[[PlanBatch], NDArray[np.float64]]


@dataclass(frozen=True)
class Problem:
    """A study's part, network and rules."""

    study: StudyFile
    profile: HardwareProfile
    network: Network


def constraints_of(problem: Problem, *, with_quality: bool) -> tuple[Constraint, ...]:
    """Upper limits: what is left of flash and SRAM, the share of the deadline, the loss of quality."""
    profile, limits = problem.profile, problem.study.limits
    mode = profile.memory_modes[problem.study.memory_mode or profile.default_memory_mode]
    flash_bytes = profile.memories[mode.storage].capacity_bytes - limits.reserved_flash_bytes
    sram_bytes = profile.memories[mode.activations].capacity_bytes - limits.reserved_sram_bytes
    deadline_ms = problem.network.frame_clock.frame_deadline_ms * limits.deadline_share_frac
    found = [
        Constraint("flash_bytes", float(max(flash_bytes, 1))),
        Constraint("sram_bytes", float(max(sram_bytes, 1))),
        Constraint("latency_ms", deadline_ms),
    ]
    if with_quality:
        found.append(Constraint("quality_loss_db", limits.quality_loss_db))
    return tuple(found)


def evaluator(problem: Problem, quality_loss: QualityLoss | None) -> Evaluate:
    """Objectives and violations of a batch of plans; without `quality_loss` the loss counts as 0.

    Raises BadInput when an objective is unknown on this part.
    """
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
