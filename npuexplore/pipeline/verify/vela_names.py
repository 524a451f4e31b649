"""Networks that reference files speak of by name, or describe in a YAML file beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from npuexplore.workload.load import load_network
from npuexplore.workload.network import DenseLayer, LstmLayer, Network, output_features

HEAD_FEATURES = 128
"""Inputs and outputs of the recorded networks whose names do not say them."""
LARGEST_FEATURES = 16_384
LARGEST_DEPTH = 64


class Shape(NamedTuple):
    """A layer of a recorded network."""

    kind: str
    """`lstm` or `dense`."""
    inputs: int
    outputs: int


def network_shapes(name: str, folder: Path) -> tuple[Shape, ...] | None:
    """Layers of a network: of `<name>.yaml` in the folder, or read from the name; None if there is neither.

    Raises BadInput for a broken file. Activation functions are left out, as in the recorded networks.

    >>> network_shapes("lstm128x2", Path("nowhere"))[0]
    Shape(kind='lstm', inputs=64, outputs=128)
    """
    file = folder / f"{name}.yaml"
    if re.fullmatch(r"[\w.-]+", name) and file.is_file():
        return _described(load_network(file))
    for pattern, shapes in NAMES.items():
        found = re.fullmatch(pattern, name)
        if found:
            numbers = {key: int(value) for key, value in found.groupdict().items() if value}
            return shapes(numbers) if _sensible(numbers) else None
    return None


def _sensible(numbers: Mapping[str, int]) -> bool:
    depth = numbers.get("layers", 1)
    return 1 <= depth <= LARGEST_DEPTH and all(1 <= each <= LARGEST_FEATURES for each in numbers.values())


def _described(network: Network) -> tuple[Shape, ...] | None:
    """Shapes of a network file; None if a layer is of a kind that Vela does not take."""
    shapes, inputs = [], network.bands
    for layer in network.layers:
        if not isinstance(layer, DenseLayer | LstmLayer):
            return None
        outputs = output_features(layer)
        shapes.append(Shape(layer.kind, inputs, outputs))
        inputs = outputs
    return tuple(shapes)


def _chain(inputs: int, *outputs: tuple[str, int]) -> tuple[Shape, ...]:
    shapes = []
    for kind, features in outputs:
        shapes.append(Shape(kind, inputs, features))
        inputs = features
    return tuple(shapes)


def _speech(numbers: Mapping[str, int]) -> tuple[Shape, ...]:
    """`speech2xlstm256`: 128 bands, two LSTMs, two dense layers back to the bands."""
    recurrent = [("lstm", numbers["hidden"])] * numbers["layers"]
    return _chain(HEAD_FEATURES, *recurrent, ("dense", HEAD_FEATURES), ("dense", HEAD_FEATURES))


def _recurrent(numbers: Mapping[str, int]) -> tuple[Shape, ...]:
    """`lstm128x2`: inputs and outputs half as wide as the LSTMs."""
    edge = max(numbers["hidden"] // 2, 1)
    return _chain(edge, *[("lstm", numbers["hidden"])] * numbers.get("layers", 1), ("dense", edge))


def _perceptron(numbers: Mapping[str, int]) -> tuple[Shape, ...]:
    """`fc_mlp512`: three wide layers between 128 inputs and 128 outputs; `fc_mlp512x5` has five."""
    wide = [("dense", numbers["hidden"])] * numbers.get("layers", 3)
    return _chain(HEAD_FEATURES, *wide, ("dense", HEAD_FEATURES))


NAMES: Mapping[str, Callable[[Mapping[str, int]], tuple[Shape, ...]]] = {
    r"speech(?P<layers>\d{1,2})xlstm(?P<hidden>\d{1,5})": _speech,
    r"lstm(?P<hidden>\d{1,5})(x(?P<layers>\d{1,2}))?": _recurrent,
    r"fc_mlp(?P<hidden>\d{1,5})(x(?P<layers>\d{1,2}))?": _perceptron,
}
"""What names of recorded networks look like."""
