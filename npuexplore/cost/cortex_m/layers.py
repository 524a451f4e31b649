"""Cortex-M: CMSIS-NN dense kernels and plain C sparse kernels, cycles linear in MACs, blocks and rows.

A recurrent step is its matrix-vector products (two per gate) plus per-unit work and a constant; sparse
kernels take the place of the products only. A conv1x1 layer is a product at every position.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, csr_fillers, matrix_values, sum_layers
from npuexplore.cost.compute import EngineCosts, StorageOption, fastest_no_larger, whole_cycles
from npuexplore.cost.products import Product, with_matrices
from npuexplore.cost.traffic import Route, activation_bytes, region_bytes, region_cycles
from npuexplore.hardware.cortex_m import CortexM, LinearKernel, RecurrentKernel, SparseKernel, Toolchain
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts, NetworkTables

Cycles = NDArray[np.float64]
RECURRENT = ("lstm", "gru")
"""Kinds that run as a step with kernels of their own; dense and conv1x1 run fully connected kernels."""


def layer_costs(engine: CortexM, route: Route, tables: NetworkTables, shapes: PlanShapes) -> EngineCosts:
    """Costs of the layers of P plans; each layer takes the fastest kernel no larger than dense storage."""
    kernels, wait = engine.kernels, engine.memory_wait_ratio
    options = _options(engine, tables, shapes)
    index, best = fastest_no_larger(options)
    activation = whole_cycles(wait * _unit_cycles(kernels, tables, shapes))
    overhead = whole_cycles(wait * np.broadcast_to(_step_cycles(kernels, tables), activation.shape))
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
    kernels, wait = engine.kernels, engine.memory_wait_ratio
    sparse = [_sparse_product(kernel, tables, shapes, wait=wait) for kernel in kernels.sparse]
    return [_dense_product(kernels, tables, shapes, wait=wait), *sparse]


def _dense_product(kernels: Toolchain, tables: NetworkTables, shapes: PlanShapes, *, wait: float) -> Product:
    cycles = tables.positions * sum_layers(_dense_product_cycles(kernels, tables, shapes), tables)
    return Product(
        format="dense",
        stored_bytes=sum_layers(
            encoding.to_bytes(
                encoding.dense_bits(shapes.elems, bits=matrix_values(shapes.weight_bits, tables))
            ),
            tables,
        ),
        usable=None,
        figures=(whole_cycles(wait * cycles), shapes.macs),
    )


def _dense_product_cycles(kernels: Toolchain, tables: NetworkTables, shapes: PlanShapes) -> Cycles:
    """(P, M) cycles of the dense products of all gates, by weight and activation bits.

    Only fc_s8 has a counterpart inside lstm_s8 and gru_s8; fc_s4 and fc_s16 are taken as they are.
    """
    wide = matrix_values(shapes.activation_bits == 16, tables)
    narrow = matrix_values(shapes.weight_bits == 4, tables)
    per_mac = np.array([_cycles_per_mac(kernels, tables.kinds[layer]) for layer in tables.matrix_layer])
    s8, s4, s16 = kernels.fc_s8, kernels.fc_s4, kernels.fc_s16
    rows = tables.matrix_gates * shapes.rows
    int8 = shapes.elems * per_mac + rows * s8.cycles_per_row + tables.matrix_gates * s8.cycles_per_call
    unpacking = _linear(s4, tables, shapes, rows) - _linear(s8, tables, shapes, rows)
    base = np.where(wide, _linear(s16, tables, shapes, rows), int8)
    int4 = np.where(wide, base + unpacking, _linear(s4, tables, shapes, rows))
    return np.asarray(np.where(narrow, int4, base))


def _cycles_per_mac(kernels: Toolchain, kind: str) -> float:
    recurrent = {"lstm": kernels.lstm_s8, "gru": kernels.gru_s8}
    return recurrent[kind].cycles_per_mac if kind in recurrent else kernels.fc_s8.cycles_per_mac


def _linear(kernel: LinearKernel, tables: NetworkTables, shapes: PlanShapes, rows: Counts) -> Cycles:
    return np.asarray(
        shapes.elems * kernel.cycles_per_mac
        + rows * kernel.cycles_per_row
        + tables.matrix_gates * kernel.cycles_per_call
    )


def _sparse_product(
    kernel: SparseKernel, tables: NetworkTables, shapes: PlanShapes, *, wait: float
) -> Product:
    """A sparse kernel on every matrix; int8 weights and activations only, so 4 bits are stored as 8."""
    rows, columns = kernel.block
    block_rows = tables.matrix_gates * ceil_div(shapes.rows, rows)
    blocks = block_rows * ceil_div(shapes.columns, columns)
    share = matrix_values(shapes.surviving_frac(kernel.block), tables)
    stored = np.rint(blocks * share).astype(np.int64)
    if kernel.block == (1, 1):
        stored = stored + csr_fillers(tables, shapes)
    bits = (
        stored * (8 * rows * columns + kernel.index_bits_per_block) + block_rows * kernel.pointer_bits_per_row
    )
    cycles = sparse_product_cycles(kernel, stored=stored, rows=shapes.rows, gates=tables.matrix_gates)
    return Product(
        format=format_name(kernel),
        stored_bytes=sum_layers(encoding.to_bytes(bits), tables),
        usable=shapes.activation_bits == 8,
        figures=(
            whole_cycles(wait * (tables.positions * sum_layers(cycles, tables))),
            tables.positions * sum_layers(stored * (rows * columns), tables),
        ),
    )


def sparse_product_cycles(
    kernel: SparseKernel, *, stored: Counts, rows: Counts, gates: Counts | int
) -> Cycles:
    """(P, M) cycles of a sparse kernel over all gates of a matrix.

    stored : (P, M) blocks of all gates ; rows : (P, M) of one gate. The fitted constant may be negative;
    a product never takes less than nothing.
    """
    linear = stored * kernel.cycles_per_block + gates * (
        rows * kernel.cycles_per_row + kernel.cycles_per_call
    )
    return np.asarray(np.maximum(linear, 0.0))


def format_name(kernel: SparseKernel) -> str:
    """Name of a sparse kernel's storage format."""
    rows, columns = kernel.block
    return kernel.format if kernel.block == (1, 1) else f"{kernel.format}_{rows}x{columns}"


def _unit_cycles(kernels: Toolchain, tables: NetworkTables, shapes: PlanShapes) -> Cycles:
    """(P, L) activation and element-wise cycles: what a step takes beyond the rows of its products."""
    per_unit = [
        _beyond_products(_recurrent(kernels, kind), kernels.fc_s8, gates)
        if kind in RECURRENT
        else _activation_rate(kernels, activation)
        for kind, activation, gates in zip(tables.kinds, tables.activations, tables.gates, strict=True)
    ]
    return np.asarray(shapes.units * np.array(per_unit))


def _step_cycles(kernels: Toolchain, tables: NetworkTables) -> Cycles:
    """(L,) constant cycles of a step, beyond the calls of its products."""
    return np.array(
        [
            max(_recurrent(kernels, kind).cycles_per_step - 2 * gates * kernels.fc_s8.cycles_per_call, 0.0)
            if kind in RECURRENT
            else 0.0
            for kind, gates in zip(tables.kinds, tables.gates, strict=True)
        ]
    )


def _recurrent(kernels: Toolchain, kind: str) -> RecurrentKernel:
    return {"lstm": kernels.lstm_s8, "gru": kernels.gru_s8}[kind]


def _beyond_products(step: RecurrentKernel, product: LinearKernel, gates: int) -> float:
    return max(step.cycles_per_unit - 2 * gates * product.cycles_per_row, 0.0)


def _activation_rate(kernels: Toolchain, activation: str) -> float:
    return {
        "none": 0.0,
        "relu": kernels.relu_cycles_per_elem,
        "sigmoid": kernels.sigmoid_cycles_per_elem,
        "tanh": kernels.tanh_cycles_per_elem,
    }[activation]
