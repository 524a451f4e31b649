"""The study on disk: one Optuna journal file that survives being killed at any moment.

A finished trial is one line. A torn last line (the process died while writing) is cut off on opening.
One process at a time works on a journal: the kernel drops its lock when it dies.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuexplore.errors import BadInput, EnvironmentLacking, UsageError

if TYPE_CHECKING:
    import optuna

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


class _LockedJournal:
    """Optuna's journal backend over a file that this process has locked.

    Unlike Optuna's own it takes no lock, reads nothing again and waits for no disk at every line: what
    was written survives the death of the process, and `sync` once a generation is against power cuts.
    """

    def __init__(self, descriptor: int, entries: list[dict[str, Any]]) -> None:
        self._descriptor = descriptor
        self._entries = entries

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Entries from a number on."""
        yield from self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """One line per entry, at the end."""
        for log in logs:
            line = json.dumps(log, separators=(",", ":")).encode() + b"\n"
            left = memoryview(line)
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._entries.append(json.loads(line))

    def sync(self) -> None:
        """Wait until the disk has everything."""
        os.fsync(self._descriptor)


@dataclass(frozen=True)
class Journal:
    """An open journal: Optuna's study in it, and the file behind it."""

    study: optuna.Study
    backend: _LockedJournal


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Silence Optuna's log lines and experimental warnings, and nothing else, for a while."""
    import optuna

    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def open_journal(path: Path, *, directions: int, fingerprint: str) -> Iterator[Journal]:
    """The study in the journal at `path`, created or mended as needed, locked while open.

    fingerprint : what the search depends on; a journal of another fingerprint is refused.
    Raises UsageError (another search, or another process at work), BadInput (damaged before its end),
    EnvironmentLacking (cannot be written).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab", buffering=0)
    except OSError as error:
        raise EnvironmentLacking(
            f"{path}: the search journal cannot be opened ({error.strerror}); choose a folder that can "
            "be written"
        ) from None
    with stream:
        _lock(stream.fileno(), path)
        backend = _LockedJournal(stream.fileno(), mended_entries(path))
        with quiet_optuna():
            yield Journal(_load(path, backend, directions, fingerprint), backend)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(
            f"{path}: another process is searching in this journal; wait for it or choose another run name"
        ) from None


def mended_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a journal, after cutting off what follows its last whole line.

    Raises BadInput when an earlier line is damaged.
    """
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    lines = content[:whole].splitlines(keepends=True)
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        entry = _entry(line)
        if entry is not None:
            entries.append(entry)
        elif number == len(lines):
            whole -= len(line)
        else:
            raise BadInput(
                f"{path}:{number}: this line of the search journal is damaged; "
                "remove the file to search again"
            )
    if whole < len(content):
        os.truncate(path, whole)
    return entries


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _load(path: Path, backend: Any, directions: int, fingerprint: str) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalStorage

    try:
        storage = JournalStorage(backend)
        study = optuna.create_study(
            study_name=STUDY_NAME,
            storage=storage,
            directions=["minimize"] * directions,
            load_if_exists=True,
        )
    except OSError as error:
        raise EnvironmentLacking(f"{path}: {error.strerror}; free space there") from None
    except Exception:
        # Optuna trusts a journal and trips over a foreign one in many ways, assertions among them.
        raise BadInput(
            f"{path}: this is no journal of a search that npuexplore can read; remove it to search again"
        ) from None
    known = study.user_attrs.get(FINGERPRINT_KEY)
    if known is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(FINGERPRINT_KEY, fingerprint)
    elif known != fingerprint:
        raise UsageError(
            f"{path}: this journal holds another search (space, objectives, limits, seed or part differ); "
            "choose another run name or start afresh"
        )
    return study


def stored_trials(study: optuna.Study) -> list[Trial]:
    """Finished trials of a journal in the order in which they were written.

    Trials of other tools, and trials that never finished, are left out.
    """
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
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


def store_trials(
    journal: Journal,
    trials: Sequence[Trial],
    *,
    distributions: Mapping[str, optuna.distributions.BaseDistribution],
    constraint_names: Sequence[str],
) -> None:
    """Append finished trials, one line each.

    Constraints are written the way Optuna 5 reads them and the way optuna-dashboard still does.
    Raises EnvironmentLacking when the disk is full.
    """
    from optuna.trial import create_trial

    for trial in trials:
        frozen = create_trial(
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
        try:
            journal.study.add_trial(frozen)
            if trial is trials[-1]:
                journal.backend.sync()
        except OSError as error:
            raise EnvironmentLacking(
                f"the search journal cannot be written ({error.strerror}); free space and run again: "
                f"{trial.number} trials are kept"
            ) from None
