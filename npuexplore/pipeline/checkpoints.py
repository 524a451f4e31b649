"""A trained network as one file: weights, feature scale, network, plan, how it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Params
from npuexplore.documents.shipped import shipped_folder
from npuexplore.errors import BadInput
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint
from npuexplore.workload.network import Network, matrices

SHIPPED_MODEL = "tinylstm"


@dataclass(frozen=True)
class TrainedNetwork:
    """Weights that belong to a network, and all that enhancing sound with them needs."""

    network: Network
    params: Params
    feature_scale: NDArray[np.float32]
    """(F,) deviation of each band's log feature"""
    plan: CompressionPlan | None
    """None for a float network."""
    training: Mapping[str, Any]


def write_network(path: Path, trained: TrainedNetwork, *, half: bool = False) -> None:
    """Writes a checkpoint; `half` stores weights as float16."""
    arrays = {f"params/{layer}/{name}": w for layer, ws in trained.params.items() for name, w in ws.items()}
    manifest = {
        "network": trained.network.model_dump(mode="json", by_alias=True),
        "plan": None if trained.plan is None else trained.plan.model_dump(mode="json"),
        "training": dict(trained.training),
    }
    save_checkpoint(path, {**arrays, "feature_scale": trained.feature_scale}, manifest, half=half)


def read_network(path: Path) -> TrainedNetwork:
    """Reads a checkpoint. Raises BadInput when it is not one, or its arrays do not fit its network."""
    arrays, manifest = load_checkpoint(path)
    try:
        network = Network.model_validate(manifest["network"])
        plan = None if manifest["plan"] is None else CompressionPlan.model_validate(manifest["plan"])
        params: Params = {layer.name: {} for layer in network.layers}
        for key, array in arrays.items():
            if key.startswith("params/"):
                _, layer, name = key.split("/")
                params[layer][name] = array
        scale = arrays["feature_scale"]
        fits = scale.shape == (network.bands,) and all(
            params[layer][name].shape == (rows, columns) for layer, name, rows, columns in matrices(network)
        )
        training = dict(manifest["training"])
    except (KeyError, ValueError, TypeError, ValidationError):
        fits = False
    if not fits:
        raise BadInput(
            f"{path}: not a network checkpoint (its arrays and its manifest disagree); train again"
        )
    return TrainedNetwork(network, params, scale, plan, training)


def find_model(text: str, *, runs: Path) -> Path:
    """The checkpoint meant by a path, RUN:PICK (or RUN:baseline), or the shipped model's name.

    Raises BadInput when there is none.
    """
    path = Path(text)
    if path.suffix == ".npz":
        if not path.is_file():
            raise BadInput(
                f"model {text!r}: no such file; give a checkpoint .npz, RUN:PICK or {SHIPPED_MODEL}"
            )
        return path
    if text == SHIPPED_MODEL:
        return shipped_folder("studies") / "checkpoints" / f"{SHIPPED_MODEL}.npz"
    name, colon, pick = text.rpartition(":")
    if not colon:
        raise BadInput(f"model {text!r}: not known; give a checkpoint .npz, RUN:PICK or {SHIPPED_MODEL}")
    folder = Path(name) if Path(name).is_dir() else runs / name
    run = RunDirectory(folder)
    found = run.baseline if pick == "baseline" else run.pick(Path(pick).name)
    if not found.is_file():
        have = sorted(item.stem for item in (folder / "picks").glob("*.npz"))
        listed = ", ".join(["baseline"] * run.baseline.is_file() + have) or "no finished network"
        raise BadInput(f"model {text!r}: {folder} has no {pick!r}; it has {listed}")
    return found
