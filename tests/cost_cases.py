"""Small networks and plans that tests of the cost model share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.workload.network import Network


def network_of(*layers: Mapping[str, Any], bands: int) -> Network:
    """A network of the given layers and a mask layer; its window is long enough for any `bands`."""
    return Network.model_validate(
        {
            "schema": "npuexplore.network/1",
            "name": "case",
            "frame_clock": {"window_samples": 8192, "hop_samples": 4096},
            "bands": bands,
            "layers": [
                *layers,
                {"kind": "dense", "name": "mask", "output_features": bands, "activation": "sigmoid"},
            ],
        }
    )


def dense_case(inputs: int, outputs: int) -> Network:
    """One dense layer `first` without activation, then the mask layer."""
    return network_of({"kind": "dense", "name": "first", "output_features": outputs}, bands=inputs)


def recurrent_case(kind: str, inputs: int, hidden: int) -> Network:
    """One recurrent layer `first`, then the mask layer."""
    return network_of({"kind": kind, "name": "first", "hidden_units": hidden}, bands=inputs)


def first_layer_plan(**choice: Any) -> CompressionPlan:
    """A choice for the layer `first`; the rest stays dense int8."""
    return CompressionPlan(layers={"first": LayerPlan(**choice)})
