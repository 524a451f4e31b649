"""Where the cycles of a layer go on a Cortex-M.

A MAC takes what it takes in the core's dense int8 (or int16) kernel on long rows; what a 4-bit kernel takes
beyond it is decode, what a sparse kernel takes beyond it is index. Rows, tails, calls and steps are
overhead. Cycles that a part takes beyond zero-wait memory, and streams that no kernel hides, are memory
stalls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes, sum_layers
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.cortex_m.layers import int8_kernel, kernel_products, layer_costs
from npuexplore.cost.products import codes_of_matrices
from npuexplore.cost.traffic import Route
from npuexplore.cost.waterfall import Waterfall, added, allot
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.kernels.product import product_kernel
from npuexplore.hardware.kernels.sparse import sparse_kernels
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
    own = shapes.matrices
    whole = _product_parts(engine, tables, shapes, costs.weight_format, costs.executed_macs)
    if own is None:
        return whole
    products = kernel_products(engine, own.tables, own.shapes)
    codes = codes_of_matrices(costs.weight_format, len(products), tables)
    executed = np.choose(codes, [product.figures[1] for product in products])
    alone = _product_parts(engine, own.tables, own.shapes, codes, executed)
    return {
        name: np.where(own.differ, sum_layers(alone[name], tables), cycles) for name, cycles in whole.items()
    }


def _product_parts(
    engine: CortexM,
    tables: NetworkTables,
    shapes: PlanShapes,
    weight_format: NDArray[np.int8],
    executed: Counts,
) -> dict[str, Cycles]:
    """(P, L) parts of the products in the kernel that each layer takes; rows and calls are left over."""
    dense_mac, decode = _dense_rates(engine, tables, shapes)
    mac, index = dense_mac.copy(), np.zeros_like(dense_mac)
    scale = engine.core_ratio * engine.ratios.sparse
    for code, kernel in enumerate(sparse_kernels(engine.kernels_of, engine.toolchain), start=1):
        chosen = weight_format == code
        rate = scale * kernel.cycles_per_block / (kernel.block[0] * kernel.block[1])
        sparse_mac = np.minimum(_int8_rates(engine, tables), rate)
        mac = np.where(chosen, sparse_mac, mac)
        decode = np.where(chosen, 0.0, decode)
        index = np.where(chosen, rate - sparse_mac, index)
    useful = np.minimum(shapes.kept_macs, executed)
    return {
        "useful_macs": useful * mac,
        "padding": (executed - useful) * mac,
        "decode": executed * decode,
        "index": executed * index,
    }


def _dense_rates(engine: CortexM, tables: NetworkTables, shapes: PlanShapes) -> tuple[Cycles, Cycles]:
    """(P, L) cycles per MAC of the dense kernels, and what unpacking 4-bit weights adds."""
    wide, narrow = shapes.activation_bits == 16, shapes.weight_bits == 4
    s8, s4, s16 = (_fully_connected_rate(engine, name) for name in ("fc_s8", "fc_s4", "fc_s16"))
    int8 = np.where(narrow, s8, _int8_rates(engine, tables))
    return np.where(wide, s16, int8), np.where(narrow, max(s4 - s8, 0.0), 0.0)


def _int8_rates(engine: CortexM, tables: NetworkTables) -> Cycles:
    """(L,) cycles per MAC of the dense int8 kernels."""
    scale = engine.core_ratio * engine.ratios.product
    return np.array([scale * int8_kernel(engine, kind).cycles_per_mac for kind in tables.kinds])


def _fully_connected_rate(engine: CortexM, name: str) -> float:
    kernel = product_kernel(engine.kernels_of, engine.toolchain, name)
    return engine.core_ratio * engine.ratios.product * kernel.cycles_per_mac
