"""Parameters as nested dicts, and their flat names on disk and on the tape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from npuexplore.compression.sparsity import Params
from npuexplore.train.primitives.workspace import aligned_copy
from npuexplore.units import FloatArray

OBSERVED = "range"
"""The largest output that the integer grid of a dense layer holds: tracked, or trained with the weights."""

GATE_WEIGHTS, GATE_BIAS = "skip_w", "skip_bias"
"""The gate of a network that skips frames, (H,) and (), in its first recurrent layer."""


def flatten(params: Mapping[str, Mapping[str, Any]], prefix: str = "") -> dict[str, Any]:
    """Names of the form "lstm_1/w_ih", in order.

    >>> flatten({"fc": {"w": 1, "bias": 2}}, "params/")
    {'params/fc/w': 1, 'params/fc/bias': 2}
    """
    return {
        f"{prefix}{layer}/{name}": array for layer, entry in params.items() for name, array in entry.items()
    }


def unflatten(arrays: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """The nested form of the names that start with `prefix`.

    >>> unflatten({"params/fc/w": 1, "adam_m/fc/w": 2}, "params/")
    {'fc': {'w': 1}}
    """
    nested: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        if name.startswith(prefix):
            layer, key = name[len(prefix) :].split("/")
            nested.setdefault(layer, {})[key] = array
    return nested


def trained(params: Mapping[str, Mapping[str, FloatArray]], *, ranges: bool = False) -> dict[str, FloatArray]:
    """The flat parameters that the optimiser moves, `ranges` of outputs among them or not."""
    flat = flatten(params)
    return {name: array for name, array in flat.items() if ranges or not name.endswith(f"/{OBSERVED}")}


def copy_params(params: Mapping[str, Mapping[str, Any]]) -> Params:
    """A deep float32 copy."""
    return {
        layer: {name: aligned_copy(np.asarray(array, np.float32)) for name, array in entry.items()}
        for layer, entry in params.items()
    }
