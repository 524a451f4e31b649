"""Fixtures that several rooms use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("npuexplore", deadline=None, derandomize=True)
settings.load_profile("npuexplore")

os.environ.pop("NPUEXPLORE_PROFILES", None)
os.environ["XDG_CONFIG_HOME"] = os.devnull  # no profiles of whoever runs the tests

pytest_plugins = ["cli_fixtures"]

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The reference data beside the checkout (../shared); tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "audio" / "manifest.csv").is_file():
        pytest.skip("needs the shared reference data in ../shared beside the checkout, which is not there")
    return folder
