"""The record of a search in PostgreSQL."""

import re

import optuna
import pytest
from cluster import PASSWORD

from npuexplore.errors import EnvironmentLacking, UsageError
from npuexplore.search.record import open_record

TWO = {"directions": ["minimize", "minimize"], "metric_names": ("latency_ms", "quality_loss_db")}


def test_a_record_is_a_study_that_plain_optuna_opens(url):
    with open_record(url, **TWO, fingerprint="a") as record:
        record.set_attributes({"engine": "exact"})
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name="npuexplore", storage=storage)
    assert study.user_attrs["engine"] == "exact"
    assert study.metric_names == ["latency_ms", "quality_loss_db"]
    storage.remove_session()
    storage.engine.dispose()


def test_another_search_is_refused_without_the_password(url):
    with open_record(url, **TWO, fingerprint="a"):
        pass
    with pytest.raises(UsageError) as refused, open_record(url, **TWO, fingerprint="b"):
        pass
    assert "holds another search" in str(refused.value)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (lambda url: url.replace("studies_", "absent_"), "create it"),
        (lambda url: url.replace("s3cr", "wrong"), "check user and password"),
        (lambda url: re.sub(r"1:\d+/", "1:9/", url), "check host, port"),
    ],
    ids=["no such database", "wrong password", "nobody listens"],
)
def test_a_database_that_cannot_be_reached_is_one_sentence_without_the_password(url, change, advice):
    with pytest.raises(EnvironmentLacking) as lacking, open_record(change(url), **TWO, fingerprint="a"):
        pass
    assert advice in str(lacking.value)
    assert "\n" not in str(lacking.value)
    assert "s3cr" not in str(lacking.value)
    assert "***" in str(lacking.value)


def test_a_read_only_database_is_one_sentence(cluster, database, url):
    with open_record(url, **TWO, fingerprint="a"):
        pass
    cluster.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with (
        pytest.raises(EnvironmentLacking, match="make it writable"),
        open_record(url, **TWO, fingerprint="a") as record,
    ):
        record.set_attributes({"engine": "exact"})


def test_a_password_may_stay_out_of_the_url(cluster, database, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with open_record(cluster.url(database, password=False), **TWO, fingerprint="a") as record:
        assert record.storage.where.count(":") == 2
