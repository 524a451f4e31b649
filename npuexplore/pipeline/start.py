"""The trained network that a study's baseline starts from: found, checked, kept in the run directory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npuexplore.documents.atomic import write_bytes
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.study_file import BaselineRecipe
from npuexplore.workload.network import FrameClock, Network


@dataclass(frozen=True)
class Start:
    """A checkpoint, and what it is known by: its contents, wherever it lies."""

    path: Path
    digest: str
    """`sha256:` and the digest of the file."""


def find_start(text: str, network: Network, *, study: Path, runs: Path) -> Start:
    """The float network that a study names, for a baseline of `network`.

    A path is seen from the folder of the file `study` first, then from the working folder.
    Raises BadInput when it is missing, unreadable, compressed or of another network.
    """
    try:
        path = find_model(_beside(text, study.parent), runs=runs)
        trained = read_network(path)
        refuse_other_network(path, trained.network, network)
        if trained.plan is not None:
            raise BadInput(
                f"{path}: holds a compressed network, and a baseline is a float one; "
                "name the baseline that it was made of"
            )
        _refuse_odd_training(path, trained.training)
        return Start(path, digest_of(path.read_bytes()))
    except BadInput as error:
        raise BadInput(f"{study}: baseline.start: {error}") from None


def _refuse_odd_training(path: Path, training: Mapping[str, Any]) -> None:
    """Raises BadInput where a checkpoint does not say in our words what it learned from, and how long."""
    credits, steps = training.get("credits") or [], training.get("steps", 0)
    if not isinstance(credits, list) or not all(isinstance(credit, str) for credit in credits):
        raise BadInput(f"{path}: training.credits: got {credits!r:.80}; a list of licences as text is needed")
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise BadInput(f"{path}: training.steps: got {steps!r:.80}; a whole number is needed")


def _beside(text: str, folder: Path) -> str:
    """`text` as a path seen from `folder`, where a checkpoint or a run directory lies there."""
    run, colon, pick = text.rpartition(":")
    if text.endswith(".npz"):
        return str(folder / text) if (folder / text).is_file() else text
    return f"{folder / run}:{pick}" if colon and run and (folder / run).is_dir() else text


def digest_of(content: bytes) -> str:
    """What a start is known by.

    >>> digest_of(b"")[:15]
    'sha256:e3b0c442'
    """
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def refuse_other_network(path: Path, found: Network, wanted: Network) -> None:
    """Raises BadInput unless weights of `found` work in `wanted`, whose name and deadline may differ."""
    if (found.layers, found.bands) != (wanted.layers, wanted.bands):
        raise BadInput(
            f"{path}: holds network {found.name}, whose layers are not those of {wanted.name}; "
            "name a checkpoint of that network, or train one"
        )
    if _frames(found.frame_clock) != _frames(wanted.frame_clock):
        got, needed = (
            "{1} samples every {2} at {0} Hz".format(*_frames(clock))
            for clock in (found.frame_clock, wanted.frame_clock)
        )
        raise BadInput(
            f"{path}: holds network {found.name}, trained on windows of {got}; those of {wanted.name} are "
            f"{needed}; name a checkpoint of that network, or train one"
        )


def _frames(clock: FrameClock) -> tuple[int, int, int]:
    return clock.sample_rate_hz, clock.window_samples, clock.hop_samples


def start_document(path: Path) -> dict[str, Any]:
    """What the checkpoint of a start says of itself: digest, network, and how it was trained."""
    trained = read_network(path)
    return {
        "digest": digest_of(path.read_bytes()),
        "network": trained.network.name,
        **dict(trained.training),
    }


def credits_of_network(trained: TrainedNetwork) -> tuple[str, ...]:
    """Licences of the audio that a network learned from, as far as it says so."""
    return tuple(trained.training.get("credits") or ())


def refuse_own_start(start: Start | None, folder: Path) -> None:
    """Raises UsageError for a start that starting over in `folder` would remove."""
    if start is not None and start.path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{folder}: --fresh would remove {start.path}, which the study starts from; copy it elsewhere "
            "and name the copy under baseline.start"
        )


def keep_start(run: RunDirectory, recipe: BaselineRecipe, start: Start | None) -> bool:
    """Copies the start into the run, byte by byte: as its baseline where nothing is trained.

    Returns whether there was need to. Raises BadInput when the file has changed since it was looked at, or is
    needed and not known.
    """
    target = run.start if recipe.steps else run.baseline
    if recipe.start is None or run.baseline.exists() or target.exists():
        return False
    if start is None:
        raise BadInput(
            f"{run.folder}: was stopped before it had a copy of the network that it starts from; "
            "go on with `npuexplore study run STUDY.yaml`"
        )
    content = start.path.read_bytes()
    if digest_of(content) != recipe.start:
        raise BadInput(f"{start.path}: has changed since the study was read; run the same command again")
    write_bytes(target, content)
    return True
