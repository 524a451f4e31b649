"""Costs of layers on an Ethos-U: each is a list of commands, each bound by its work or its memories.

NPU cycles do not depend on the weights' values; zeros and low bit-widths act through encoded bytes. A layer
is costed apart from the others; of the one before it knows what it is handed, which its weights may be
copied under.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.ethos_u.arena import Use
from npuexplore.cost.ethos_u.buffering import LARGEST_BUFFER_BYTES, Before
from npuexplore.cost.ethos_u.coder import PlannedWeights
from npuexplore.cost.ethos_u.convolution import convolution_cost
from npuexplore.cost.ethos_u.expected import ExpectedWeights
from npuexplore.cost.ethos_u.lowering import HIDDEN, Command, Fused
from npuexplore.cost.ethos_u.placement import planned_placement, stages_weights
from npuexplore.cost.ethos_u.pricing import Sizes, price
from npuexplore.cost.ethos_u.resident import layer_arena_bytes
from npuexplore.cost.ethos_u.schedule import BETWEEN, Cost, Layer, Step, layer_steps, step_costs
from npuexplore.cost.traffic import Route
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.units import ceil_div
from npuexplore.workload.counts import LUT_ACTIVATIONS, Counts, NetworkTables


@dataclass(frozen=True)
class LayerCosts:
    """What one layer of P plans takes; arrays are (P,)."""

    product_cycles: Counts
    """NPU cycles of matrix products."""
    glue_cycles: Counts
    """NPU cycles of everything else."""
    cycles: Counts
    memory_cycles: Mapping[str, Counts]
    memory_bytes: Mapping[str, Counts]
    weight_bytes: Counts
    arena_bytes: Counts
    """See `resident.layer_arena_bytes`, as the next one."""
    held_bytes: Counts


@dataclass(frozen=True)
class Counted:
    """One kind of command of a layer."""

    cost: Cost
    repeats: int
    weight_bytes: Counts | None
    """(P,) stored weights of a product."""


def layer_costs(engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans."""
    layers = [costs_of_layer(engine, route, tables, shapes, layer=each) for each in range(len(tables.kinds))]
    decode = _stacked([layer.product_cycles for layer in layers])
    glue = _stacked([layer.glue_cycles for layer in layers])
    return EngineCosts(
        terms={
            "mac": np.asarray(ceil_div(shapes.macs, engine.macs_per_cycle)),
            "decode": decode,
            "activation": glue,
        },
        compute_cycles=decode + glue,
        cycles=_stacked([layer.cycles for layer in layers]),
        memory_cycles={
            name: _stacked([layer.memory_cycles[name] for layer in layers]) for name in route.regions
        },
        memory_bytes={
            name: _stacked([layer.memory_bytes[name] for layer in layers]) for name in route.regions
        },
        weight_bytes=_stacked([layer.weight_bytes for layer in layers]),
        arena_bytes=_stacked([layer.arena_bytes for layer in layers]),
        held_bytes=_stacked([layer.held_bytes for layer in layers]),
        weight_format=np.zeros(decode.shape, np.int8, order="F"),
        formats=("mlw",),
        executed_macs=shapes.macs,
        elementwise_ops=shapes.units * (tables.elementwise_per_unit + tables.lut_per_unit),
    )


def costs_of_layer(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, *, layer: int
) -> LayerCosts:
    """Costs of one layer of P plans, those with 16-bit activations apart."""
    wide = shapes.activation_bits[:, layer] > 8
    if not wide.any() or wide.all():
        return _layer_costs(engine, route, tables, shapes, layer=layer)
    parts = [
        (rows, _layer_costs(engine, route, tables, _rows(shapes, rows), layer=layer))
        for rows in (np.flatnonzero(wide), np.flatnonzero(~wide))
    ]

    def joined(name: str) -> Counts:
        return _joined([(rows, getattr(part, name)) for rows, part in parts])

    def joined_memories(name: str) -> dict[str, Counts]:
        return {
            memory: _joined([(rows, getattr(part, name)[memory]) for rows, part in parts])
            for memory in route.regions
        }

    return LayerCosts(
        product_cycles=joined("product_cycles"),
        glue_cycles=joined("glue_cycles"),
        cycles=joined("cycles"),
        memory_cycles=joined_memories("memory_cycles"),
        memory_bytes=joined_memories("memory_bytes"),
        weight_bytes=joined("weight_bytes"),
        arena_bytes=joined("arena_bytes"),
        held_bytes=joined("held_bytes"),
    )


def plan_layer(tables: NetworkTables, shapes: PlanShapes, *, layer: int) -> Layer:
    """One layer of P plans, to be scheduled."""
    first, activation = int(tables.matrix_start[layer]), tables.activations[layer]
    fused: Fused = "lut" if activation in LUT_ACTIVATIONS else "relu" if activation == "relu" else "none"
    sizes = Sizes(
        inputs=shapes.columns[:, first],
        units=shapes.rows[:, first],
        activation_bytes=shapes.activation_bits[:, layer] // 8,
        two_four=np.zeros(shapes.units.shape[0], np.bool_),
        positions=int(tables.positions[layer]),
    )
    return Layer(tables.kinds[layer], sizes, fused)


def plan_weights(engine: EthosU, layer: Layer, shapes: PlanShapes, *, index: int) -> ExpectedWeights:
    """The weights of one layer of P plans."""
    if shapes.matrices is None:
        return ExpectedWeights(engine, layer.sizes, _planned(shapes, index))
    own, first = shapes.matrices, int(np.flatnonzero(shapes.matrices.owner == index)[0])
    state = _planned(own.shapes, first + 1) if layer.kind in ("lstm", "gru") else None
    return ExpectedWeights(engine, layer.sizes, _planned(own.shapes, first), state)


def _planned(shapes: PlanShapes, column: int) -> PlannedWeights:
    """What plans say of a layer, or of a matrix taken as one."""
    return PlannedWeights(
        zeros_frac=shapes.zeros_frac[:, column],
        weight_bits=shapes.weight_bits[:, column],
        block_rows=shapes.block_rows[:, column],
        block_columns=shapes.block_columns[:, column],
        two_four=shapes.two_four[:, column],
    )


def _layer_costs(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, *, layer: int
) -> LayerCosts:
    counted = counted_costs(engine, route, tables, shapes, layer=layer)
    one = plan_layer(tables, shapes, layer=layer)
    steps = layer_steps(engine, route, one, index=0, first=layer == 0, last=layer == len(tables.kinds) - 1)
    uses = [Use(step.command, step.flow, step.source, one.sizes) for step in steps]
    staged = [each.cost.staged for each in counted] if len(counted) == len(steps) else []
    ahead = layer > 0 and tables.kinds[layer] in ("lstm", "gru")
    arena, held = layer_arena_bytes(route, uses, staged, ahead=ahead)
    return replace(_summed(route, counted), arena_bytes=arena, held_bytes=held)


def counted_costs(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, *, layer: int
) -> list[Counted]:
    """The commands of one layer of P plans, all of one width of activations."""
    one = plan_layer(tables, shapes, layer=layer)
    weights = plan_weights(engine, one, shapes, index=layer)
    first, last = layer == 0, layer == len(tables.kinds) - 1
    steps = layer_steps(engine, route, one, index=0, first=first, last=last)
    if one.sizes.positions > 1:
        product = convolution_cost(engine, route, steps[0], one.sizes, weights)
        rest = step_costs(engine, route, [one], steps[1:], weights)
        return [Counted(product.cost, 1, product.weight_bytes), *(Counted(cost, 1, None) for cost in rest)]
    before = None if first else _before(engine, route, one, after=tables.kinds[layer - 1])
    repeats = Counter(range(len(steps))) if stages_weights(route) else _alike(steps)
    chosen = [steps[index] for index in repeats]
    costs = step_costs(engine, route, [one], chosen, weights, before=before)
    return [
        Counted(cost, times, None if cost.staged is None else cost.staged.weight_bytes)
        for cost, times in zip(costs, repeats.values(), strict=True)
    ]


def _before(engine: EthosU, route: Route, layer: Layer, *, after: str) -> Before:
    """What runs before a layer, of all that its own state tells; `after` is the kind of the layer before.

    A recurrent layer ends with a copy of its state; the product of a dense one is taken to have as many
    inputs as outputs.
    """
    sizes = replace(layer.sizes, units=layer.sizes.inputs)
    recurrent = after in ("lstm", "gru")
    last = Command("copy" if recurrent else "product", (HIDDEN if recurrent else BETWEEN,), BETWEEN)
    cycles = price(engine, last, sizes, planned_placement(route)).cycles.npu
    limit = LARGEST_BUFFER_BYTES if route.arena_limit_bytes is None else route.arena_limit_bytes
    return Before(cycles, np.full_like(cycles, limit))


def _alike(steps: Sequence[Step]) -> Counter[int]:
    """Index of the first of each kind of command, and how often it runs; weights being read in place."""
    first: dict[object, int] = {}
    return Counter(first.setdefault(step.command, index) for index, step in enumerate(steps))


def _summed(route: Route, counted: Sequence[Counted]) -> LayerCosts:
    none = np.zeros_like(counted[0].cost.op_cycles)

    def total(values: Iterable[tuple[Counts, int]]) -> Counts:
        return np.asarray(sum((value * times for value, times in values), none))

    products = [each for each in counted if each.cost.step.command.kind == "product"]
    others = [each for each in counted if each.cost.step.command.kind != "product"]
    return LayerCosts(
        product_cycles=total((each.cost.npu_cycles, each.repeats) for each in products),
        glue_cycles=total((each.cost.npu_cycles, each.repeats) for each in others),
        cycles=total((each.cost.op_cycles, each.repeats) for each in counted),
        memory_cycles={
            name: total((each.cost.memory_cycles.get(name, none), each.repeats) for each in counted)
            for name in route.regions
        },
        memory_bytes={
            name: total((each.cost.memory_bytes.get(name, none), each.repeats) for each in counted)
            for name in route.regions
        },
        weight_bytes=total(
            (each.weight_bytes, each.repeats) for each in counted if each.weight_bytes is not None
        ),
        arena_bytes=none,
        held_bytes=none,
    )


def _rows(shapes: PlanShapes, rows: NDArray[np.intp]) -> PlanShapes:
    return shapes.take(rows)


def _joined(parts: Sequence[tuple[NDArray[np.intp], Counts]]) -> Counts:
    """(P,) values of the plans of each part, back in their places."""
    joined = np.empty(sum(rows.size for rows, _ in parts), np.int64)
    for rows, values in parts:
        joined[rows] = values
    return joined


def _stacked(layers: Sequence[Counts]) -> Counts:
    """(P, L) of (P,) per layer; P contiguous."""
    return np.stack(layers).T
