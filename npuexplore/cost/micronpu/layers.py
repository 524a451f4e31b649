"""Costs of layers on a generic microNPU.

cycles = busy + overhead + activation + cpu, where busy joins array, decoder and memories as the engine's
`weight_transfer` says: products overlap with their streams; filling, draining and element-wise work do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, sum_layers
from npuexplore.cost.compute import EngineCosts, StorageOption, fastest_no_larger, rate_cycles
from npuexplore.cost.micronpu.array import array_cycles
from npuexplore.cost.micronpu.fallback import Split, cpu_cycles, split_of
from npuexplore.cost.micronpu.rates import decode_cycles, index_cycles
from npuexplore.cost.micronpu.storage import stored_formats
from npuexplore.cost.micronpu.transfer import busy_cycles, memory_cycles, moved_bytes
from npuexplore.cost.products import Product, with_matrices
from npuexplore.cost.traffic import Route, activation_bytes
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts, NetworkTables


@dataclass(frozen=True)
class Figures:
    """What the formats that were chosen come to, (P, L) each."""

    mac: Counts
    decode: Counts
    """Looking for what is stored included."""
    index: Counts
    """The share of `decode` that is looking."""
    executed_macs: Counts


def layer_costs(engine: MicroNpu, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans; each layer takes the fastest format no larger than dense."""
    return costs_and_figures(engine, route, tables, shapes)[0]


def costs_and_figures(
    engine: MicroNpu, route: Route, tables: NetworkTables, shapes: PlanShapes
) -> tuple[EngineCosts, Figures]:
    """The costs, and what they are made of."""
    split = split_of(engine, tables)
    moved_activations = activation_bytes(tables, shapes)
    options = list(_options(engine, route, tables, shapes, split, moved_activations))
    index, best = fastest_no_larger(options)
    figures = Figures(*best.carried)
    stored_bytes = best.stored_bytes
    activation = _activation_cycles(engine, tables, shapes, split)
    overhead = _overhead_cycles(engine, tables, shapes, split)
    own = activation + overhead
    terms = {"mac": figures.mac, "decode": figures.decode, "activation": activation, "overhead": overhead}
    if split is not None and route.fallback_cpu is not None:
        terms["cpu"] = cpu_cycles(route.fallback_cpu, split, tables, shapes)
        own = own + terms["cpu"]
    memories = memory_cycles(engine, route, stored_bytes=stored_bytes, moved_activations=moved_activations)
    costs = EngineCosts(
        terms=terms,
        compute_cycles=np.maximum(figures.mac, figures.decode) + own,
        cycles=best.busy_cycles + own,
        memory_cycles=memories,
        memory_bytes=moved_bytes(route, stored_bytes=stored_bytes, moved_activations=moved_activations),
        weight_bytes=stored_bytes,
        weight_format=index,
        formats=tuple(option.format for option in options),
        executed_macs=figures.executed_macs,
        elementwise_ops=_engine_ops(tables, shapes, split),
    )
    return costs, figures


def _options(
    engine: MicroNpu,
    route: Route,
    tables: NetworkTables,
    shapes: PlanShapes,
    split: Split | None,
    moved_activations: Counts,
) -> Iterator[StorageOption]:
    """One option per format; a layer that the CPU runs is stored dense and takes nothing of the engine."""
    products = list(_products(engine, tables, shapes))
    if shapes.matrices is not None:
        alone = list(_products(engine, shapes.matrices.tables, shapes.matrices.shapes))
        products = with_matrices(products, alone, tables, shapes.matrices)
    for product in products:
        figures, usable, stored_bytes = product.figures, product.usable, product.stored_bytes
        if split is not None and split.whole_layer.any():
            figures = tuple(_engine_only(values, split) for values in figures)
            on_engine = np.broadcast_to(~split.whole_layer, stored_bytes.shape)
            usable = on_engine if usable is None else usable & on_engine
        mac, decode, *_ = figures
        memories = memory_cycles(
            engine, route, stored_bytes=stored_bytes, moved_activations=moved_activations
        )
        yield StorageOption(
            format=product.format,
            busy_cycles=busy_cycles(
                engine, route, work=np.maximum(mac, decode), memories=memories, stored_bytes=stored_bytes
            ),
            stored_bytes=stored_bytes,
            usable=usable,
            carried=figures,
        )


def _products(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> Iterator[Product]:
    """Every format, with the figures of `Figures`."""
    for stored in stored_formats(engine, tables, shapes):
        index = index_cycles(engine, tables, stored)
        yield Product(
            format=stored.format,
            stored_bytes=sum_layers(encoding.to_bytes(stored.bits), tables),
            usable=stored.usable,
            figures=(
                array_cycles(engine, tables, shapes, stored),
                decode_cycles(engine, tables, shapes, stored) + index,
                index,
                tables.positions * sum_layers(stored.decoded, tables),
            ),
        )


def _engine_only(cycles: Counts, split: Split) -> Counts:
    return np.asarray(cycles * ~split.whole_layer)


def _overhead_cycles(
    engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, split: Split | None
) -> Counts:
    """(P, L) starting a layer, and filling and draining every block row, which holds for all positions."""
    rows = shapes.units // tables.positions
    block_rows = tables.gates * ceil_div(rows, engine.block_row_outputs)
    cycles: Counts = engine.cycles_per_layer + engine.cycles_per_block_row * block_rows
    return cycles if split is None else _engine_only(cycles, split)


def _activation_cycles(
    engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, split: Split | None
) -> Counts:
    lut = rate_cycles(shapes.units * tables.lut_per_unit, per_cycle=engine.lut_elems_per_cycle)
    elementwise = rate_cycles(
        shapes.units * tables.elementwise_per_unit, per_cycle=engine.elementwise_ops_per_cycle
    )
    cycles: Counts = lut + elementwise
    return cycles if split is None else np.asarray(cycles * ~split.uses_cpu)


def _engine_ops(tables: NetworkTables, shapes: PlanShapes, split: Split | None) -> Counts:
    """(P, L) element-wise operations and look-ups of the engine."""
    ops: Counts = shapes.units * (tables.elementwise_per_unit + tables.lut_per_unit)
    return ops if split is None else np.asarray(ops * ~split.uses_cpu)
