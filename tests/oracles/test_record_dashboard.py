"""What optuna-dashboard 0.21 shows of a record: its own loader, its own web application, no browser."""

import io
import json

import pytest
from optuna.distributions import CategoricalDistribution

from npuexplore.search.record import Trial, open_record

optuna_dashboard = pytest.importorskip("optuna_dashboard")
from optuna_dashboard._storage_url import get_storage  # noqa: E402

NAMES = ("latency_ms", "flash_bytes")


@pytest.fixture(params=["journal", "sqlite"])
def application(request, tmp_path):
    """The dashboard over a record of three trials, the second of which breaks a limit."""
    path = tmp_path / "search.log" if request.param == "journal" else f"sqlite:///{tmp_path}/search.db"
    trials = [
        Trial(
            number, "mixed", 0, {"bits": 4 + 4 * (number % 2)}, (1.5 + number, 2.0), (-0.5, number % 2 - 0.5)
        )
        for number in range(3)
    ]
    with open_record(path, directions=["minimize"] * 2, metric_names=NAMES, fingerprint="f") as record:
        record.store(
            trials,
            distributions={"bits": CategoricalDistribution([4, 8])},
            constraint_names=["flash_bytes", "latency_ms"],
        )
        record.set_attributes({"engine": "auto", "seed": 7, "coverage": 0.75})
    storage = get_storage(str(path))
    yield optuna_dashboard.wsgi(storage)
    if request.param == "sqlite":
        storage.remove_session()
        storage.engine.dispose()


def got(application, path):
    """The JSON that the dashboard's page asks for."""
    statuses = []
    environment = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
    }
    body = b"".join(application(environment, lambda status, headers, *_: statuses.append(status)))
    assert statuses == ["200 OK"], body
    return json.loads(body)


def test_the_dashboard_shows_the_study_its_objectives_and_its_attributes(application):
    (summary,) = got(application, "/api/studies")["study_summaries"]
    study = got(application, f"/api/studies/{summary['study_id']}")
    assert summary["study_name"] == "npuexplore"
    assert study["directions"] == ["minimize", "minimize"]
    assert study["objective_names"] == list(NAMES)
    shown = {attribute["key"]: attribute["value"] for attribute in study["user_attrs"]}
    assert shown["engine"].strip('"') == "auto"
    assert (shown["seed"], shown["coverage"]) == ("7", "0.75")


def test_the_dashboard_shows_values_and_which_trials_keep_their_limits(application):
    (summary,) = got(application, "/api/studies")["study_summaries"]
    trials = got(application, f"/api/studies/{summary['study_id']}")["trials"]
    assert [trial["values"] for trial in trials] == [[1.5, 2.0], [2.5, 2.0], [3.5, 2.0]]
    assert [trial["constraints"] for trial in trials] == [[-0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]]
    assert [trial["params"][0]["param_external_value"] for trial in trials] == ["4", "8", "4"]
