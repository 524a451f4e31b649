"""Networks of recorded weights for Vela and for the replay: shapes to network and weights."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.pipeline.verify.vela_names import Shape
from npuexplore.pipeline.verify.vela_net import recorded_matrices
from npuexplore.workload.network import DenseLayer, FrameClock, Layer, LstmLayer, Network

REPOSITORY = Path(__file__).resolve().parents[1]


def vela_networks() -> ModuleType:
    """benchmarks/vela_networks.py; its functions need the bench extra."""
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        import vela_networks as module
    finally:
        sys.path.pop(0)
    return module


def network_of(shapes: Sequence[Shape]) -> Network:
    """A network of these shapes; its last layer must be dense and as wide as its input."""
    layers: list[Layer] = []
    for index, shape in enumerate(shapes):
        name, last = f"layer_{index}", index == len(shapes) - 1
        if shape.kind == "lstm":
            layers.append(LstmLayer(kind="lstm", name=name, hidden_units=shape.outputs))
        else:
            activation = "sigmoid" if last else "none"
            layers.append(
                DenseLayer(kind="dense", name=name, output_features=shape.outputs, activation=activation)
            )
    return Network(
        schema="npuexplore.network/1",
        name="case",
        frame_clock=FrameClock(window_samples=4096, hop_samples=2048),
        bands=shapes[0].inputs,
        layers=tuple(layers),
    )


def weights_of(shapes: Sequence[Shape], plan: Mapping[str, Any]) -> dict[str, NDArray[np.int8]]:
    """Recorded weights by layer and matrix, gates in the order ifgo; plan : structure, sparsity, bits."""
    matrices = recorded_matrices(tuple(shapes), **plan)
    found: dict[str, NDArray[np.int8]] = {}
    for index, shape in enumerate(shapes):
        if shape.kind == "dense":
            found[f"layer_{index}.w"] = matrices[index, "", False]
            continue
        for name, of_state in (("w_ih", False), ("w_hh", True)):
            gates = [matrices[index, gate, of_state] for gate in "ifgo"]
            found[f"layer_{index}.{name}"] = np.concatenate(gates)
    return found
