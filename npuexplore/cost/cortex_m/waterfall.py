"""Where the cycles of a layer go on a Cortex-M.

A MAC takes what it takes in the core's dense int8 (or int16) kernel; what a 4-bit kernel takes beyond it
is decode, what a sparse kernel takes beyond it is index. Rows, calls and steps are overhead. Cycles that a
part takes beyond zero-wait memory, and streams that no kernel hides, are memory stalls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes, sum_layers
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.cortex_m.layers import kernel_products, layer_costs
from npuexplore.cost.products import codes_of_matrices
from npuexplore.cost.traffic import Route
from npuexplore.cost.waterfall import Waterfall, added, allot
from npuexplore.hardware.cortex_m import CortexM, SparseKernel, Toolchain
from npuexplore.workload.counts import Counts, NetworkTables

Cycles = NDArray[np.float64]


def waterfall(engine: CortexM, route: Route, tables: NetworkTables, shapes: PlanShapes) -> Waterfall:
    """(P, L) cycles by purpose; they add up to `layer_costs`' cycles."""
    costs = layer_costs(engine, route, tables, shapes)
    wait = engine.memory_wait_ratio
    products = _unstalled(costs.terms["cpu"], wait)
    others = costs.cycles - products
    stall = costs.cycles - _unstalled(costs.compute_cycles, wait)
    return added(
        allot(products, _parts(engine, tables, shapes, costs), rest="overhead"),
        allot(
            others,
            {"memory_stall": stall, "activation": costs.terms["activation"] / wait},
            rest="overhead",
        ),
    )


def _unstalled(cycles: Counts, wait: float) -> Counts:
    return np.asarray(np.rint(cycles / wait).astype(np.int64))


def _parts(
    engine: CortexM, tables: NetworkTables, shapes: PlanShapes, costs: EngineCosts
) -> dict[str, Cycles]:
    """(P, L) parts of the products; where the matrices of a layer differ, those of each in its own kernel."""
    kernels, own = engine.kernels, shapes.matrices
    whole = _product_parts(kernels, tables, shapes, costs.weight_format, costs.executed_macs)
    if own is None:
        return whole
    codes = codes_of_matrices(costs.weight_format, 1 + len(kernels.sparse), tables)
    executed = [product.figures[1] for product in kernel_products(engine, own.tables, own.shapes)]
    alone = _product_parts(kernels, own.tables, own.shapes, codes, np.choose(codes, executed))
    return {
        name: np.where(own.differ, sum_layers(alone[name], tables), cycles) for name, cycles in whole.items()
    }


def _product_parts(
    kernels: Toolchain,
    tables: NetworkTables,
    shapes: PlanShapes,
    weight_format: NDArray[np.int8],
    executed: Counts,
) -> dict[str, Cycles]:
    """(P, L) parts of the products in the kernel that each layer takes; rows and calls are left over."""
    mac, decode = _dense_rates(kernels, tables, shapes)
    index = np.zeros_like(mac)
    for code, kernel in enumerate(kernels.sparse, start=1):
        chosen = weight_format == code
        sparse_mac = np.minimum(_int8_rate(kernels, tables), _cycles_per_elem(kernel))
        mac = np.where(chosen, sparse_mac, mac)
        decode = np.where(chosen, 0.0, decode)
        index = np.where(chosen, _cycles_per_elem(kernel) - sparse_mac, index)
    useful = np.minimum(shapes.kept_macs, executed)
    return {
        "useful_macs": useful * mac,
        "padding": (executed - useful) * mac,
        "decode": executed * decode,
        "index": executed * index,
    }


def _dense_rates(kernels: Toolchain, tables: NetworkTables, shapes: PlanShapes) -> tuple[Cycles, Cycles]:
    """(P, L) cycles per MAC of the dense kernels, and what unpacking 4-bit weights adds."""
    wide, narrow = shapes.activation_bits == 16, shapes.weight_bits == 4
    int8 = np.where(narrow, kernels.fc_s8.cycles_per_mac, _int8_rate(kernels, tables))
    unpacking = max(kernels.fc_s4.cycles_per_mac - kernels.fc_s8.cycles_per_mac, 0.0)
    return np.where(wide, kernels.fc_s16.cycles_per_mac, int8), np.where(narrow, unpacking, 0.0)


def _int8_rate(kernels: Toolchain, tables: NetworkTables) -> Cycles:
    """(L,) cycles per MAC of the dense int8 kernels."""
    recurrent = {"lstm": kernels.lstm_s8, "gru": kernels.gru_s8}
    rates = [recurrent.get(kind, kernels.fc_s8).cycles_per_mac for kind in tables.kinds]
    return np.array(rates)


def _cycles_per_elem(kernel: SparseKernel) -> float:
    rows, columns = kernel.block
    return kernel.cycles_per_block / (rows * columns)
