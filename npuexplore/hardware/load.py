"""Profiles from YAML, by shipped name or path."""

from __future__ import annotations

from pathlib import Path

from npuexplore.documents.shipped import find_document, shipped_names
from npuexplore.documents.strict_yaml import read_document
from npuexplore.hardware.profile import HardwareProfile


def load_profile(name_or_path: str | Path) -> HardwareProfile:
    """The profile of a shipped name or a YAML file; raises BadInput with file and line.

    >>> load_profile("stm32f746").clock_hz
    216000000
    """
    return read_document(find_document(name_or_path, "hw_profiles"), HardwareProfile, what="hardware profile")


def list_profiles() -> list[str]:
    """Names of the shipped profiles."""
    return shipped_names("hw_profiles")
