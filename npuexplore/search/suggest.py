"""Optuna's samplers, asked for one generation at a time.

A generation is a pure function of the seed, the trials of the generations before it and the plans
already seen: each is asked from a fresh in-memory study that holds only the trials that its sampler
looks at. So a search that was killed goes on exactly where it stopped, and a suggestion costs the same
after ten thousand trials as after ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from npuexplore.search.record import Trial
from npuexplore.search.space import (
    Params,
    Space,
    all_choices,
    keys_of,
    params_of,
    plan_keys,
    plans_from,
    random_choices,
)

if TYPE_CHECKING:
    import optuna

GENERATION_KEY = "NSGAIISampler:generation"
"""Where Optuna's NSGA-II keeps a trial's generation; without it a trial is never a parent."""

ASKS_PER_TRIAL = 10
"""Suggestions of known plans that are passed over before a random plan is taken."""

ENUMERABLE_DESIGNS = 20_000


def distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """Optuna's view of the parameters of a space."""
    from optuna.distributions import CategoricalDistribution

    return {p.name: CategoricalDistribution(list(p.choices)) for p in space.parameters}


def select_parents(pool: Sequence[Trial], space: Space, *, population: int) -> list[Trial]:
    """The trials of a pool that Optuna's NSGA-II keeps as parents, in the order of the pool."""
    from optuna.samplers import NSGAIISampler

    if len(pool) <= population:
        return list(pool)
    study = _window(pool, space, sampler=None)
    elite = NSGAIISampler(population_size=population, seed=0).select_parent(study, 1)
    kept = {trial.number for trial in elite}
    return [trial for index, trial in enumerate(pool) if index in kept]


def propose(
    space: Space,
    *,
    sampler: Literal["nsga2", "tpe"],
    history: Sequence[Trial],
    count: int,
    population: int,
    seed: Sequence[int],
    seen: set[bytes],
) -> list[Params]:
    """Params of up to `count` plans that are not in `seen`; fewer only when the space is used up.

    history : the parents for `nsga2`, every trial for `tpe`; empty for the first generation.
    seed : names this generation among all of all searches.
    """
    rng = np.random.default_rng(seed)
    parents = max(2, min(population, len(history)))
    study = _window(history, space, sampler=_sampler(sampler, parents, int(rng.integers(2**31))))
    dists = distributions(space)
    taken = set(seen)
    proposed: list[Params] = []
    while len(proposed) < count:
        params = _unseen_suggestion(study, dists, space, taken) or _unseen_random(space, rng, taken)
        if params is None:
            break
        proposed.append(params)
        taken.update(keys_of(space, [params]))
    return proposed


def _unseen_suggestion(study: optuna.Study, dists: Any, space: Space, taken: set[bytes]) -> Params | None:
    for _ in range(ASKS_PER_TRIAL):
        params = study.ask(fixed_distributions=dists).params
        if keys_of(space, [params])[0] not in taken:
            return params
    return None


def _unseen_random(space: Space, rng: np.random.Generator, taken: set[bytes]) -> Params | None:
    """A random plan not yet taken; None when there is none left (or none in many draws)."""
    if space.designs <= ENUMERABLE_DESIGNS:
        rows = rng.permutation(all_choices(space), axis=0)
    else:
        rows = random_choices(space, rng, ENUMERABLE_DESIGNS // 10)
    for row, key in zip(rows, plan_keys(plans_from(space, rows)), strict=True):
        if key not in taken:
            return params_of(space, row)
    return None


def _sampler(name: Literal["nsga2", "tpe"], parents: int, seed: int) -> optuna.samplers.BaseSampler:
    from optuna.samplers import NSGAIISampler, TPESampler

    if name == "nsga2":
        return NSGAIISampler(population_size=parents, seed=seed)
    return TPESampler(seed=seed, multivariate=True)


def _window(
    trials: Sequence[Trial], space: Space, *, sampler: optuna.samplers.BaseSampler | None
) -> optuna.Study:
    """An in-memory study of some trials, all of one finished generation, numbered as given."""
    import optuna

    objectives = len(trials[0].objectives) if trials else 2
    study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
    dists = distributions(space)
    study.add_trials(
        optuna.trial.create_trial(
            values=list(trial.objectives),
            params=dict(trial.params),
            distributions=dists,
            constraints={str(index): value for index, value in enumerate(trial.violations)},
            system_attrs={GENERATION_KEY: 0},
        )
        for trial in trials
    )
    return study
