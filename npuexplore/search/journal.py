"""Optuna's journal in one file that survives being killed at any moment.

A finished trial is one line. A torn last line (the process died while writing) is cut off on opening.
One process at a time works on a journal: the kernel drops its lock when it dies.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npuexplore.errors import BadInput, EnvironmentLacking, UsageError

LOG = logging.getLogger("npuexplore")


class JournalFile:
    """Optuna's journal backend over a file that this process has locked.

    Unlike Optuna's own it takes no lock, reads nothing again and waits for no disk at every line: what
    was written survives the death of the process, and `sync` once a batch is against power cuts.
    """

    def __init__(self, path: Path, descriptor: int, entries: list[dict[str, Any]]) -> None:
        self._path = path
        self._descriptor = descriptor
        self._entries = entries

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Entries from a number on."""
        yield from self._entries[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """One line per entry, at the end, each whole or not at all. Raises EnvironmentLacking."""
        for log in logs:
            line = json.dumps(log, separators=(",", ":")).encode() + b"\n"
            before = os.fstat(self._descriptor).st_size
            try:
                _write(self._descriptor, line)
            except OSError as error:
                os.ftruncate(self._descriptor, before)
                raise self._unwritable(error) from None
            self._entries.append(json.loads(line))

    def sync(self) -> None:
        """Wait until the disk has everything. Raises EnvironmentLacking."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> EnvironmentLacking:
        return EnvironmentLacking(
            f"{self._path}: the search journal cannot be written ({error.strerror}); free space and run "
            "again: all finished trials are kept"
        )


def _write(descriptor: int, line: bytes) -> None:
    left = memoryview(line)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def journal_file(path: Path) -> Iterator[JournalFile]:
    """The journal at `path`, created or mended as needed, locked while open.

    Raises UsageError (another process at work), BadInput (damaged before its end), EnvironmentLacking
    (cannot be written).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab", buffering=0)
    except OSError as error:
        raise EnvironmentLacking(
            f"{path}: the search journal cannot be opened ({error.strerror}); choose a folder that can "
            "be written"
        ) from None
    with stream:
        lock(stream.fileno(), path)
        yield JournalFile(path, stream.fileno(), mended_entries(path))


def lock(descriptor: int, path: Path) -> None:
    """Claim an open journal for this process. Raises UsageError when another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise UsageError(
            f"{path}: another process is searching in this journal; wait for it or choose another run name"
        ) from None


def mended_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a journal, after cutting off what follows its last whole line.

    Says so in the log. Raises BadInput when an earlier line is damaged.
    """
    with path.open("r+b") as stream:
        content = stream.read()
        lines, torn_bytes = whole_lines(content)
        entries = [entry for entry in map(entry_of, lines) if entry is not None]
        if len(entries) < len(lines):
            number = next(number for number, line in enumerate(lines, start=1) if entry_of(line) is None)
            raise BadInput(
                f"{path}:{number}: this line of the search journal is damaged; `npuexplore study repair` "
                "says what can be kept, or remove the file to search again"
            )
        if torn_bytes:
            LOG.warning("%s: cut off a torn end of %d bytes", path, torn_bytes)
        cut(stream.fileno(), content, lines)
    return entries


def whole_lines(content: bytes) -> tuple[list[bytes], int]:
    """Lines with their ends, and how many bytes of a torn one follow; a stray carriage return ends none.

    >>> whole_lines(b'{"a": 1}\\n{"b": ')
    ([b'{"a": 1}\\n'], 6)
    """
    *whole, rest = content.split(b"\n")
    lines = [line + b"\n" for line in whole]
    if entry_of(rest) is not None:
        return [*lines, rest + b"\n"], 0
    if lines and entry_of(lines[-1]) is None:
        return lines[:-1], len(lines[-1]) + len(rest)
    return lines, len(rest)


def cut(descriptor: int, content: bytes, lines: list[bytes]) -> None:
    """Make a journal with this content end where its last whole line ends."""
    length = sum(map(len, lines))
    if length > len(content):
        os.lseek(descriptor, 0, os.SEEK_END)
        _write(descriptor, b"\n")
    elif length < len(content):
        os.ftruncate(descriptor, length)


def entry_of(line: bytes) -> dict[str, Any] | None:
    """What a line of a journal says; None when it is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
