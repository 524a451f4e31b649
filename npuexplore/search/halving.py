"""Which of several trainings go on: Optuna's pruners, asked once all of a rung have reported.

Optuna's successive halving judges a trial when it reports, by those that reported before. Here every attempt
is judged as if it was the last to report, so that the answer depends neither on their order nor on how many
train at a time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from npuexplore.errors import EnvironmentLacking
from npuexplore.search.record import open_record
from npuexplore.search.storage import quiet_optuna

if TYPE_CHECKING:
    import optuna

PrunerName = Literal["asha", "hyperband"]
STUDY_NAME = "npuexplore-halving"
METRIC = "validation_loss_db"


@dataclass(frozen=True)
class Rungs:
    """Where candidates are compared, and how strictly."""

    pruner: PrunerName
    first: int
    """Steps before the first comparison."""
    factor: int
    """One in so many goes on, and the next rung is after so many times the steps."""
    steps: int
    """Of a whole training; every rung lies below."""

    @property
    def all(self) -> tuple[int, ...]:
        """Steps of every rung, rising.

        >>> Rungs("asha", first=50, factor=2, steps=400).all
        (50, 100, 200)
        """
        found = [self.first]
        while found[-1] * self.factor < self.steps:
            found.append(found[-1] * self.factor)
        return tuple(found)


@dataclass(frozen=True)
class Attempt:
    """A candidate's training so far."""

    name: str
    losses_db: Mapping[int, float]
    """Rung -> loss; not a number where the training diverged there."""
    stopped_at: int | None = None
    """The rung from which it did not go on."""


def stopped(attempts: Sequence[Attempt], rungs: Rungs) -> list[bool]:
    """Which of the attempts Optuna's pruner stops, each at the last rung that it has reached.

    >>> attempts = [Attempt(name, {50: loss}) for name, loss in (("a", -7.0), ("b", -9.0), ("c", -8.0))]
    >>> stopped(attempts, Rungs("asha", first=50, factor=2, steps=400))
    [True, False, True]
    """
    with quiet_optuna():
        return [_is_stopped(number, attempts, rungs) for number in range(len(attempts))]


def _is_stopped(last: int, attempts: Sequence[Attempt], rungs: Rungs) -> bool:
    """The pruner's word on one attempt after all others have reported what they have."""
    import optuna

    study = optuna.create_study(
        study_name=STUDY_NAME, pruner=_pruner(rungs), sampler=optuna.samplers.RandomSampler(seed=0)
    )
    trials = [study.ask() for _ in attempts]
    order = [number for number in range(len(attempts)) if number != last]
    answer = False
    for number in (*order, last):
        for rung, loss_db in sorted(attempts[number].losses_db.items()):
            trials[number].report(loss_db, rung)
            answer = trials[number].should_prune()
    return answer


def _pruner(rungs: Rungs) -> optuna.pruners.BasePruner:
    import optuna

    if rungs.pruner == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=rungs.first, reduction_factor=rungs.factor)
    return optuna.pruners.HyperbandPruner(
        min_resource=rungs.first, max_resource=rungs.steps, reduction_factor=rungs.factor
    )


def record_attempts(path: Path, attempts: Sequence[Attempt], *, decided: bool, fingerprint: str) -> None:
    """Brings the journal at `path` up to date: an Optuna trial per attempt, pruned where it was stopped.

    decided : whether those that were not stopped have won, and are complete. What the journal has already is
    not written again. Raises UsageError for the journal of something else, EnvironmentLacking where it cannot
    be written.
    """
    with open_record(
        path,
        study_name=STUDY_NAME,
        directions=["minimize"],
        metric_names=[METRIC],
        fingerprint=fingerprint,
    ) as record:
        try:
            while len(record.study.get_trials(deepcopy=False)) < len(attempts):
                record.study.ask()
            for number, attempt in enumerate(attempts):
                _bring_up_to_date(record.study, number, attempt, decided=decided)
        except OSError as error:
            raise EnvironmentLacking(
                f"{path}: cannot be written ({error.strerror}); free space there"
            ) from None


def _bring_up_to_date(study: optuna.Study, number: int, attempt: Attempt, *, decided: bool) -> None:
    from optuna.trial import Trial, TrialState

    known = study.get_trials(deepcopy=False)[number]
    if known.state.is_finished():
        return
    trial = Trial(study, known._trial_id)
    if "candidate" not in known.user_attrs:
        trial.set_user_attr("candidate", attempt.name)
    for rung, loss_db in sorted(attempt.losses_db.items()):
        if rung not in known.intermediate_values:
            trial.report(loss_db, rung)
    if attempt.stopped_at is not None:
        study.tell(number, state=TrialState.PRUNED)
    elif decided:
        finite = [value for _, value in sorted(attempt.losses_db.items()) if math.isfinite(value)]
        if finite:
            study.tell(number, finite[-1])
        else:
            study.tell(number, state=TrialState.FAIL)
