"""The run directory of a study: what lies where, who may write to it, and whose it is."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuexplore.documents.atomic import write_json
from npuexplore.errors import BadInput, EnvironmentLacking, UsageError

MANIFEST_SCHEMA = "npuexplore.run/1"


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
    def journal(self) -> Path:
        """Optuna's journal of the search."""
        return self.folder / "search.log"

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

    def stage(self, name: str) -> Path:
        """Result of a finished stage."""
        return self.folder / "stages" / f"{name}.json"


def digest(document: Any) -> str:
    """SHA-256 of a document in canonical JSON."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def sole_writer(run: RunDirectory) -> Iterator[None]:
    """Holds the run's lock; a second writer gets one sentence. The lock falls with its process."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        stream = (run.folder / ".lock").open("a")
    except OSError as error:
        raise EnvironmentLacking(
            f"{run.folder}: the run directory cannot be written ({error.strerror}); name another with --runs"
        ) from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"{run.folder}: another process is running this study; wait for it or use --name"
            ) from None
        yield


def claim(run: RunDirectory, inputs: Mapping[str, Any], *, fresh: bool) -> None:
    """Makes the directory this study's own, or raises UsageError with what differs.

    inputs : documents that decide the results (study, profile, network, data, version)
    """
    if fresh:
        _empty(run)
    if not run.manifest.exists():
        write_json(
            run.manifest, {"schema": MANIFEST_SCHEMA, "sha256": digest(inputs), "inputs": dict(inputs)}
        )
        return
    manifest = read_manifest(run)
    if manifest["sha256"] != digest(inputs):
        changed = "; ".join(list(_differences(manifest["inputs"], inputs, ""))[:3])
        raise UsageError(
            f"{run.folder}: made with other inputs ({changed}); "
            "keep both with --name NAME, or start over with --fresh"
        )


def read_manifest(run: RunDirectory) -> dict[str, Any]:
    """The manifest of a run. Raises BadInput when there is none or it cannot be read."""
    try:
        manifest = json.loads(run.manifest.read_text(encoding="utf-8"))
        if manifest["schema"] != MANIFEST_SCHEMA or not isinstance(manifest["inputs"], dict):
            raise ValueError
        return dict(manifest)
    except FileNotFoundError:
        raise BadInput(
            f"{run.folder}: no run directory (manifest.json is missing); "
            "start one with `npuexplore study run STUDY.yaml`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"{run.manifest}: not a run manifest; start over with --fresh or --name NAME"
        ) from None


def read_stage(run: RunDirectory, name: str) -> dict[str, Any] | None:
    """Result of a finished stage, or None; a torn or foreign file counts as not finished."""
    try:
        document = json.loads(run.stage(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _empty(run: RunDirectory) -> None:
    for path in [run.cache, run.folder / "picks", run.folder / "training", run.folder / "stages"]:
        shutil.rmtree(path, ignore_errors=True)
    for path in [run.manifest, run.baseline, run.journal, run.results, run.report, run.timings]:
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
