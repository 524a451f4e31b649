"""Units that a network can do without: how it is stored without them, and the smaller network it really is.

A unit is gone when all its weights and biases are zero, its column in the next layer's matrix too: without
it every other value is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import BoolArray, Params, input_matrix, kept_columns, shrink
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network, gate_count, positions_of, unit_count

Arrays = Mapping[str, Mapping[str, FloatArray]]
STATE_VECTORS = ("skip_w",)
"""Arrays (H,) that read a layer's state."""
COUNTS = ("hidden_units", "output_features", "output_channels")
"""What layers call the number of their units."""


def units_left(params: Arrays, plan: CompressionPlan | None, network: Network) -> dict[str, BoolArray]:
    """(H,) True = there, of every layer that a plan takes units from and that has lost some."""
    left = {}
    for index, layer in enumerate(network.layers):
        if plan is None or plan.of(layer.name).structure != "unit":
            continue
        there = _is_there(params, network, index)
        if there.any() and not there.all():
            left[layer.name] = there
    return left


def _is_there(params: Arrays, network: Network, index: int) -> BoolArray:
    layer = network.layers[index]
    units, gates = unit_count(layer), gate_count(layer.kind)
    there = np.zeros(units, bool)
    for name, array in params[layer.name].items():
        if name.startswith(("w", "bias")):
            there |= (array != 0).reshape(gates, units, -1).any(axis=(0, 2))
        if name == "w_hh":
            there |= (array != 0).any(axis=0)
        if name in STATE_VECTORS:
            there |= array != 0
    following = input_matrix(params, network, index + 1)
    if following is not None:
        there |= (following != 0).any(axis=0).reshape(-1, units).any(axis=0)
    return there


def without_removed(params: Arrays, left: Mapping[str, BoolArray], network: Network) -> Params:
    """Parameters without the rows and columns of units that are gone."""
    gates = {layer.name: gate_count(layer.kind) for layer in network.layers}
    masks = {name: {"bias": np.tile(there, gates[name])} for name, there in left.items()}
    small = shrink(params, masks, network)
    for name, there in left.items():
        for vector in STATE_VECTORS:
            if vector in small[name]:
                small[name][vector] = small[name][vector][there]
    return small


def with_removed(small: Arrays, left: Mapping[str, BoolArray], network: Network) -> Params:
    """The parameters of which `without_removed` took the zeros.

    Raises ValueError where arrays and units do not go together.
    """
    full: Params = {}
    kept_inputs = np.ones(network.bands, bool)
    for layer in network.layers:
        kept = left.get(layer.name, np.ones(unit_count(layer), bool))
        rows = np.tile(kept, gate_count(layer.kind))
        full[layer.name] = {}
        for name, array in small[layer.name].items():
            whole: FloatArray = array
            if name.startswith("w"):
                columns = kept if name == "w_hh" else kept_columns(layer, kept_inputs)
                whole = np.zeros((rows.size, columns.size), array.dtype)
                whole[np.ix_(rows, columns)] = array
            elif name.startswith("bias") or name in STATE_VECTORS:
                there = rows if name.startswith("bias") else kept
                whole = np.zeros(there.size, array.dtype)
                whole[there] = array
            full[layer.name][name] = whole
        kept_inputs = np.tile(kept, positions_of(layer))
    return full


def smaller_network(
    params: Arrays, plan: CompressionPlan, network: Network
) -> tuple[Params, CompressionPlan, Network]:
    """The same network without the units that are gone, and what the plan says of the rest: what deploys.

    A layer of which units were removed is dense, with the bits that it had.
    """
    left = units_left(params, plan, network)
    layers = []
    for layer in network.layers:
        count = int(left[layer.name].sum()) if layer.name in left else unit_count(layer)
        key = next(key for key in COUNTS if hasattr(layer, key))
        layers.append(layer.model_copy(update={key: count}))
    choices = {
        name: choice.model_copy(update={"structure": "dense", "sparsity_frac": 0.0})
        if name in left
        else choice
        for name, choice in plan.layers.items()
    }
    return (
        without_removed(params, left, network),
        plan.model_copy(update={"layers": choices}),
        network.model_copy(update={"layers": tuple(layers)}),
    )
