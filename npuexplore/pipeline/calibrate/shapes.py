"""Networks of measurements: one layer, or a row of layers written as `640-128x4-8-128x4-640`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from npuexplore.workload.network import AnyLayer, DenseLayer, FrameClock, GruLayer, LstmLayer, Network

LARGEST_FEATURES = 16_384
MAX_LAYERS = 64
KINDS = {
    "fc": "dense", "dense": "dense", "linear": "dense", "fully_connected": "dense", "fullyconnected": "dense",
    "lstm": "lstm", "gru": "gru", "network": "network", "net": "network", "model": "network",
}  # fmt: skip
"""What kinds of rows are called. A width of CMSIS-NN may follow, as in fc_s8."""
WIDTHS = {"": {}, "_s8": {}, "_s4": {"weight_bits": 4}, "_s16": {"activation_bits": 16}}
"""What the name of a kernel says about bits."""
_TOKEN = r"(?:lstm|gru|fc)?[0-9]+(?:x[0-9]+)?"
_SHAPE = re.compile(rf"(?<![\w./-]){_TOKEN}(?:-{_TOKEN})+(?![\w/-])", re.IGNORECASE)
_FRAME = FrameClock(window_samples=512, hop_samples=256)
"""A layer alone has no frame; its cycles do not depend on one."""


def layer_network(kind: str, *, inputs: int, outputs: int, activation: str = "none") -> Network:
    """One layer as a network.

    >>> layer_network("lstm", inputs=16, outputs=32).layers[0].hidden_units
    32
    """
    return bare_network(inputs, [_layer(kind, outputs, activation, place=0)])


def bare_network(inputs: int, layers: Sequence[AnyLayer]) -> Network:
    """A network without what a mask network must have: its layers are priced, and nothing else."""
    return Network.model_construct(
        schema_version="npuexplore.network/1",
        name="measured",
        description="",
        frame_clock=_FRAME,
        bands=inputs,
        layers=tuple(layers),
    )


def shape_network(text: str) -> Network | None:
    """The network of the first shape in a text; None where there is none or it is none that we can price.

    Fully connected layers with relu, whose clamp is part of the kernel; `lstm64` and `gru64` are recurrent.

    >>> [layer.output_features for layer in shape_network("AE (640-128x2-8, int8)").layers]
    [128, 128, 8]
    >>> shape_network("tinylstm") is None
    True
    """
    match = _SHAPE.search(text)
    if match is None:
        return None
    sizes = [_sizes(token) for token in match[0].lower().split("-")]
    (first_kind, inputs, first_count), layers = sizes[0], sizes[1:]
    repeated = [(kind, size) for kind, size, count in layers for _ in range(min(count, MAX_LAYERS + 1))]
    legal = all(1 <= size <= LARGEST_FEATURES for size in (inputs, *(size for _, size in repeated)))
    if first_kind or first_count != 1 or not legal or not 1 <= len(repeated) <= MAX_LAYERS:
        return None
    made = [_layer(kind or "dense", size, "relu", place=place) for place, (kind, size) in enumerate(repeated)]
    return bare_network(inputs, made)


def _sizes(token: str) -> tuple[str, int, int]:
    """(kind, features, how often) of `lstm64x2`."""
    match = re.fullmatch(r"(lstm|gru|fc)?([0-9]{1,9})(?:x([0-9]{1,9}))?", token)
    if match is None:
        return "", 0, 1
    return {"fc": "dense"}.get(match[1] or "", match[1] or ""), int(match[2]), int(match[3] or 1)


def _layer(kind: str, outputs: int, activation: Any, *, place: int) -> AnyLayer:
    name = f"layer_{place + 1}"
    if kind == "lstm":
        return LstmLayer(kind="lstm", name=name, hidden_units=outputs)
    if kind == "gru":
        return GruLayer(kind="gru", name=name, hidden_units=outputs)
    return DenseLayer(kind="dense", name=name, output_features=outputs, activation=activation)
