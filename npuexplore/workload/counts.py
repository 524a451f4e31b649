"""What one frame of a dense network takes, before any compression: MACs, activations, element-wise work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from npuexplore.workload.network import (
    Network,
    activation_of,
    gate_count,
    is_recurrent,
    matrices,
    output_features,
    positions_of,
)

Counts = NDArray[np.int64]

LUT_PER_UNIT = {"lstm": 5, "gru": 3}
"""Sigmoids and tanhs per hidden unit: i, f, g, o and tanh(c); r, z and n."""
ELEMENTWISE_PER_UNIT = {"lstm": 8, "gru": 9}
"""Additions and multiplications per hidden unit, beside the matrix-vector products.

LSTM: 4 to join input and recurrent parts, 3 for c, 1 for h. GRU: 3 to join, 1 for r * hn, 1 for the
recurrent bias and 4 for (1 - z) n + z h.
"""
LUT_ACTIVATIONS = ("sigmoid", "tanh")


@dataclass(frozen=True)
class NetworkTables:
    """A network as arrays; L layers, M weight matrices in execution order."""

    kinds: tuple[str, ...]
    """(L,)"""
    activations: tuple[str, ...]
    """(L,) of dense and conv1x1 layers; "none" for recurrent ones."""
    units: Counts
    """(L,) values that each layer hands on."""
    positions: Counts
    """(L,) how often per frame a layer's weights are used: MACs = positions * weights."""
    dense_macs: Counts
    """(L,) MACs per frame before any compression."""
    gates: Counts
    """(L,) row blocks of the weights."""
    recurrent: NDArray[np.bool_]
    """(L,)"""
    matrix_layer: NDArray[np.intp]
    """(M,) layer of each matrix."""
    matrix_start: NDArray[np.intp]
    """(L,) first matrix of each layer."""
    matrix_gates: Counts
    """(M,)"""
    from_state: NDArray[np.bool_]
    """(M,) whether a matrix multiplies the layer's own state."""
    lut_per_unit: Counts
    """(L,)"""
    elementwise_per_unit: Counts
    """(L,)"""
    bands: int


@lru_cache(maxsize=64)
def network_tables(network: Network) -> NetworkTables:
    """The arrays of a network."""
    layers, names = network.layers, [layer.name for layer in network.layers]
    owners = [names.index(layer) for layer, _, _, _ in matrices(network)]
    gates = np.array([gate_count(layer.kind) for layer in layers], np.int64)
    matrix_layer = np.array(owners, np.intp)
    matrix_start = np.array([owners.index(index) for index in range(len(layers))], np.intp)
    weights = np.add.reduceat([rows * columns for _, _, rows, columns in matrices(network)], matrix_start)
    positions = np.array([positions_of(layer) for layer in layers], np.int64)
    activations = tuple(activation_of(layer) for layer in layers)
    return NetworkTables(
        kinds=tuple(layer.kind for layer in layers),
        activations=activations,
        units=np.array([output_features(layer) for layer in layers], np.int64),
        positions=positions,
        dense_macs=np.asarray(weights * positions, np.int64),
        gates=gates,
        recurrent=np.array([is_recurrent(layer) for layer in layers]),
        matrix_layer=matrix_layer,
        matrix_start=matrix_start,
        matrix_gates=gates[matrix_layer],
        from_state=np.array([name == "w_hh" for _, name, _, _ in matrices(network)]),
        lut_per_unit=np.array(
            [
                LUT_PER_UNIT.get(layer.kind, int(activation in LUT_ACTIVATIONS))
                for layer, activation in zip(layers, activations, strict=True)
            ],
            np.int64,
        ),
        elementwise_per_unit=np.array(
            [ELEMENTWISE_PER_UNIT.get(layer.kind, 0) for layer in layers], np.int64
        ),
        bands=network.bands,
    )


def matrix_tables(tables: NetworkTables) -> NetworkTables:
    """The same network with each matrix taken as a layer of its own; (L,) of it is (M,) of `tables`."""
    owner = tables.matrix_layer
    inputs = np.append(tables.bands, tables.units[:-1])[owner]
    columns = np.where(tables.from_state, tables.units[owner], inputs)
    return replace(
        tables,
        kinds=tuple(tables.kinds[layer] for layer in owner),
        activations=tuple(tables.activations[layer] for layer in owner),
        units=tables.units[owner],
        positions=tables.positions[owner],
        dense_macs=tables.matrix_gates * (tables.units[owner] // tables.positions[owner]) * columns,
        gates=tables.matrix_gates,
        recurrent=tables.recurrent[owner],
        matrix_layer=np.arange(owner.size),
        matrix_start=np.arange(owner.size),
        lut_per_unit=tables.lut_per_unit[owner],
        elementwise_per_unit=tables.elementwise_per_unit[owner],
    )
