"""Many finished trials into a database at once.

Optuna writes a trial in dozens of statements and a commit of its own: 25 ms of a processor and a wait for
the disk. Here a batch is one transaction of one statement per table, and what is read back is the same. Where
Optuna's tables are not those that this file knows, Optuna writes them itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna
    import sqlalchemy
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

Row = dict[str, Any]

COLUMNS = {
    "trials": {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"},
    "trial_values": {"trial_value_id", "trial_id", "objective", "value", "value_type"},
    "trial_params": {"param_id", "trial_id", "param_name", "param_value", "distribution_json"},
    "trial_user_attributes": {"trial_user_attribute_id", "trial_id", "key", "value_json"},
    "trial_system_attributes": {"trial_system_attribute_id", "trial_id", "key", "value_json"},
}
"""Optuna's tables as this file knows them (Optuna 3.0 to 5.0)."""


def add_trials(storage: RDBStorage, study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """Append finished trials, all or none."""
    if not trials:
        return
    if not _known_tables():
        study.add_trials(trials)
        return
    study_id = storage.get_study_id_from_name(study.study_name)
    with storage.engine.connect() as connection, _transaction(connection):
        first = _next_number(connection, study_id)
        keys = _inserted(connection, [_row(trial, study_id, first + i) for i, trial in enumerate(trials)])
        distributions: dict[int, str] = {}
        for table, rows_of in (
            ("trial_values", _values),
            ("trial_params", lambda trial: _params(trial, distributions)),
            ("trial_user_attributes", lambda trial: _attributes(trial.user_attrs)),
            ("trial_system_attributes", lambda trial: _attributes(trial.system_attrs)),
        ):
            rows = [
                {"trial_id": key, **row}
                for key, trial in zip(keys, trials, strict=True)
                for row in rows_of(trial)
            ]
            if rows:
                connection.execute(_table(table).insert(), rows)


def _table(name: str) -> sqlalchemy.Table:
    from optuna.storages._rdb.models import BaseModel

    table: sqlalchemy.Table = BaseModel.metadata.tables[name]
    return table


def _known_tables() -> bool:
    return all(set(_table(name).columns.keys()) == columns for name, columns in COLUMNS.items())


@contextmanager
def _transaction(connection: sqlalchemy.Connection) -> Iterator[None]:
    """A transaction that nobody else writes in; Python's SQLite begins none by itself, so it is told to."""
    if connection.dialect.name != "sqlite":
        with connection.begin():
            yield
        return
    driver: Any = connection.connection.dbapi_connection
    level, driver.isolation_level = driver.isolation_level, None
    try:
        with connection.begin():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
    finally:
        driver.isolation_level = level


def _next_number(connection: sqlalchemy.Connection, study_id: int) -> int:
    """The number of the next trial; the study's row stays locked, as Optuna locks it, so that it is ours."""
    import sqlalchemy as sa

    studies, trials = _table("studies"), _table("trials")
    connection.execute(sa.select(studies.c.study_id).where(studies.c.study_id == study_id).with_for_update())
    count = sa.select(sa.func.count(trials.c.trial_id)).where(trials.c.study_id == study_id)
    return int(connection.execute(count).scalar_one())


def _inserted(connection: sqlalchemy.Connection, rows: list[Row]) -> list[int]:
    """The keys of new trials, in the order of the rows."""
    trials = _table("trials")
    statement = trials.insert().returning(trials.c.trial_id, sort_by_parameter_order=True)
    return [int(key) for key in connection.execute(statement, rows).scalars()]


def _row(trial: FrozenTrial, study_id: int, number: int) -> Row:
    return {
        "study_id": study_id,
        "number": number,
        "state": trial.state,
        "datetime_start": _utc(trial.datetime_start),
        "datetime_complete": _utc(trial.datetime_complete),
    }


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _values(trial: FrozenTrial) -> Iterator[Row]:
    from optuna.storages._rdb.models import TrialValueModel

    for objective, value in enumerate(trial.values):
        stored, kind = TrialValueModel.value_to_stored_repr(value)
        yield {"objective": objective, "value": stored, "value_type": kind}


def _params(trial: FrozenTrial, known: dict[int, str]) -> Iterator[Row]:
    """`known` keeps the text of distributions, which are the same objects in every trial of a batch."""
    from optuna.distributions import distribution_to_json

    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        if id(distribution) not in known:
            known[id(distribution)] = distribution_to_json(distribution)
        yield {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": known[id(distribution)],
        }


def _attributes(attributes: dict[str, Any]) -> Iterator[Row]:
    for key, value in attributes.items():
        yield {"key": key, "value_json": json.dumps(value)}
