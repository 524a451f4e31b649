"""Layers on a Cortex-M: dense CMSIS-NN kernels and plain C sparse kernels.

A recurrent step is its matrix-vector products, one per gate and matrix, and what else it does per unit;
sparse kernels take the place of the products only. A conv1x1 layer is a product at every position.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, matrix_values, sum_layers
from npuexplore.cost.compute import EngineCosts, StorageOption, fastest_no_larger, whole_cycles
from npuexplore.cost.cortex_m.elementwise import pass_cycles
from npuexplore.cost.cortex_m.product import product_cycles, product_parts
from npuexplore.cost.cortex_m.recurrent import matvec_kernels, unit_cycles
from npuexplore.cost.cortex_m.sparse import sparse_products
from npuexplore.cost.products import Product, with_matrices
from npuexplore.cost.traffic import Route, activation_bytes, region_bytes, region_cycles
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.kernels.product import ProductKernel, product_kernel
from npuexplore.workload.counts import Counts, NetworkTables

Cycles = NDArray[np.float64]
RECURRENT = ("lstm", "gru")
"""Kinds that run as a step with kernels of their own; dense and conv1x1 run fully connected kernels."""
PASSES = {"sigmoid": "act_sigmoid_s16", "tanh": "act_tanh_s16"}
"""Activations of dense layers that are a pass of their own; relu is the clamp inside the product."""


def layer_costs(engine: CortexM, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans; each layer takes the fastest kernel no larger than dense storage."""
    options = _options(engine, tables, shapes)
    index, best = fastest_no_larger(options)
    activation, overhead = _beyond_products(engine, tables, shapes)
    compute: Counts = best.busy_cycles + activation + overhead
    moved = region_bytes(route, weights=best.stored_bytes, activations=activation_bytes(tables, shapes))
    memory = region_cycles(route, moved)
    return EngineCosts(
        terms={"cpu": best.busy_cycles, "activation": activation, "overhead": overhead},
        compute_cycles=compute,
        cycles=np.maximum.reduce([compute, *memory.values()]),
        memory_cycles=memory,
        memory_bytes=moved,
        weight_bytes=best.stored_bytes,
        weight_format=index,
        formats=tuple(option.format for option in options),
        executed_macs=best.carried[0],
        elementwise_ops=shapes.units * (tables.elementwise_per_unit + tables.lut_per_unit),
    )


def _options(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> list[StorageOption]:
    """One option per kernel; where matrices differ, also pairs of kernels."""
    found = kernel_products(engine, tables, shapes)
    if shapes.matrices is not None:
        alone = kernel_products(engine, shapes.matrices.tables, shapes.matrices.shapes)
        found = with_matrices(found, alone, tables, shapes.matrices)
    return [
        StorageOption(
            format=product.format,
            busy_cycles=product.figures[0],
            stored_bytes=product.stored_bytes,
            usable=product.usable,
            carried=product.figures[1:],
        )
        for product in found
    ]


def kernel_products(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> list[Product]:
    """Dense and sparse kernels, with their cycles and the MACs that they execute."""
    return [_dense_product(engine, tables, shapes), *_sparse_products(engine, tables, shapes)]


def _dense_product(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> Product:
    cycles = tables.positions * sum_layers(_dense_product_cycles(engine, tables, shapes), tables)
    bits = encoding.dense_bits(shapes.elems, bits=matrix_values(shapes.weight_bits, tables))
    return Product(
        format="dense",
        stored_bytes=sum_layers(encoding.to_bytes(bits), tables),
        usable=None,
        figures=(whole_cycles(engine.cycles_ratio * engine.ratios.product * cycles), shapes.macs),
    )


def _dense_product_cycles(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> Cycles:
    """(P, M) zero-wait cycles of the dense products of all gates, by weight and activation bits.

    Only fc_s8 has a counterpart inside lstm_s8 and gru_s8; fc_s4 and fc_s16 are taken as they are.
    """
    cycles = np.empty(shapes.elems.shape, np.float64, order="F")
    for matrix, layer in enumerate(tables.matrix_layer):
        cycles[:, matrix] = tables.matrix_gates[matrix] * _gate_cycles(
            engine,
            tables.kinds[layer],
            inputs=shapes.columns[:, matrix],
            outputs=shapes.rows[:, matrix],
            narrow=shapes.weight_bits[:, layer] == 4,
            wide=shapes.activation_bits[:, layer] == 16,
            per_channel=None if shapes.channel_scales is None else shapes.channel_scales[:, layer],
        )
    return cycles


def _gate_cycles(
    engine: CortexM,
    kind: str,
    *,
    inputs: Counts,
    outputs: Counts,
    narrow: NDArray[np.bool_],
    wide: NDArray[np.bool_],
    per_channel: NDArray[np.bool_] | None,
) -> Cycles:
    """(P,) cycles of one matrix-vector product; a 16-bit product of 4-bit weights also unpacks them.

    Only the int8 kernel has a variant of a scale per channel; others take as much more a row as it does.
    """

    def fully_connected(name: str) -> Cycles:
        kernel = product_kernel(engine.kernels_of, engine.toolchain, name)
        return product_cycles(kernel, inputs=inputs, outputs=outputs)

    cycles = product_cycles(int8_kernel(engine, kind), inputs=inputs, outputs=outputs)
    if wide.any():
        cycles = np.where(wide, fully_connected("fc_s16"), cycles)
    if narrow.any():
        int4 = fully_connected("fc_s4")
        unpacking = int4 - fully_connected("fc_s8")
        cycles = np.where(narrow, np.where(wide, cycles + unpacking, int4), cycles)
    if per_channel is not None and per_channel.any():
        variant = cycles + channel_scale_cycles(engine, inputs=inputs, outputs=outputs)
        int8 = np.where(wide | narrow, variant, fully_connected("fc_s8_perch"))
        cycles = np.where(per_channel, int8, cycles)
    return cycles


def channel_scale_cycles(engine: CortexM, *, inputs: Counts, outputs: Counts) -> Cycles:
    """Cycles that the int8 kernel spends on a scale for each output, its loops over inputs not counted."""
    (_, one), (_, own) = (
        product_parts(
            product_kernel(engine.kernels_of, engine.toolchain, name), inputs=inputs, outputs=outputs
        )
        for name in ("fc_s8", "fc_s8_perch")
    )
    return np.asarray(own - one)


def int8_kernel(engine: CortexM, kind: str) -> ProductKernel:
    """The dense int8 kernel of a layer of some kind; of one gate of a recurrent one."""
    if kind in RECURRENT:
        return matvec_kernels(engine.kernels_of, engine.toolchain, f"{kind}_s8")
    return product_kernel(engine.kernels_of, engine.toolchain, "fc_s8")


def _sparse_products(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> Iterator[Product]:
    """Sparse kernels on every matrix; int8 only, so 4 bits are stored as 8."""
    ratio = engine.cycles_ratio * engine.ratios.sparse
    scaling = _channel_scaling(engine, tables, shapes)
    for found in sparse_products(engine.kernels_of, engine.toolchain, tables, shapes):
        yield Product(
            format=found.format,
            stored_bytes=sum_layers(encoding.to_bytes(found.stored_bits), tables),
            usable=~sum_layers(~found.usable, tables) & (shapes.activation_bits == 8),
            figures=(
                whole_cycles(ratio * (tables.positions * sum_layers(found.cycles + scaling, tables))),
                tables.positions * sum_layers(found.executed_macs, tables),
            ),
        )


def _channel_scaling(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> Cycles | float:
    """(P, M) cycles that a scale for each output adds to a product, as it does to the int8 kernel's."""
    if shapes.channel_scales is None:
        return 0.0
    cycles = channel_scale_cycles(engine, inputs=shapes.columns, outputs=shapes.rows)
    return np.where(matrix_values(shapes.channel_scales, tables), cycles, 0.0)


def _beyond_products(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> tuple[Counts, Counts]:
    """(P, L) cycles of activations, and of element-wise work, calls and steps."""
    activation = np.zeros(shapes.units.shape, np.float64, order="F")
    overhead = np.zeros_like(activation)
    for layer, kind in enumerate(tables.kinds):
        units = shapes.units[:, layer]
        if kind in RECURRENT:
            activation[:, layer], overhead[:, layer] = unit_cycles(
                engine.kernels_of, engine.toolchain, f"{kind}_s8", units=units
            )
        elif tables.activations[layer] in PASSES:
            activation[:, layer] = pass_cycles(
                engine.kernels_of, engine.toolchain, PASSES[tables.activations[layer]], elems=units
            )
    ratio = engine.cycles_ratio * engine.ratios.elementwise
    return whole_cycles(ratio * activation), whole_cycles(ratio * overhead) + engine.cycles_per_layer
