"""Everything that can go wrong, each with the exit code a shell sees.

A message says where, what was got, what is allowed and what to do next, in one sentence.
"""

from __future__ import annotations

from typing import ClassVar


class NpuexploreError(Exception):
    """A sentence for the user; never shown with a traceback."""

    exit_code: ClassVar[int] = 3


class LimitsNotMet(NpuexploreError):
    """Nothing in the study fits the part, or a checked limit is broken."""

    exit_code = 1


class UsageError(NpuexploreError):
    """The command line contradicts itself or the state on disk."""

    exit_code = 2


class BadInput(NpuexploreError):
    """A file or folder given by the user cannot be used."""

    exit_code = 3


class EnvironmentLacking(NpuexploreError):
    """Something outside the input is missing: an extra, storage, disk space."""

    exit_code = 4
