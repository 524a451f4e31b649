"""`vela_net.csv`: whole networks, as Arm's compiler Vela schedules and estimates them.

Weights are the recorded ones; their encoded bytes, formats and slices are our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.formats import TWO_FOUR
from npuexplore.cost.ethos_u.pricing import Sizes
from npuexplore.cost.ethos_u.real_weights import MatrixKey, RealWeights
from npuexplore.cost.ethos_u.schedule import Cost, Layer, Schedule, schedule
from npuexplore.cost.traffic import Route
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.vela_names import Shape, network_shapes
from npuexplore.pipeline.verify.vela_parts import PLACE_COLUMNS, Place, known_structures, places
from npuexplore.pipeline.verify.weights import recorded_weights

QUANTITIES = (
    "tot_cycles",
    "tot_npu_cycles",
    "sram_used_bytes",
    "dram_used_bytes",
    "offchipflash_used_bytes",
    "enc_weight_bytes",
    "readonly_bytes",
    "tot_macs",
    "npu_ops",
    "fc_ops",
    "fc_npu_cycles",
    "fc_op_cycles",
    "other_npu_cycles",
    "other_op_cycles",
    "sram_tot_access_cycles",
    "dram_tot_access_cycles",
    "offchipflash_tot_access_cycles",
)
MEMORY_NAMES = {"sram": "sram", "dram": "dram", "flash": "offchipflash"}
"""Vela's names of our memories."""
CASE = ("network", "structure", "sparsity", "bits")
GATES = {"i": 0, "f": 1, "g": 2, "o": 3}
"""Gates in the order of the recorded seeds."""
LAYER_SEEDS, STATE_SEEDS, DENSE_SEEDS = 100, 10, 1_000
"""Seeds: 100 k + gate for W_x of LSTM k, 10 more for W_h, 1,000 + k for dense layer k."""


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our figures for every row."""
    known_structures(table, path)
    ours = {name: np.zeros(len(table), np.int64) for name in QUANTITIES}
    known: dict[tuple[object, ...], int] = {}
    everywhere = list(places(table, path))
    for case, rows in table.groupby(list(CASE), sort=False).indices.items():
        name, structure, sparsity, bits = case
        shapes = network_shapes(name, path.parent)
        assert shapes is not None
        matrices = recorded_matrices(shapes, structure=structure, sparsity=sparsity, bits=int(bits))
        for place in everywhere:
            for row in np.intersect1d(place.rows, rows):
                figures = _figures(place, shapes, matrices, known=known, name=str(case))
                for quantity, value in figures.items():
                    ours[quantity][row] = value
    return ours


def unknown_networks(table: pd.DataFrame, path: Path) -> tuple[NDArray[np.bool_], list[str]]:
    """(n,) rows whose network is known, and a sentence for every other network."""
    names = table["network"].unique()
    strange = [name for name in names if network_shapes(name, path.parent) is None]
    sentences = [
        f"{path.name}: network {name!r} is not known; put {name}.yaml, a network of dense and lstm layers, "
        "beside it"
        for name in strange
    ]
    return ~table["network"].isin(strange).to_numpy(), sentences


def _figures(
    place: Place,
    shapes: Sequence[Shape],
    matrices: Mapping[MatrixKey, NDArray[np.int8]],
    *,
    known: dict[tuple[object, ...], int],
    name: str,
) -> dict[str, int]:
    layers = [layer_of(shape) for shape in shapes]
    weights = RealWeights(place.engine, layers, matrices, known=known, name=name)
    found = schedule(place.engine, place.route, layers, weights)
    products = [cost for cost in found.costs if cost.step.command.kind == "product"]
    others = [cost for cost in found.costs if cost.step.command.kind != "product"]
    return {
        "tot_cycles": _total(cost.op_cycles for cost in found.costs),
        "tot_npu_cycles": _total(cost.npu_cycles for cost in found.costs),
        "enc_weight_bytes": _total(cost.staged.weight_bytes for cost in products if cost.staged),
        "tot_macs": _macs(found.costs, layers),
        "npu_ops": len(found.costs),
        "fc_ops": len(products),
        "fc_npu_cycles": _total(cost.npu_cycles for cost in products),
        "fc_op_cycles": _total(cost.op_cycles for cost in products),
        "other_npu_cycles": _total(cost.npu_cycles for cost in others),
        "other_op_cycles": _total(cost.op_cycles for cost in others),
        **_memory_figures(place.route, found),
    }


def _memory_figures(route: Route, found: Schedule) -> dict[str, int]:
    """What each memory holds at its fullest, and how long it is busy."""
    constant = int(found.constant_bytes[0])
    figures = {"readonly_bytes": constant}
    for ours, theirs in MEMORY_NAMES.items():
        used = int(found.alive_bytes[ours][0]) if ours in found.alive_bytes else 0
        figures[f"{theirs}_used_bytes"] = used + (constant if ours == route.weights else 0)
        busy = [cost.memory_cycles[ours] for cost in found.costs if ours in cost.memory_cycles]
        figures[f"{theirs}_tot_access_cycles"] = _total(busy)
    return figures


def _macs(costs: Sequence[Cost], layers: Sequence[Layer]) -> int:
    """MACs of products, half of them in the 2:4 format, and one per element that is copied or clamped."""
    total = 0
    for cost in costs:
        command, sizes = cost.step.command, layers[cost.step.layer].sizes
        if command.kind == "product":
            columns = sizes.units if command.from_state else sizes.inputs
            total += int(sizes.units[0] * columns[0]) // (2 if _is_two_four(cost) else 1)
        elif command.kind in ("copy", "activation"):
            total += int(sizes.units[0])
    return total


def _is_two_four(cost: Cost) -> bool:
    return cost.format_index is not None and bool((cost.format_index & TWO_FOUR).any())


def layer_of(shape: Shape) -> Layer:
    """A recorded layer at 8-bit activations, as a plan to be scheduled."""
    sizes = Sizes(
        inputs=np.array([shape.inputs], np.int64),
        units=np.array([shape.outputs], np.int64),
        activation_bytes=np.ones(1, np.int64),
        two_four=np.zeros(1, np.bool_),
    )
    return Layer(shape.kind, sizes)


@lru_cache(maxsize=2)
def recorded_matrices(
    shapes: tuple[Shape, ...], *, structure: str, sparsity: float, bits: int
) -> dict[MatrixKey, NDArray[np.int8]]:
    """The recorded weights of a network, each gate's matrices apart."""
    found: dict[MatrixKey, NDArray[np.int8]] = {}
    recurrent = dense = 0

    def made(shape: Shape, columns: int, seed: int) -> NDArray[np.int8]:
        return recorded_weights(
            shape.outputs, columns, structure=structure, sparsity=sparsity, bits=bits, seed=seed
        )

    for index, shape in enumerate(shapes):
        if shape.kind == "dense":
            found[index, "", False] = made(shape, shape.inputs, DENSE_SEEDS + dense)
            dense += 1
            continue
        for gate, number in GATES.items():
            seed = LAYER_SEEDS * recurrent + number
            found[index, gate, False] = made(shape, shape.inputs, seed)
            found[index, gate, True] = made(shape, shape.outputs, seed + STATE_SEEDS)
        recurrent += 1
    return found


def _total(values: Iterable[NDArray[np.int64]]) -> int:
    return sum(int(value[0]) for value in values)


REPLAY = Replay(
    texts=(*PLACE_COLUMNS, "network", "structure"),
    wholes=("bits",),
    fractions=("sparsity",),
    quantities=QUANTITIES,
    groupings=(PLACE_COLUMNS, ("network",), ("memory_mode",), ("network", "structure", "sparsity", "bits")),
    run=run,
    usable=unknown_networks,
)
