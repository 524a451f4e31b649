"""Costs of layers on an Ethos-U: each is a list of commands, each bound by its work or its memories.

NPU cycles do not depend on the weights' values; zeros and low bit-widths act through encoded bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes, matrix_values, sum_layers
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.ethos_u.coder import encoded_bytes
from npuexplore.cost.ethos_u.commands import blocks_of
from npuexplore.cost.ethos_u.lowering import Command, Fused, Tensor, layer_commands
from npuexplore.cost.ethos_u.pricing import (
    Placement,
    Sizes,
    price,
    products_of,
    scale_bytes,
    weight_streams,
)
from npuexplore.cost.ethos_u.streams import access_cycles
from npuexplore.cost.traffic import Route
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.units import ceil_div
from npuexplore.workload.counts import LUT_ACTIVATIONS, Counts, NetworkTables

NETWORK = Tensor(wide=False, bricks=False, place="network")
BETWEEN = Tensor(wide=False, bricks=True, place="scratch")


@dataclass(frozen=True)
class CommandCosts:
    """One kind of command of a layer, (P,) each, for all of its repetitions."""

    command: Command
    repeats: int
    npu_cycles: Counts
    cycles: Counts
    memory_cycles: dict[str, Counts]
    memory_bytes: dict[str, Counts]


def layer_costs(engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans."""
    encoded = plan_encoded_bytes(engine, tables, shapes)
    layers = [
        list(_layer_commands(engine, route, tables, shapes, encoded=encoded, layer=layer))
        for layer in range(len(tables.kinds))
    ]
    plans = shapes.units.shape[0]
    decode = _summed(
        [[c.npu_cycles for c in layer if c.command.kind == "product"] for layer in layers], plans=plans
    )
    glue = _summed(
        [[c.npu_cycles for c in layer if c.command.kind != "product"] for layer in layers], plans=plans
    )
    return EngineCosts(
        terms={
            "mac": np.asarray(ceil_div(shapes.macs, engine.macs_per_cycle)),
            "decode": decode,
            "activation": glue,
        },
        compute_cycles=decode + glue,
        cycles=_summed([[c.cycles for c in layer] for layer in layers], plans=plans),
        memory_cycles={name: _by_memory(layers, name, "memory_cycles") for name in route.regions},
        memory_bytes={name: _by_memory(layers, name, "memory_bytes") for name in route.regions},
        weight_bytes=sum_layers(encoded * tables.matrix_gates, tables),
        weight_format=np.zeros(decode.shape, np.int8, order="F"),
        formats=("mlw",),
        executed_macs=shapes.macs,
        elementwise_ops=shapes.units * (tables.elementwise_per_unit + tables.lut_per_unit),
    )


def plan_encoded_bytes(engine: EthosU, tables: NetworkTables, shapes: PlanShapes) -> Counts:
    """(P, M) expected encoded bytes of one gate of each matrix."""
    return encoded_bytes(
        engine,
        rows=shapes.rows,
        columns=shapes.columns,
        kept=shapes.kept_elems / tables.matrix_gates,
        weight_bits=matrix_values(shapes.weight_bits, tables),
    )


def commands_of_layer(engine: EthosU, tables: NetworkTables, layer: int) -> tuple[Command, ...]:
    """The list that a layer of a network becomes."""
    activation = tables.activations[layer]
    fused: Fused = "lut" if activation in LUT_ACTIVATIONS else "relu" if activation == "relu" else "none"
    return layer_commands(
        engine,
        tables.kinds[layer],
        source=NETWORK if layer == 0 else BETWEEN,
        target=NETWORK if layer == len(tables.kinds) - 1 else BETWEEN,
        fused=fused,
    )


def _layer_commands(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, *, encoded: Counts, layer: int
) -> Iterator[CommandCosts]:
    first = int(tables.matrix_start[layer])
    sizes = Sizes(
        inputs=shapes.columns[:, first],
        units=shapes.rows[:, first],
        activation_bytes=shapes.activation_bits[:, layer] // 8,
        two_four=np.zeros(shapes.units.shape[0], np.bool_),
    )
    placement = Placement(
        memories=route.memories,
        tensors={"network": route.network_io, "state": route.network_io, "scratch": route.activations},
        weights=route.weights,
    )
    for command, repeats in Counter(commands_of_layer(engine, tables, layer)).items():
        matrix = first + int(command.from_state)
        yield _command_costs(
            engine,
            command,
            sizes,
            placement,
            encoded=encoded[:, matrix],
            repeats=repeats * int(tables.positions[layer]),
        )


def _command_costs(
    engine: EthosU, command: Command, sizes: Sizes, placement: Placement, *, encoded: Counts, repeats: int
) -> CommandCosts:
    blocks = None
    weights = []
    if command.kind == "product":
        blocks = blocks_of(engine, products_of(engine, command, sizes))
        scales = scale_bytes(engine, sizes.units, ublock_depth=blocks.ublock_depth)
        weights = weight_streams(placement, encoded=encoded, scales=scales)
    priced = price(engine, command, sizes, placement, blocks=blocks)
    streams = [*priced.streams, *weights]
    busy = access_cycles(engine, streams, placement.memories)
    bound = np.maximum.reduce([priced.cycles.npu, *busy.values()])
    moved: dict[str, Counts] = {}
    for stream in streams:
        moved[stream.memory] = moved.get(stream.memory, np.int64(0)) + stream.moved_bytes
    return CommandCosts(
        command=command,
        repeats=repeats,
        npu_cycles=repeats * priced.cycles.npu,
        cycles=repeats * bound,
        memory_cycles={name: repeats * cycles for name, cycles in busy.items()},
        memory_bytes={name: repeats * amount for name, amount in moved.items()},
    )


def _by_memory(layers: list[list[CommandCosts]], name: str, field: str) -> Counts:
    """(P, L) of what every command takes of one memory."""
    taken = [[getattr(costs, field).get(name, np.int64(0)) for costs in layer] for layer in layers]
    return _summed(taken, plans=layers[0][0].cycles.size)


def _summed(layers: list[list[NDArray[np.int64]]], *, plans: int) -> Counts:
    """(P, L) sums of each layer's arrays (P,); the layers are columns, P contiguous."""
    total = np.zeros((len(layers), plans), np.int64)
    for row, layer in zip(total, layers, strict=True):
        for values in layer:
            row += values
    return total.T
