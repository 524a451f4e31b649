"""How a study searches: sampler, trials, objectives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from npuexplore.documents.model import Model
from npuexplore.errors import BadInput

Objective = Literal[
    "latency_ms",
    "mean_latency_ms",
    "cycles",
    "flash_bytes",
    "sram_bytes",
    "energy_uj",
    "average_power_mw",
    "quality_loss_db",
]

TPE_TRIALS_MAX = 2_000
"""TPE looks at its whole history for every suggestion: beyond this a trial costs more than 0.1 s."""


class SearchSpec(Model):
    """The search of a study: Optuna's sampler over a journal file."""

    engine: Literal["optuna"] = "optuna"
    """Who suggests the next plans."""
    sampler: Literal["nsga2", "tpe"] = "nsga2"
    """Optuna's NSGA-II (thousands of cheap trials) or its TPE (a few hundred)."""
    trials: Annotated[int, Field(ge=8, le=50_000)] = 2_000
    """Plans to evaluate in all; the search of each single structure takes half of them together."""
    population: Annotated[int, Field(ge=4, le=1_000)] = 50
    """Plans per generation; a generation is evaluated as one batch."""
    screened_plans: Annotated[int, Field(ge=0, le=100_000)] = 8_192
    """Random plans that are looked at before each sub-search; the best start it, the rest are forgotten."""
    objectives: Annotated[tuple[Objective, ...], Field(strict=False)] = (
        "latency_ms",
        "flash_bytes",
        "quality_loss_db",
    )
    """Two to four quantities to minimise, `quality_loss_db` among them."""

    @field_validator("objectives")
    @classmethod
    def two_to_four_different(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        """A front needs two objectives, and the exact hypervolume takes at most four."""
        if not 2 <= len(objectives) <= 4 or len(set(objectives)) != len(objectives):
            raise ValueError(f"got {list(objectives)}; list two to four different objectives")
        return objectives

    @model_validator(mode="after")
    def quality_is_minimised(self) -> SearchSpec:
        """Without it the search would only ask for the sparsest plan."""
        if "quality_loss_db" not in self.objectives:
            raise ValueError(
                f"objectives {list(self.objectives)} leave out quality_loss_db; without it the sparsest "
                "plan always wins, so add it"
            )
        return self

    @model_validator(mode="after")
    def tpe_stays_affordable(self) -> SearchSpec:
        """TPE slows down with every trial."""
        if self.sampler == "tpe" and self.trials > TPE_TRIALS_MAX:
            raise ValueError(
                f"sampler tpe with {self.trials} trials would take hours; allow at most {TPE_TRIALS_MAX} "
                "trials, or use nsga2"
            )
        return self


def refuse_unknown_objectives(spec: SearchSpec, unknown: Mapping[str, str]) -> None:
    """Raise BadInput when an objective cannot be computed on this part.

    unknown : objective -> why it is unknown (`micronpu-x states no energy per MAC`).
    """
    for objective in spec.objectives:
        if objective in unknown:
            known = [name for name in spec.objectives if name not in unknown]
            raise BadInput(
                f"search.objectives: {objective} is unknown here: {unknown[objective]}; leave it out "
                f"(known of those listed: {', '.join(known) or 'none'}) or give the figure in the profile"
            )
