"""Tests that need a server; each gets an empty database of a PostgreSQL that lives as long as the tests."""

import itertools

import pytest
from cluster import MISSING, running_cluster, server_programs

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def cluster():
    programs = server_programs()
    if programs is None:
        pytest.fail(MISSING)
    with running_cluster(programs) as running:
        yield running


@pytest.fixture
def database(cluster):
    """Name of an empty database."""
    name = f"studies_{next(NUMBERS)}"
    cluster.sql(f"CREATE DATABASE {name}")
    return name


@pytest.fixture
def url(cluster, database):
    """URL, with password, of an empty database."""
    return cluster.url(database)
