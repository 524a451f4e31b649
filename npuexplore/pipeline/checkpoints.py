"""A trained network as one file: weights, feature scale, network, plan, how it was trained."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan, check_plan
from npuexplore.compression.removed_units import units_left, with_removed, without_removed
from npuexplore.compression.sparsity import Params
from npuexplore.documents.model import NAME_PATTERN
from npuexplore.documents.shipped import shipped_folder
from npuexplore.errors import BadInput
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.records.checkpoint import load_checkpoint, save_checkpoint
from npuexplore.train.model import param_shapes
from npuexplore.train.skipping import is_gated
from npuexplore.workload.network import Network

SHIPPED_MODEL = "tinylstm"
KEPT = "kept/"
"""Before a layer's name: (H,) 1 for units that are there, of layers that lost some."""
WANTED = f"give a checkpoint .npz, RUN:PICK or {SHIPPED_MODEL}"


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
    """Writes a checkpoint without the units that its plan removed; `half` stores weights as float16."""
    left = units_left(trained.params, trained.plan, trained.network)
    small = without_removed(trained.params, left, trained.network)
    arrays = {f"params/{layer}/{name}": w for layer, ws in small.items() for name, w in ws.items()}
    arrays |= {f"{KEPT}{layer}": there.astype(np.float32) for layer, there in left.items()}
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
        network = Network.model_validate_json(json.dumps(manifest["network"]))
        plan = None if manifest["plan"] is None else _plan_of(manifest["plan"], network)
        params: Params = {layer.name: {} for layer in network.layers}
        for key, array in arrays.items():
            if key.startswith("params/"):
                _, layer, name = key.split("/")
                params[layer][name] = array
        left = {name[len(KEPT) :]: array != 0 for name, array in arrays.items() if name.startswith(KEPT)}
        if left:
            params = with_removed(params, left, network)
        training, scale = dict(manifest["training"]), arrays["feature_scale"]
    except (BadInput, LookupError, ValueError, TypeError):
        raise _not_a_network(path, "its manifest is not that of a network") from None
    shapes = {name: {key: array.shape for key, array in entry.items()} for name, entry in params.items()}
    if shapes != param_shapes(network, skips=is_gated(params)) or scale.shape != (network.bands,):
        raise _not_a_network(path, f"its arrays are not those of network {network.name}")
    if not all(np.isfinite(array).all() for array in arrays.values()) or not (scale > 0).all():
        raise _not_a_network(path, "it holds values that are not finite, or a feature scale of 0")
    return TrainedNetwork(network, params, scale, plan, training)


def _plan_of(document: Any, network: Network) -> CompressionPlan:
    plan = CompressionPlan.model_validate_json(json.dumps(document))
    check_plan(plan, network)
    return plan


def _not_a_network(path: Path, problem: str) -> BadInput:
    return BadInput(f"{path}: not a network checkpoint: {problem}; train again or name another file")


def find_model(text: str, *, runs: Path) -> Path:
    """The checkpoint meant by a path, RUN:PICK (or RUN:baseline), or the shipped model's name.

    Raises BadInput when there is none.
    """
    if text.endswith(".npz"):
        if not os.path.isfile(text):
            raise BadInput(f"model {_shown(text)}: no such file; {WANTED}")
        return Path(text)
    if text == SHIPPED_MODEL:
        return shipped_folder("studies") / "checkpoints" / f"{SHIPPED_MODEL}.npz"
    name, _, pick = text.rpartition(":")
    if not name or not re.fullmatch(NAME_PATTERN, pick):
        raise BadInput(f"model {_shown(text)}: not known; {WANTED}")
    run = RunDirectory(Path(name) if os.path.isdir(name) else runs / name)
    found = run.baseline if pick == "baseline" else run.pick(pick)
    if not os.path.isfile(found):
        raise BadInput(f"model {_shown(text)}: not there; {_finished_networks(run)}; {WANTED}")
    return found


def _finished_networks(run: RunDirectory) -> str:
    if not os.path.isdir(run.folder):
        return f"there is no run directory {_shown(str(run.folder))}"
    have = sorted(item.stem for item in (run.folder / "picks").glob("*.npz"))
    return f"{run.folder} has {', '.join(['baseline'] * run.baseline.is_file() + have) or 'no network yet'}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
