"""Fifty processes killed at random moments while they share a search on PostgreSQL."""

import random
import time

import numpy as np
import psycopg
import pytest
import search_lives
from search_lives import born, help_search, killed, open_search
from toy_search import SPACE

from npuexplore.search.pareto import hypervolume
from npuexplore.search.record import open_record
from npuexplore.search.space import keys_of

KILLS = 50
TRIALS = 240
AT_ONCE = 3
"""One process that opened the search and two workers."""
TRIALS_BETWEEN_KILLS = 2
PATIENCE_S = 900.0


@pytest.fixture
def connection(cluster, database):
    with psycopg.connect(cluster.url(database).replace("+psycopg", ""), autocommit=True) as connection:
        yield connection


def finished(connection):
    """Values of finished trials, by trial; none before there are tables."""
    try:
        rows = connection.execute(
            "SELECT trial_id, array_agg(value ORDER BY objective) FROM trials JOIN trial_values "
            "USING (trial_id) WHERE state = 'COMPLETE' GROUP BY trial_id"
        ).fetchall()
    except psycopg.errors.UndefinedTable:
        return {}
    return {trial: tuple(values) for trial, values in rows}


def trials_of(url):
    with open_record(
        url, study_name=search_lives.NAME, directions=["minimize"] * 3, fingerprint=None
    ) as record:
        return record.study.get_trials()


def quality(trials):
    """Hypervolume of the feasible trials, up to twice the worst that any may have."""
    rows = [t.values for t in trials if t.values and max(t.system_attrs["constraints"]) <= 0.0]
    return hypervolume(np.array(rows) / (10.0, 10_000.0, 10.0), reference=np.ones(3))


def test_fifty_kills_lose_and_repeat_no_finished_trial(cluster, connection, url, record_property):
    cluster.sql("CREATE DATABASE undisturbed")
    open_search(cluster.url("undisturbed"), TRIALS)
    calm = trials_of(cluster.url("undisturbed"))

    began = time.monotonic()
    kills, known = killed_and_reborn(connection, url, began)
    trials = trials_of(url)
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    failed = {trial.number for trial in trials if trial.state.name == "FAIL"}
    retried = {number for trial in trials for number in trial.system_attrs.get("retry_history", [])}
    counts = {
        "kills": kills,
        "finished": len(complete),
        "stale": len(failed),
        "retried": len(failed & retried),
        "hypervolume_frac": round(quality(complete) / quality(calm), 4),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(counts)
    for name, value in counts.items():
        record_property(name, value)

    assert finished(connection).items() >= known.items()
    assert failed
    assert len(failed - retried) <= 2, "killed between failing a trial and copying it"
    assert counts["hypervolume_frac"] > 0.99
    check_complete(trials, complete)


def killed_and_reborn(connection, url, began):
    """Kills the processes of a search at random moments; how often, and what was finished before the last."""
    rng = random.Random(5)
    roles = [open_search] + [help_search] * (AT_ONCE - 1)
    lives = [born(role, url, TRIALS) for role in roles]
    kills, known = 0, {}
    while kills < KILLS:
        goal = len(known) + rng.randrange(TRIALS_BETWEEN_KILLS + 1)
        moment = time.monotonic() + rng.uniform(0.0, 0.3)
        while (len(now := finished(connection)) < goal or time.monotonic() < moment) and len(now) < TRIALS:
            time.sleep(0.02)
            lives = [reborn(life, role, url) for life, role in zip(lives, roles, strict=True)]
            assert time.monotonic() - began < PATIENCE_S
        assert now.items() >= known.items()
        assert len(now) < TRIALS, f"only {kills} kills"
        known = now
        victim = rng.randrange(AT_ONCE)
        kills += killed(lives[victim])
        lives[victim] = born(roles[victim], url, TRIALS)
    for life in lives:
        life.join(PATIENCE_S)
    lives[0] = reborn(lives[0], open_search, url)
    lives[0].join(PATIENCE_S)
    assert lives[0].exitcode == 0
    return kills, known


def check_complete(trials, complete):
    """Every trial that was asked for is finished once, and no other state is left."""
    originals = [trial.system_attrs.get("failed_trial", trial.number) for trial in complete]
    assert len(complete) == TRIALS
    assert {trial.state.name for trial in trials} <= {"COMPLETE", "FAIL", "PRUNED"}
    assert len(set(originals)) == len(originals)
    assert len(set(keys_of(SPACE, [trial.params for trial in complete]))) == TRIALS


def reborn(life, role, url):
    """The process, or where it ended, its successor: a worker that came before the search was opened."""
    if life.exitcode is None:
        return life
    life.join()
    return born(role, url, TRIALS)
