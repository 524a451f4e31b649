"""The record of a search: Optuna's study, in a journal file, a database or memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from npuexplore.errors import NpuexploreError, UsageError
from npuexplore.search.storage import Heartbeat, OpenStorage, open_storage, quiet_optuna
from npuexplore.search.storage_faults import foreign_journal, is_url

if TYPE_CHECKING:
    import optuna

Direction = Literal["minimize", "maximize"]
STUDY_NAME = "npuexplore"
FINGERPRINT_KEY = "npuexplore:fingerprint"


@dataclass(frozen=True)
class Trial:
    """A finished trial as the search sees it."""

    number: int
    """Position among the search's finished trials."""
    island: str
    """The sub-search that it belongs to: a structure, or `mixed`."""
    generation: int
    params: Mapping[str, Any]
    """Parameter name -> choice."""
    objectives: tuple[float, ...]
    violations: tuple[float, ...]


@dataclass(frozen=True)
class Record:
    """An open record: Optuna's study, and the storage behind it."""

    study: optuna.Study
    storage: OpenStorage

    def finished_trials(self) -> list[Trial]:
        """Finished trials in the order in which they were written.

        Trials of other tools, and trials that never finished, are left out.
        """
        from optuna.trial import TrialState

        finished = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        own = [trial for trial in finished if "island" in trial.user_attrs]
        return [
            Trial(
                number=number,
                island=trial.user_attrs["island"],
                generation=trial.user_attrs["generation"],
                params=trial.params,
                objectives=tuple(trial.values),
                violations=tuple(trial.user_attrs["violations"]),
            )
            for number, trial in enumerate(own)
        ]

    def store(
        self,
        trials: Sequence[Trial],
        *,
        distributions: Mapping[str, optuna.distributions.BaseDistribution],
        constraint_names: Sequence[str],
    ) -> None:
        """Append finished trials; each is there whole or not at all; a database takes all or none.

        Constraints are written the way Optuna 5 reads them and the way optuna-dashboard still does.
        Raises EnvironmentLacking when the storage cannot be written.
        """
        self.storage.add_trials(
            self.study, [_frozen(trial, distributions, constraint_names) for trial in trials]
        )

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Keep facts about the study (JSON values) where Optuna and its dashboard show them."""
        known = self.study.user_attrs
        for key, value in attributes.items():
            if key not in known or known[key] != value:
                self.study.set_user_attr(key, value)


def _frozen(
    trial: Trial,
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    constraint_names: Sequence[str],
) -> optuna.trial.FrozenTrial:
    from optuna.trial import create_trial

    return create_trial(
        values=list(trial.objectives),
        params=dict(trial.params),
        distributions=dict(distributions),
        constraints=dict(zip(constraint_names, trial.violations, strict=True)),
        user_attrs={
            "island": trial.island,
            "generation": trial.generation,
            "violations": list(trial.violations),
        },
        system_attrs={"constraints": list(trial.violations)},
    )


@contextmanager
def open_record(
    storage: Path | str,
    *,
    study_name: str = STUDY_NAME,
    directions: Sequence[Direction],
    metric_names: Sequence[str] = (),
    fingerprint: str | None,
    heartbeat: Heartbeat | None = None,
    sampler: optuna.samplers.BaseSampler | None = None,
) -> Iterator[Record]:
    """The record of a search, created or mended as needed; a journal is locked while open.

    storage : path of a journal, or a URL (`npuexplore.search.storage`). metric_names : names of the
    objectives, in order, or none. fingerprint : what the search depends on; a record of another fingerprint
    is refused; None takes any. heartbeat : for databases that several processes share. sampler : of
    `Record.study`, for `ask` and `optimize`.

    Raises UsageError (another search, or another process at work), BadInput (damaged, or no storage that
    this version can read), EnvironmentLacking (cannot be reached or written).
    """
    with open_storage(storage, heartbeat=heartbeat) as opened, quiet_optuna():
        study = _load(opened, storage, study_name, directions, sampler)
        _claim(study, opened.where, directions, fingerprint)
        if metric_names and study.metric_names != list(metric_names):
            study.set_metric_names(list(metric_names))
        yield Record(study, opened)


def _load(
    opened: OpenStorage,
    storage: Path | str,
    study_name: str,
    directions: Sequence[Direction],
    sampler: optuna.samplers.BaseSampler | None,
) -> optuna.Study:
    """The study of this name; only a new one is written to the storage."""
    import optuna

    try:
        return optuna.load_study(study_name=study_name, storage=opened.backend, sampler=sampler)
    except KeyError:
        pass
    try:
        return optuna.create_study(
            study_name=study_name,
            storage=opened.backend,
            directions=list(directions),
            sampler=sampler,
            load_if_exists=True,
        )
    except (NpuexploreError, optuna.exceptions.OptunaError):
        raise
    except Exception:
        if is_url(storage):
            raise
        raise foreign_journal(opened.where) from None


def _claim(study: optuna.Study, where: str, directions: Sequence[Direction], fingerprint: str | None) -> None:
    """Raises UsageError unless the study is new or has these directions and this fingerprint."""
    known = study.user_attrs.get(FINGERPRINT_KEY)
    if known is None and fingerprint is not None and not study.get_trials(deepcopy=False):
        study.set_user_attr(FINGERPRINT_KEY, fingerprint)
        known = fingerprint
    same = fingerprint is None or known == fingerprint
    if not same or [direction.name.lower() for direction in study.directions] != list(directions):
        raise UsageError(
            f"{where}: this record holds another search (space, objectives, limits, seed or part differ); "
            "choose another run name or start afresh"
        )
