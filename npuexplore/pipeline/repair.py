"""Mending a run directory after a crash, a full disk or a damaged file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from npuexplore.pipeline.run_directory import RunDirectory, read_manifest, sole_writer
from npuexplore.search.journal_repair import is_journal, repair_journal

REPAIR_SCHEMA = "npuexplore.repair/1"


def repair_run(folder: Path, *, salvage: bool = False, dry_run: bool = False) -> dict[str, Any]:
    """What was wrong with a run and was mended, in one sentence each; in a dry run nothing is changed.

    salvage : give up damaged lines of a search journal, of which a copy is kept. Raises BadInput for a folder
    that is no run and for damaged lines without `salvage`, UsageError while another process works on the
    run, EnvironmentLacking where it cannot be written.
    """
    run = RunDirectory(folder)
    read_manifest(run)
    litter = sorted(folder.rglob(".*.part"))
    with nullcontext() if dry_run else sole_writer(run):
        done = [f"{path}: removed, written by half" for path in litter]
        for journal in _journals(run):
            done += repair_journal(journal, salvage=salvage, dry_run=dry_run)
    return {"schema": REPAIR_SCHEMA, "run": folder.name, "dry_run": dry_run, "repairs": done}


def _journals(run: RunDirectory) -> Iterator[Path]:
    """Every journal of the run: one for each round of its search."""
    for path in sorted(run.folder.glob("*.log")):
        if path.is_file() and (path == run.journal or is_journal(path)):
            yield path
