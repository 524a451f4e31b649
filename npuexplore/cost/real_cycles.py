"""Cycles of layers with their real weights, where those decide how long a sparse kernel takes.

An estimate expects as many blocks in a row as a plan leaves on average; real weights store what they store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from npuexplore.compression.plan import CompressionPlan, batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost.compute import whole_cycles
from npuexplore.cost.cortex_m.sparse import SparseProduct, product_cycles_of, sparse_products, stored_of
from npuexplore.cost.part import Part
from npuexplore.cost.products import formats_of_matrices
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.units import IntArray

Weights = Mapping[str, Mapping[str, IntArray]]


def cycles_of_real_weights(
    part: Part, plan: CompressionPlan, weights: Weights, layers: Sequence[Mapping[str, Any]]
) -> dict[str, int]:
    """Cycles of the layers that run in sparse kernels, by name; empty where a part has none.

    weights : by layer `w_ih` (G*H, I) and `w_hh` (G*H, H), or `w` (O, I), pruned units already removed ;
    layers : those of the estimate's document. Takes the weights' traffic as the estimate did.
    """
    engine = part.profile.engine
    if not isinstance(engine, CortexM):
        return {}
    expected = _expected(engine, part, plan)
    ratio = engine.cycles_ratio * engine.ratios.sparse
    index = {layer.name: position for position, layer in enumerate(part.network.layers)}
    found = {}
    for row in layers:
        if row["name"] not in index or row["name"] not in weights:
            continue
        layer = index[row["name"]]
        differences = list(_differences(part, layer, weights[row["name"]], row["weight_format"], expected))
        if differences:
            more = ratio * int(part.tables.positions[layer]) * sum(differences)
            compute = row["compute_cycles"] + int(whole_cycles(np.array(more)))
            found[row["name"]] = max(compute, *row["memory_cycles"].values())
    return found


def _expected(engine: CortexM, part: Part, plan: CompressionPlan) -> dict[str, SparseProduct]:
    """Products as the plan leaves them to be expected, by format; (1, M) arrays."""
    shapes: PlanShapes = plan_shapes(part.tables, batch_plans([plan], part.network))
    tables = part.tables
    if shapes.matrices is not None:
        tables, shapes = shapes.matrices.tables, shapes.matrices.shapes
    products = sparse_products(engine.kernels_of, engine.toolchain, tables, shapes)
    return {product.format: product for product in products}


def _differences(
    part: Part,
    layer: int,
    matrices: Mapping[str, IntArray],
    weight_format: str,
    expected: Mapping[str, SparseProduct],
) -> Iterator[float]:
    """What the real matrices of a layer take at one position beyond what was expected of them."""
    start = int(part.tables.matrix_start[layer])
    formats = formats_of_matrices(weight_format, len(matrices))
    for matrix, (weights, name) in enumerate(zip(matrices.values(), formats, strict=True), start=start):
        if name in expected:
            product, gates = expected[name], int(part.tables.matrix_gates[matrix])
            pieces = np.split(weights, gates)
            real = sum(product_cycles_of(product.kernel, stored_of(product.kernel, each)) for each in pieces)
            yield real - float(product.cycles[0, matrix])
