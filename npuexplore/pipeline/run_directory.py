"""The run directory of a study: what lies where, who may write to it, and whose it is."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import npuexplore
from npuexplore.documents.atomic import write_json
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError

MANIFEST_SCHEMA = "npuexplore.run/1"
LOCK = ".lock"


@dataclass(frozen=True)
class RunDirectory:
    """Names of everything under a run's folder."""

    folder: Path

    @property
    def manifest(self) -> Path:
        """Study, profile, network and data that this run belongs to."""
        return self.folder / "manifest.json"

    @property
    def cache(self) -> Path:
        """Prepared segments; can be deleted, and is when the run is finished."""
        return self.folder / "cache"

    @property
    def baseline(self) -> Path:
        """The trained float network."""
        return self.folder / "baseline.npz"

    @property
    def start(self) -> Path:
        """Copy of the network that the baseline is fine-tuned from, until the run is finished."""
        return self.folder / "start.npz"

    @property
    def journal(self) -> Path:
        """Optuna's journal of the search."""
        return self.folder / "search.log"

    @property
    def halving(self) -> Path:
        """Optuna's journal of the plans that competed for being picks."""
        return self.folder / "halving.log"

    @property
    def results(self) -> Path:
        """`results.json`"""
        return self.folder / "results.json"

    @property
    def report(self) -> Path:
        """`report.html`"""
        return self.folder / "report.html"

    @property
    def timings(self) -> Path:
        """Dates, durations and host: all that may differ between equal runs."""
        return self.folder / "timings.json"

    def pick(self, name: str) -> Path:
        """Checkpoint of a retrained pick."""
        return self.folder / "picks" / f"{name}.npz"

    def training_state(self, name: str) -> Path:
        """State of a training under way, removed when it is finished."""
        return self.folder / "training" / f"{name}.npz"

    def curve(self, name: str) -> Path:
        """Losses and sizes of a training, step by step."""
        return self.folder / "curves" / f"{name}.csv"

    def stage(self, name: str) -> Path:
        """Result of a finished stage."""
        return self.folder / "stages" / f"{name}.json"


def digest(document: Any) -> str:
    """SHA-256 of a document in canonical JSON."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def sole_writer(run: RunDirectory) -> Iterator[None]:
    """Holds the run's lock; a second writer gets one sentence. The lock falls with its process.

    What a killed writer left half-written is removed; so is a run directory in which nothing was begun.
    """
    first = not run.folder.parent.exists()
    with _locked(run):
        if run.manifest.exists():
            for litter in run.folder.rglob(".*.part"):
                litter.unlink(missing_ok=True)
        try:
            yield
        finally:
            if [path.name for path in run.folder.iterdir()] == [LOCK]:
                (run.folder / LOCK).unlink()
                run.folder.rmdir()
                if first and not any(run.folder.parent.iterdir()):
                    run.folder.parent.rmdir()


def _locked(run: RunDirectory) -> IO[str]:
    """The run's lock file, open and locked."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        stream = (run.folder / LOCK).open("a")
    except OSError as error:
        raise _unwritable(run, error) from None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(stream.fileno()).st_nlink == 0:
            raise BlockingIOError
    except BlockingIOError:
        stream.close()
        raise UsageError(
            f"{run.folder}: another process is running this study; wait for it or use --name"
        ) from None
    except OSError as error:
        stream.close()
        raise _unwritable(run, error) from None
    return stream


def _unwritable(run: RunDirectory, error: OSError) -> EnvironmentLacking:
    return EnvironmentLacking(
        f"{run.folder}: the run directory cannot be written ({error.strerror}); name another with --runs"
    )


def is_new(run: RunDirectory) -> bool:
    """Whether no study has this directory yet. Raises UsageError when other things lie in it."""
    if run.manifest.exists():
        return False
    own = (LOCK, f".{run.manifest.name}.")
    foreign = sorted(path.name for path in run.folder.iterdir() if not path.name.startswith(own))
    if foreign:
        raise UsageError(
            f"{run.folder}: holds {foreign[0]!r} but no run of a study; choose another --name or --runs"
        )
    return True


def claim(run: RunDirectory, inputs: Mapping[str, Any], *, fresh: bool) -> None:
    """Makes the directory this study's own, or raises UsageError with what differs.

    inputs : documents that decide the results (study, profile, network, data). `fresh` removes what
    another study, or this one, made there. A folder that holds anything else is never touched.
    """
    if not is_new(run):
        manifest = read_manifest(run)
        if not fresh:
            _refuse_other(run, manifest, inputs)
            return
        _empty(run)
    write_json(
        run.manifest,
        {
            "schema": MANIFEST_SCHEMA,
            "npuexplore": npuexplore.__version__,
            "sha256": digest(inputs),
            "inputs": dict(inputs),
        },
    )


def _refuse_other(run: RunDirectory, manifest: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    """Raises UsageError when another study or another version made the run."""
    version = {"npuexplore": npuexplore.__version__}
    made_with = {"npuexplore": manifest.get("npuexplore", npuexplore.__version__)}
    changed = list(_differences({**made_with, **manifest["inputs"]}, {**version, **inputs}, ""))
    if changed:
        raise UsageError(
            f"{run.folder}: made with other inputs ({'; '.join(changed[:3])}); "
            "keep both with --name NAME, or start over with --fresh"
        )


def read_manifest(run: RunDirectory) -> dict[str, Any]:
    """The manifest of a run. Raises BadInput when there is none or it cannot be read."""
    try:
        manifest = json.loads(run.manifest.read_text(encoding="utf-8"))
        if manifest["schema"] != MANIFEST_SCHEMA or digest(manifest["inputs"]) != manifest["sha256"]:
            raise ValueError
        return dict(manifest)
    except FileNotFoundError:
        raise BadInput(
            f"{run.folder}: no run directory (manifest.json is missing); "
            "start one with `npuexplore study run STUDY.yaml`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"{run.manifest}: not a whole run manifest of this version; choose another --name, "
            "or remove the folder and start over"
        ) from None


def write_stage(run: RunDirectory, name: str, content: dict[str, Any]) -> None:
    """Keeps the result of a finished stage."""
    write_json(run.stage(name), {"sha256": digest(content), "content": content})


def read_stage(run: RunDirectory, name: str) -> dict[str, Any] | None:
    """Result of a finished stage, or None; a torn, edited or foreign file counts as not finished."""
    try:
        document = json.loads(run.stage(name).read_text(encoding="utf-8"))
        whole = document["sha256"] == digest(document["content"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(document["content"]) if whole else None


def _empty(run: RunDirectory) -> None:
    """Removes what a study makes; the manifest last, so that a kill leaves a run directory."""
    for path in [run.cache, *(run.folder / name for name in ("picks", "training", "stages", "curves"))]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    made = [run.start, run.baseline, run.journal, run.halving, run.results, run.report, run.timings]
    for path in [*made, *run.folder.glob("search-*.log"), *run.folder.glob("halving-*.log"), run.manifest]:
        path.unlink(missing_ok=True)


def _differences(old: Any, new: Any, where: str) -> Iterator[str]:
    """`key: old -> new` for every leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
    elif old != new:
        yield f"{where}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
