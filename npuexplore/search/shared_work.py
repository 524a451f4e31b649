"""The share of one process in a search that several work on: propose, evaluate, write, until there is enough.

A trial is Optuna's from its beginning, so that others notice by its heartbeats when its process dies; it is
then failed, copied and run again by whoever notices first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from npuexplore.search.evaluation import Evaluate, check_finite
from npuexplore.search.islands import islands_of
from npuexplore.search.record import Record, Trial
from npuexplore.search.shared_stale import Silent, causes, retry_stale
from npuexplore.search.space import Params, Space, choice_row, keys_of, plans_from
from npuexplore.search.spec import SearchSpec
from npuexplore.search.suggest import distributions, propose, select_parents

if TYPE_CHECKING:
    import optuna

    from npuexplore.search.shared_sampler import Decided

OnTrials = Callable[[int, int], None]

MIXED = "mixed"
CONSTRAINTS = "constraints"
"""Where Optuna 5 and its dashboard both look for how far limits are exceeded."""
POLL_S = 0.2
"""Between two looks at the trials of others, while no new one is needed."""


@dataclass(frozen=True)
class Task:
    """A search, the same in every process that works on it."""

    space: Space
    spec: SearchSpec
    evaluate: Evaluate
    """Each row depends on its own plan only."""
    seed: int
    target: int
    """Finished trials of all processes together, those included that the search starts from."""
    context: str = ""
    """Names what else the search depends on (part, limits, sensitivities)."""


def work(
    record: Record,
    task: Task,
    *,
    decided: Decided,
    grace_s: float,
    limit: int | None = None,
    on_trials: OnTrials | None = None,
) -> int:
    """Adds trials until all processes together have finished `task.target`, or this one `limit`.

    record : opened with `decided` as its sampler and with heartbeats. grace_s : seconds without one after
    which a trial is stale. on_trials : told (finished by all, target).

    Returns how many trials this process finished. Raises BadInput for objectives that are not finite.
    """
    own, share, silent = 0, _Share(record, task, decided), Silent(record, grace_s)
    while limit is None or own < limit:
        finished, running, waiting = share.look()
        if on_trials is not None:
            on_trials(min(finished, task.target), task.target)
        if finished >= task.target or (share.used_up and not running + waiting):
            break
        if waiting or (finished + running < task.target and not share.used_up):
            own += share.run_a_trial()
        else:
            time.sleep(POLL_S)
            retry_stale(record, silent)
    return own


def trial_of(trial: optuna.trial.FrozenTrial) -> Trial:
    """A finished trial of Optuna's as the search sees it."""
    violations = trial.system_attrs[CONSTRAINTS]
    island = trial.user_attrs.get("island", MIXED)
    return Trial(trial.number, island, 0, trial.params, tuple(trial.values), tuple(violations))


@dataclass
class _Share:
    """What a process knows of the search, and does for it."""

    record: Record
    task: Task
    decided: Decided
    used_up: bool = False
    """Whether no plan is left that is not known."""
    finished: dict[int, Trial] = field(default_factory=dict)
    """By number."""
    parents: dict[str, list[Trial]] = field(default_factory=dict)
    """Of each island, the trials that its next plan may come from."""
    trials: list[optuna.trial.FrozenTrial] = field(default_factory=list)
    """Finished, running and waiting ones, as last seen."""
    evaluated: bool = False

    def __post_init__(self) -> None:
        self.islands = islands_of(self.task.space)

    def look(self) -> tuple[int, int, int]:
        """How many trials are finished, running and waiting; new finished ones become parents."""
        from optuna.trial import TrialState

        states = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
        self.trials = self.record.study.get_trials(deepcopy=False, states=states)
        complete = [trial for trial in self.trials if trial.state is TrialState.COMPLETE]
        self._remember([trial_of(trial) for trial in complete if trial.number not in self.finished])
        running = sum(trial.state is TrialState.RUNNING for trial in self.trials)
        return len(complete), running, len(self.trials) - len(complete) - running

    def _remember(self, trials: Sequence[Trial]) -> None:
        self.finished.update({trial.number: trial for trial in trials})
        for name, space in {**self.islands, MIXED: self.task.space}.items():
            own = [trial for trial in trials if _lies_in(space, trial.params)]
            pool = [*self.parents.get(name, []), *own]
            if own and self.task.spec.sampler == "nsga2":
                pool = select_parents(pool, space, population=self.task.spec.population)
            self.parents[name] = pool

    def run_a_trial(self) -> int:
        """Runs a new trial, or one that waits for its retry; 1 if it was finished, else 0."""
        import sqlalchemy.exc
        from optuna.exceptions import StorageInternalError

        self.evaluated = False
        try:
            self.record.study.optimize(self._objective, n_trials=1)
        except Exception as error:
            # Optuna may trip over its own assertions when a storage fails or another process took a trial.
            chain = list(causes(error))
            if any(_was_taken_over(cause) for cause in chain):
                return 0
            faults = (sqlalchemy.exc.SQLAlchemyError, StorageInternalError)
            for cause in reversed(chain):
                if isinstance(cause, faults):
                    raise cause from None
            raise
        return int(self.evaluated)

    def _objective(self, trial: optuna.Trial) -> tuple[float, ...]:
        space = self.task.space
        dists: dict[str, Any] = distributions(space)
        if dists.keys() - trial.params.keys():
            self.decided.params = self._proposed(trial)
        for name, choices in dists.items():
            trial.suggest_categorical(name, choices.choices)
        self._refuse_superfluous(trial)
        evaluation = self.task.evaluate(plans_from(space, np.array([choice_row(space, trial.params)])))
        check_finite(evaluation, self.task.spec.objectives)
        trial.storage.set_trial_system_attr(trial._trial_id, CONSTRAINTS, evaluation.violations[0].tolist())
        self.evaluated = True
        return tuple(evaluation.objectives[0].tolist())

    def _refuse_superfluous(self, trial: optuna.Trial) -> None:
        """Two processes may begin the last trial at once, or propose the same plan: one gives up."""
        from optuna import TrialPruned

        self.look()
        enough = sum(other.number < trial.number for other in self.trials) >= self.task.target
        if enough or keys_of(self.task.space, [trial.params])[0] in self._known_to(trial):
            raise TrialPruned

    def _known_to(self, trial: optuna.Trial) -> set[bytes]:
        """Keys of the plans of all other trials that are finished, running or waiting, as last seen."""
        names = {parameter.name for parameter in self.task.space.parameters}
        others = [other.params for other in self.trials if other.number != trial.number]
        return set(keys_of(self.task.space, [params for params in others if names <= params.keys()]))

    def _proposed(self, trial: optuna.Trial) -> Params:
        """A plan that is new, of the island whose turn it is."""
        from optuna import TrialPruned

        seen = self._known_to(trial)
        for island in dict.fromkeys([self._island(trial.number), MIXED]):
            found = propose(
                self.islands.get(island, self.task.space),
                sampler=self.task.spec.sampler,
                history=self.parents.get(island, []),
                count=1,
                population=self.task.spec.population,
                seed=[self.task.seed, trial.number],
                seen=seen,
            )
            if found:
                return found[0]
        self.used_up = True
        raise TrialPruned

    def _island(self, number: int) -> str:
        """Half of the trials look at one island each, half at all plans."""
        names = list(self.islands)
        turn = number % max(2 * len(names), 1)
        return names[turn] if turn < len(names) else MIXED


def _was_taken_over(error: BaseException) -> bool:
    """Whether another process ended the trial, because this one gave no sign of life for too long."""
    from optuna.exceptions import UpdateFinishedTrialError

    told_in_vain = isinstance(error, ValueError) and str(error).startswith("Cannot tell a")
    return told_in_vain or isinstance(error, UpdateFinishedTrialError)


def _lies_in(space: Space, params: Params) -> bool:
    return all(params[parameter.name] in parameter.choices for parameter in space.parameters)
