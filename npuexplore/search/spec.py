"""How a study searches: sampler, trials, objectives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator
from pydantic import SerializerFunctionWrapHandler as Wrapped

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


Engine = Literal["optuna", "exact", "evolve", "auto"]

KEYS_OF: Mapping[str, frozenset[str]] = {
    "optuna": frozenset({"sampler", "trials", "population", "screened_plans"}),
    "exact": frozenset({"eps_frac", "eps_db", "elites"}),
    "evolve": frozenset({"evaluations", "population", "elites"}),
    "auto": frozenset({"trials", "evaluations", "population", "eps_frac", "eps_db", "elites"}),
}
"""What each engine reads, beside `engine` and `objectives`."""
OWN_KEYS = frozenset().union(*KEYS_OF.values())

DEFAULTS_OF: Mapping[str, Mapping[str, float]] = {
    "auto": {"trials": 1_000, "screened_plans": 0, "eps_frac": 0.1, "eps_db": 0.05},
}
"""What an engine takes for granted where that is not the key's own default."""
LEAST_EVALUATIONS, EVALUATIONS = 100, 100_000
"""Fewest that may be asked for, and how many there are where none are."""
LARGEST_POPULATION = 200


def population_for(evaluations: int) -> int:
    """Parents that an evolution keeps, 1.5 times the root: more generations where evaluations are few.

    >>> [population_for(evaluations) for evaluations in (100, 1_000, 20_000)]
    [15, 47, 200]
    """
    return min(LARGEST_POPULATION, math.isqrt(9 * evaluations // 4))


class SearchSpec(Model):
    """The search of a study: who looks for plans, and how long."""

    engine: Engine = "optuna"
    """`optuna` suggests plans in islands; `exact` proves a front layer by layer; `evolve` looks at tens of
    thousands of plans; `auto` does all three, each from what the one before found."""
    sampler: Literal["nsga2", "tpe"] = "nsga2"
    """Of `optuna`: Optuna's NSGA-II (thousands of cheap trials) or its TPE (a few hundred)."""
    trials: Annotated[int, Field(ge=8, le=50_000)] = 2_000
    """Plans that `optuna` evaluates in all, half of them in searches of single structures; under `auto`
    (1,000 unless given) those that its NSGA-II adds to the elites."""
    population: Annotated[int, Field(ge=4, le=1_000)] = 50
    """Plans per generation, each evaluated as one batch; under `evolve` and `auto`, unless given, 1.5 times
    the root of `evaluations`, at most 200."""
    screened_plans: Annotated[int, Field(ge=0, le=100_000)] = 8_192
    """Random plans that `optuna` looks at before each sub-search; the best start it, others are forgotten."""
    evaluations: Annotated[int, Field(ge=LEAST_EVALUATIONS, le=10_000_000)] = EVALUATIONS
    """Plans that `evolve`, and `auto` before Optuna's trials, look at."""
    eps_frac: Annotated[float, Field(ge=0.0, le=1.0)] = 0.03
    """How much worse, as a share, a point of the `exact` front may be than a plan that it stands for, in any
    figure; 0 is every point. Under `auto` (0.1 unless given) that of the front that it starts from."""
    eps_db: Annotated[float, Field(ge=0.0, le=1.0)] = 0.015
    """The same for the loss of quality, in dB; 0.05 under `auto` unless given."""
    elites: Annotated[int, Field(ge=8, le=5_000)] = 500
    """Points of the front, spread over it, that become finished trials in Optuna's record."""
    objectives: Annotated[tuple[Objective, ...], Field(strict=False)] = (
        "latency_ms",
        "flash_bytes",
        "quality_loss_db",
    )
    """Two to four quantities to minimise, `quality_loss_db` among them."""

    @model_validator(mode="before")
    @classmethod
    def keys_belong_to_the_engine(cls, given: Any) -> Any:
        """A key that the engine does not read would be ignored; what it takes for granted is filled in."""
        engine = given.get("engine", "optuna") if isinstance(given, Mapping) else None
        if not isinstance(engine, str) or engine not in KEYS_OF:
            return given
        foreign = sorted((OWN_KEYS - KEYS_OF[engine]).intersection(given))
        if foreign:
            readers = [name for name, keys in KEYS_OF.items() if foreign[0] in keys]
            raise ValueError(
                f"{foreign[0]} means nothing to engine {engine}, which reads "
                f"{', '.join(sorted(KEYS_OF[engine]))}; leave it out or choose engine {' or '.join(readers)}"
            )
        defaults = dict(DEFAULTS_OF.get(engine, {}))
        if "evaluations" in KEYS_OF[engine]:
            asked = given.get("evaluations")
            is_allowed = isinstance(asked, int) and asked >= LEAST_EVALUATIONS
            defaults["population"] = population_for(asked if is_allowed else EVALUATIONS)
        return {**defaults, **given}

    @model_serializer(mode="wrap")
    def with_the_keys_of_its_engine(self, wrapped: Wrapped) -> dict[str, Any]:
        """What the engine does not read is not mentioned."""
        document: dict[str, Any] = wrapped(self)
        left_out = OWN_KEYS - KEYS_OF[self.engine]
        return {name: value for name, value in document.items() if name not in left_out}

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
