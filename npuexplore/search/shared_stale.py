"""Trials whose process died: failed, copied, and run again by another process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from npuexplore.search.record import Record

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_SILENT = """
    SELECT trials.trial_id FROM trials
    LEFT JOIN trial_heartbeats ON trial_heartbeats.trial_id = trials.trial_id
    WHERE trials.study_id = :study AND trials.state = 'RUNNING' AND trial_heartbeats.trial_id IS NULL
"""


@dataclass
class Silent:
    """Running trials that never gave a sign of life: their process died right after it took them.

    Optuna looks for the last sign only, so that it would leave these running for ever.
    """

    record: Record
    grace_s: float
    """Seconds after which a trial without a sign counts as stale."""
    since: dict[int, float] = field(default_factory=dict)
    """When each was first seen, by the clock of this process: clocks of other machines do not matter."""

    def stale(self) -> list[int]:
        """Trials that have been seen without a sign for longer than the grace period."""
        import sqlalchemy

        now = time.monotonic()
        with self._storage.engine.connect() as connection:
            rows = connection.execute(sqlalchemy.text(_SILENT), {"study": self.record.study._study_id})
            seen = {row[0] for row in rows}
        self.since = {trial: self.since.get(trial, now) for trial in seen}
        return sorted(trial for trial, first in self.since.items() if now - first > self.grace_s)

    def retry(self) -> None:
        """Fails those that are stale and queues copies of them."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        callback = self._storage.get_heartbeat_stale_trial_callback()
        for trial in self.stale():
            try:
                failed = self._storage.set_trial_state_values(trial, state=TrialState.FAIL)
            except UpdateFinishedTrialError:
                continue
            if failed and callback is not None:
                callback(self.record.study, self._storage.get_trial(trial))

    @property
    def _storage(self) -> RDBStorage:
        backend: Any = self.record.storage.backend
        return backend  # type: ignore[no-any-return]


def retry_stale(record: Record, silent: Silent) -> None:
    """Fails trials without a sign of life for the grace period, and queues copies of them."""
    import optuna

    optuna.storages.fail_stale_trials(record.study)
    silent.retry()


@contextmanager
def one_writer(record: Record) -> Iterator[None]:
    """SQLite lets one process at a time through a transaction, as PostgreSQL's locks of rows do.

    Without it two processes may both see that a trial is stale, and both run it again.
    """
    import sqlalchemy

    storage: Any = record.storage.backend
    engine = storage.engine
    if engine.dialect.name != "sqlite":
        yield
        return

    def takes_no_own_steps(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    def locks(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    listeners = (("connect", takes_no_own_steps), ("begin", locks))
    storage.remove_session()
    engine.dispose()
    for name, listener in listeners:
        sqlalchemy.event.listen(engine, name, listener)
    try:
        yield
    finally:
        storage.remove_session()
        engine.dispose()
        for name, listener in listeners:
            sqlalchemy.event.remove(engine, name, listener)


@contextmanager
def quiet_heartbeats() -> Iterator[None]:
    """Where the storage fails, the search says so; the threads that write signs of life keep still."""
    own = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or "_record_heartbeat" not in args.thread.name:
            own(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = own


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that led to it, latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
