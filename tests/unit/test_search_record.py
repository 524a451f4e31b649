"""Where a record can lie, what it keeps, and what is said when it cannot be used."""

import errno
import logging
import os
import sqlite3
import sys

import pytest

from npuexplore.errors import BadInput, EnvironmentLacking, UsageError
from npuexplore.search import bulk
from npuexplore.search.record import Trial, open_record
from npuexplore.search.storage import Heartbeat, open_storage, quiet_optuna
from npuexplore.search.storage_faults import masked, said_once

NAMES = ("latency_ms", "flash_bytes")


def opened(storage, **changes):
    return open_record(
        storage, **{"directions": ["minimize"] * 2, "metric_names": NAMES, "fingerprint": "f", **changes}
    )


def trials(count, first=0):
    return [
        Trial(
            number, "mixed", number // 4, {"bits": 4 + 4 * (number % 2)}, (1.0 / 3 + number, 2.0), (-0.1, 0.7)
        )
        for number in range(first, first + count)
    ]


def stored(record, rows):
    from optuna.distributions import CategoricalDistribution

    record.store(
        rows, distributions={"bits": CategoricalDistribution([4, 8])}, constraint_names=["flash", "latency"]
    )


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A database with Optuna's tables and nothing in them."""
    path = tmp_path_factory.mktemp("tables") / "search.db"
    with open_storage(f"sqlite:///{path}"):
        pass
    return path.read_bytes()


@pytest.fixture
def database(tables, tmp_path):
    (tmp_path / "search.db").write_bytes(tables)
    return f"sqlite:///{tmp_path}/search.db"


@pytest.fixture(params=["journal", "sqlite"])
def storage(request, tmp_path):
    return tmp_path / "search.log" if request.param == "journal" else request.getfixturevalue("database")


def test_what_was_stored_is_there_when_it_is_opened_again(storage):
    with opened(storage) as record:
        stored(record, trials(3))
        record.set_attributes({"seed": 7, "engine": "auto"})
    with opened(storage) as record:
        assert record.finished_trials() == trials(3)
        stored(record, trials(2, first=3))
        assert record.finished_trials() == trials(5)
        assert (record.study.user_attrs["seed"], record.study.user_attrs["engine"]) == (7, "auto")
        assert record.study.metric_names == list(NAMES)


def test_memory_holds_a_record_until_it_is_closed():
    with opened("memory:") as record:
        stored(record, trials(2))
        assert record.finished_trials() == trials(2)
    with opened("memory:") as record:
        assert record.finished_trials() == []


def test_optuna_opens_the_study_by_its_name(storage):
    import optuna

    with opened(storage) as record:
        stored(record, trials(3))
    url = storage
    if not isinstance(storage, str):
        url = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(storage)))
    with quiet_optuna():
        study = optuna.load_study(study_name="npuexplore", storage=url)
        assert study.metric_names == list(NAMES)
        assert [trial.values for trial in study.trials] == [list(trial.objectives) for trial in trials(3)]
        assert {"flash": -0.1, "latency": 0.7}.items() <= study.trials[1].constraints.items()
        assert study.trials[1].system_attrs["constraints"] == [-0.1, 0.7]
    if isinstance(storage, str):
        study._storage._backend.remove_session()
        study._storage._backend.engine.dispose()


def test_opening_a_record_again_writes_nothing(tmp_path):
    path = tmp_path / "search.log"
    with opened(path) as record:
        stored(record, trials(1))
        record.set_attributes({"seed": 7})
    before = path.read_bytes()
    with opened(path) as record:
        record.set_attributes({"seed": 7})
    assert path.read_bytes() == before


def test_two_studies_share_a_database(database):
    url = database
    for name, count in (("one", 1), ("two", 2)):
        with opened(url, study_name=name, fingerprint=name) as record:
            stored(record, trials(count))
    with opened(url, study_name="one", fingerprint=None) as record:
        assert len(record.finished_trials()) == 1


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "g"}, {"directions": ["minimize", "maximize"]}, {"directions": ["minimize"] * 3}],
)
def test_another_search_is_refused(storage, change):
    with opened(storage) as record:
        stored(record, trials(1))
    with (
        pytest.raises(UsageError, match="holds another search"),
        opened(storage, **{"metric_names": (), **change}),
    ):
        pass


def test_a_record_of_another_tool_with_trials_is_refused(database):
    import optuna

    with open_storage(database) as storage, quiet_optuna():
        study = optuna.create_study(
            storage=storage.backend, study_name="npuexplore", directions=["minimize"] * 2
        )
        study.add_trial(optuna.trial.create_trial(values=[1.0, 2.0]))
    with pytest.raises(UsageError, match="holds another search"), opened(database):
        pass


def test_a_torn_end_is_cut_off_with_a_word_about_it(tmp_path, caplog):
    path = tmp_path / "search.log"
    with opened(path) as record:
        stored(record, trials(2))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 4, "wor')
    with caplog.at_level(logging.WARNING, logger="npuexplore"), opened(path) as record:
        assert record.finished_trials() == trials(2)
    assert path.read_bytes() == whole
    assert [line.getMessage() for line in caplog.records] == [f"{path}: cut off a torn end of 19 bytes"]


def test_a_line_that_did_not_fit_on_the_disk_leaves_nothing_of_itself(tmp_path, monkeypatch):
    path = tmp_path / "search.log"

    def full(descriptor, line):
        write(descriptor, bytes(line)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(path) as record:
        stored(record, trials(1))
        before, write = path.read_bytes(), os.write
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(EnvironmentLacking, match="No space left on device"):
                stored(record, trials(1, first=1))
        assert path.read_bytes() == before
        stored(record, trials(1, first=1))
    with opened(path) as record:
        assert record.finished_trials() == trials(2)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://ada:secret@h:1/d", "postgresql+psycopg://ada:***@h:1/d"),
        ("postgresql+psycopg://ada:se@cr/et@h/d", "postgresql+psycopg://ada:***@h/d"),
        (
            "postgresql+psycopg://h/d?user=ada&password=secret",
            "postgresql+psycopg://h/d?user=ada&password=***",
        ),
        (
            "postgresql+psycopg://ada@h/d?sslpassword=a&b=c",
            "postgresql+psycopg://ada@h/d?sslpassword=***&b=c",
        ),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("postgresql+psycopg://:secret@h/d", "postgresql+psycopg://:***@h/d"),
    ],
)
def test_passwords_are_masked(url, shown):
    assert masked(url) == shown


def test_what_a_server_says_is_shown_without_the_password_as_written_or_as_meant():
    import sqlalchemy

    url = "postgresql+psycopg://ada:s%40cret@h/d"

    def told():
        with said_once(url):
            raise sqlalchemy.exc.OperationalError(
                "select 1", {}, Exception(f"no s@cret, no s%40cret at {url}")
            )

    with pytest.raises(EnvironmentLacking) as refused:
        told()
    assert "cret" not in str(refused.value)
    assert "no ***, no *** at postgresql+psycopg://ada:***@h/d" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "mysql+pymysql://ada:secret@h/d",
            r"mysql\+pymysql://ada:\*\*\*@h/d: not a storage that npuexplore knows",
        ),
        ("postgresql://ada:secret@h/d", r"give sqlite:///FILE, postgresql\+psycopg://"),
        ("postgresql+psycopg://ada:sec@ret@h/d", r"got a password with @, / or : in it; write %40"),
        ("postgresql+psycopg://ada:secret@h:port/d", "this URL cannot be read"),
        ("sqlite:///:memory:", "this URL names no file"),
        ("sqlite:///", "this URL names no file"),
    ],
)
def test_a_url_that_is_no_storage_is_refused_without_its_password(url, said):
    with pytest.raises(BadInput, match=said) as refused, opened(url):
        pass
    assert "sec" not in str(refused.value)


def test_a_server_that_is_not_there_is_an_environment_fault(monkeypatch):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://ada:secret@127.0.0.1:1/d"
    with (
        pytest.raises(EnvironmentLacking, match="check host, port and that the server runs") as refused,
        opened(url),
    ):
        pass
    assert "secret" not in str(refused.value)


def test_a_missing_extra_names_its_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with (
        pytest.raises(EnvironmentLacking, match=r"pip install 'npuexplore\[postgresql\]'"),
        opened("postgresql+psycopg://ada:secret@127.0.0.1:1/d"),
    ):
        pass


def filled(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "songs.db"
    filled(path, "create table songs (name text)")
    before = path.read_bytes()
    with (
        pytest.raises(BadInput, match=r"holds other tables \(songs\) and no study"),
        opened(f"sqlite:///{path}"),
    ):
        pass
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(BadInput, match="file is not a database"), opened(f"sqlite:///{tmp_path}/text.db"):
        pass


@pytest.mark.parametrize("version", ["v2.6.0.a", "v99.0.0"])
def test_the_tables_of_another_optuna_are_refused(database, tmp_path, version):
    filled(tmp_path / "search.db", f"update alembic_version set version_num = '{version}'")
    with pytest.raises(BadInput, match="made by another version of Optuna"), opened(database):
        pass


def test_tables_that_only_bear_optunas_names_are_refused(tmp_path):
    filled(tmp_path / "a.db", "create table studies (a int)", "create table version_info (a int)")
    with pytest.raises(BadInput, match="no such column"), opened(f"sqlite:///{tmp_path}/a.db"):
        pass


def test_a_folder_that_is_not_there_is_an_environment_fault(tmp_path):
    with (
        pytest.raises(EnvironmentLacking, match="unable to open"),
        opened(f"sqlite:///{tmp_path}/no/such.db"),
    ):
        pass


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("database or disk is full", "free space and run again"),
        ("attempt to write a readonly database", "make it writable"),
    ],
)
def test_what_a_database_refuses_on_the_way_is_one_sentence(database, reason, advice):
    import sqlalchemy

    def refuse(*arguments):
        raise sqlite3.OperationalError(reason)

    def stored_in_vain():
        with opened(database) as record:
            sqlalchemy.event.listen(record.storage.backend.engine, "before_cursor_execute", refuse)
            stored(record, trials(1))

    with pytest.raises(EnvironmentLacking, match=f"{reason}.*{advice}"):
        stored_in_vain()


def test_a_batch_in_a_database_reads_like_what_optuna_writes(database):
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    kinds = {
        "bits": CategoricalDistribution([4, 8]),
        "x": FloatDistribution(0.0, 1.0),
        "n": IntDistribution(1, 9),
    }
    given = [
        optuna.trial.create_trial(
            values=[value, 1.0 / 3],
            params={"bits": 8, "x": 0.1, "n": 3},
            distributions=kinds,
            constraints={"flash": 0.1},
            user_attrs={"who": "ünï", "many": [1, 2.5]},
            system_attrs={"constraints": [0.1]},
        )
        for value in (1e-300, float("inf"), float("-inf"))
    ]
    with open_storage(database) as storage, quiet_optuna():
        one, many = (
            optuna.create_study(storage=storage.backend, study_name=name, directions=["minimize"] * 2)
            for name in ("one", "many")
        )
        one.add_trials(given)
        storage.add_trials(many, given[:1])
        storage.add_trials(many, given[1:])
        for ours, theirs in zip(many.trials, one.trials, strict=True):
            ours._trial_id = theirs._trial_id
            assert ours == theirs


def test_where_optunas_tables_have_changed_optuna_writes_itself(database, monkeypatch):
    monkeypatch.setitem(bulk.COLUMNS, "trials", {"trial_id"})
    with opened(database) as record:
        stored(record, trials(2))
        assert record.finished_trials() == trials(2)


def test_a_batch_that_fails_half_way_leaves_nothing(database, monkeypatch):
    def refuse(attributes):
        raise OSError("torn")

    def stored_in_vain():
        with opened(database) as record:
            stored(record, trials(3))

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "_attributes", refuse)
        with pytest.raises(OSError, match="torn"):
            stored_in_vain()
    with opened(database) as record:
        assert record.study.trials == []


def test_heartbeats_need_a_database(tmp_path):
    for storage in (tmp_path / "search.log", "memory:"):
        with (
            pytest.raises(UsageError, match="heartbeats need a database"),
            opened(storage, heartbeat=Heartbeat(1)),
        ):
            pass


def test_a_database_takes_heartbeats(database):
    with opened(database, heartbeat=Heartbeat(2, grace_s=6, retries=3)) as record:
        backend = record.storage.backend
        assert (backend.get_heartbeat_interval(), backend.grace_period) == (2, 6)
        assert backend.get_heartbeat_stale_trial_callback() is not None
