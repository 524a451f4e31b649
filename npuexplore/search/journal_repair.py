"""Mending a journal: torn ends, damaged lines, trials that nobody works on any more."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from npuexplore.documents.atomic import write_bytes
from npuexplore.errors import BadInput, EnvironmentLacking
from npuexplore.search.journal import JournalFile, cut, entry_of, lock, whole_lines
from npuexplore.search.record import FINGERPRINT_KEY
from npuexplore.search.storage import quiet_optuna
from npuexplore.search.storage_faults import foreign_journal

Entry = dict[str, Any]
Generation = tuple[str, int]
"""A sub-search and the number of a generation of it."""

CREATE_TRIAL = 4
"""Optuna's code of the entry that makes a trial, finished ones included."""
FAILED = 3
"""Optuna's code of a trial that failed."""
_ENTRY_START = b'{"op_code":'
_LEGIBLE = re.compile(rb'"island":"([^"]*)","generation":(\d+)[,}]')


def is_journal(path: Path) -> bool:
    """Whether one of the first lines of a file is one of a journal."""
    with path.open("rb") as stream:
        return any(b'"op_code"' in stream.readline(1 << 20) for _ in range(4))


def repair_journal(path: Path, *, salvage: bool, dry_run: bool) -> list[str]:
    """Mends a journal and says in sentences what was found and done; nothing is written in a dry run.

    salvage : drop damaged lines, keeping a copy of the file. Raises BadInput for damaged lines without it,
    UsageError for a journal in use, EnvironmentLacking where it cannot be written.
    """
    try:
        stream = path.open("rb" if dry_run else "r+b", buffering=0)
    except OSError as error:
        raise EnvironmentLacking(
            f"{path}: the search journal cannot be opened ({error.strerror}); make it writable"
        ) from None
    with stream:
        lock(stream.fileno(), path)
        content = stream.readall() or b""
        lines, torn_bytes = whole_lines(content)
        damaged = [number for number, line in enumerate(lines, start=1) if entry_of(line) is None]
        if damaged and not salvage:
            raise _damaged(path, lines, damaged)
        done = [f"{path}: cut off a torn end of {torn_bytes} bytes"] if torn_bytes else []
        if not dry_run:
            cut(stream.fileno(), content, lines)
        if not damaged:
            return done + _without_running(path, stream.fileno(), lines, dry_run=dry_run)
        done += _without_damage(path, lines, len(damaged), dry_run=dry_run)
    return done if dry_run else done + repair_journal(path, salvage=False, dry_run=False)


def _without_running(path: Path, descriptor: int, lines: Sequence[bytes], *, dry_run: bool) -> list[str]:
    """Trials that a dead process was working on become failed ones; the lock says that none is alive."""
    from optuna.trial import TrialState

    entries = [json.loads(line) for line in lines]
    storage = _replayed(path, descriptor, entries)
    running = [
        trial
        for study in storage.get_all_studies()
        for trial in storage.get_all_trials(study._study_id, deepcopy=False, states=(TrialState.RUNNING,))
    ]
    if not running:
        return []
    if not dry_run:
        os.lseek(descriptor, 0, os.SEEK_END)
        for trial in running:
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        os.fsync(descriptor)
    return [f"{path}: {_counted(len(running), 'trial')} left running by a dead process now failed"]


def _replayed(path: Path, descriptor: int, entries: list[Entry]) -> Any:
    """Optuna's view of a journal. Raises BadInput for what Optuna cannot replay."""
    from optuna.storages.journal import JournalStorage

    backend: Any = JournalFile(path, descriptor, entries)
    try:
        with quiet_optuna():
            return JournalStorage(backend)
    except Exception:
        raise foreign_journal(path) from None


def _damaged(path: Path, lines: Sequence[bytes], damaged: Sequence[int]) -> BadInput:
    numbers = ", ".join(map(str, damaged[:5])) + (", ..." if len(damaged) > 5 else "")
    kept = _finished(path, list(_salvaged(lines)))
    return BadInput(
        f"{path}: damaged in line{'s' if len(damaged) > 1 else ''} {numbers}; `--salvage` keeps "
        f"{_counted(kept, 'finished trial')} and a copy of the file, and what is lost is searched again"
    )


def _without_damage(path: Path, lines: Sequence[bytes], damaged: int, *, dry_run: bool) -> list[str]:
    entries = list(_salvaged(lines))
    kept, copy = _finished(path, entries), _copy_name(path)
    if not dry_run:
        shutil.copyfile(path, copy)
        write_bytes(path, b"".join(_line(entry) for entry in entries if kept))
    return [
        f"{path}: {_counted(damaged, 'damaged line')} removed, {_counted(kept, 'finished trial')} kept; "
        f"{copy.name} is a copy of what was there"
    ]


def _copy_name(path: Path) -> Path:
    names = (
        path.with_name(f"{path.name}.damaged{'' if count == 1 else f'-{count}'}") for count in range(1, 10**6)
    )
    return next(name for name in names if not name.exists())


def _line(entry: Entry) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _finished(path: Path, entries: list[Entry]) -> int:
    """Finished trials that a search can go on from with these entries."""
    from optuna.trial import TrialState

    try:
        storage = _replayed(path, -1, entries)
    except BadInput:
        return 0
    return sum(
        len(storage.get_all_trials(study._study_id, deepcopy=False, states=(TrialState.COMPLETE,)))
        for study in storage.get_all_studies()
        if FINGERPRINT_KEY in study.user_attrs
    )


def _salvaged(lines: Sequence[bytes]) -> Iterator[Entry]:
    """Whole entries, such that Optuna gives every trial its number and a search goes on to the same result.

    A search makes the missing trials of a generation again from where they stop, so of a generation that
    misses one the later ones go too. A dropped trial leaves a failed one in its place, because later entries
    name trials by number. Where it is not known whether a damaged line made a trial, entries that name
    trials are dropped from there on.
    """
    pieces = [piece for line in lines for piece in _pieces(line)]
    broken: set[Generation | None] = set()
    numbers_known = True
    for index, piece in enumerate(pieces):
        entry = entry_of(piece)
        if entry is None:
            code = _code_of(piece)
            numbers_known &= code is not None
            if code in (None, CREATE_TRIAL):
                broken |= _generations_of(piece, pieces[:index], pieces[index + 1 :])
            if code == CREATE_TRIAL:
                yield _failed_trial()
        elif entry.get("op_code") == CREATE_TRIAL and _generation(entry) in broken:
            yield _failed_trial()
        elif numbers_known or "trial_id" not in entry:
            yield entry


def _pieces(line: bytes) -> Iterator[bytes]:
    """What was written in one go: a line, or several that run into each other after a torn one."""
    if entry_of(line) is not None:
        yield line
        return
    starts = [at for at in range(len(line)) if line.startswith(_ENTRY_START, at)]
    edges = sorted({0, *starts, len(line)})
    for start, end in pairwise(edges):
        yield line[start:end]


def _code_of(piece: bytes) -> int | None:
    """The code of a damaged entry, where its beginning is whole."""
    digits = piece[len(_ENTRY_START) :].split(b",")[0]
    return int(digits) if piece.startswith(_ENTRY_START) and digits.isdigit() and b"," in piece else None


def _generation(entry: Entry) -> Generation | None:
    """The generation of a trial of our own searches; None of anything else."""
    facts = entry.get("user_attrs", {})
    return (facts["island"], facts["generation"]) if "island" in facts else None


def _generations_of(piece: bytes, before: Sequence[bytes], after: Sequence[bytes]) -> set[Generation | None]:
    """Where a damaged entry may belong: what is legible in it, or else what lies around it."""
    legible = _LEGIBLE.search(piece)
    if legible:
        return {(legible[1].decode("utf-8", "replace"), int(legible[2]))}
    return {_first_generation(reversed(before)), _first_generation(after)} - {None}


def _first_generation(pieces: Iterable[bytes]) -> Generation | None:
    found = (_generation(entry) for entry in map(entry_of, pieces) if entry is not None)
    return next((generation for generation in found if generation is not None), None)


def _failed_trial() -> Entry:
    return {
        "op_code": CREATE_TRIAL,
        "worker_id": "repair",
        "study_id": 0,
        "datetime_start": None,
        "state": FAILED,
    }


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
