"""Targets that a structure can reach: refused here, before a training is spent on one that it cannot."""

from __future__ import annotations

from npuexplore.compression.matrix_plan import MatrixChoice
from npuexplore.compression.plan import CompressionPlan
from npuexplore.errors import BadInput
from npuexplore.workload.network import Layer, Network, gate_count, matrices, unit_count


def refuse_unreachable(plan: CompressionPlan, network: Network) -> None:
    """Raise BadInput for zeros that the groups of a layer are too few or too large to give."""
    layers = {layer.name: layer for layer in network.layers}
    for name, matrix, rows, columns in matrices(network):
        layer = layers[name]
        choice = plan.of(name).of_matrix(matrix)
        if choice.sparsity_frac == 0.0:
            continue
        if choice.structure == "block":
            refuse_covering_block(choice, layer, matrix, rows=rows // gate_count(layer.kind), columns=columns)
        elif choice.structure in ("weight", "unit"):
            groups = unit_count(layer) if choice.structure == "unit" else rows * columns
            _refuse_too_few(choice, name, groups)


def refuse_covering_block(
    choice: MatrixChoice, layer: Layer, matrix: str, *, rows: int, columns: int
) -> None:
    """Raise BadInput for a block that covers all rows and columns that a gate has in a matrix."""
    block = choice.block or (1, 1)
    if block[0] < rows or block[1] < columns:
        return
    raise BadInput(
        f"layers.{layer.name}: a block of {block[0]} x {block[1]} covers all of {matrix}, which has {rows} x "
        f"{columns} weights{' in each gate' if gate_count(layer.kind) > 1 else ''}: no sparsity_frac of "
        f"{choice.sparsity_frac:g} can be reached; choose smaller blocks, or weight or unit"
    )


def _refuse_too_few(choice: MatrixChoice, name: str, groups: int) -> None:
    if round(choice.sparsity_frac * groups) < groups:
        return
    what = "unit" if choice.structure == "unit" else "weight"
    raise BadInput(
        f"layers.{name}: sparsity_frac: got {choice.sparsity_frac:g} of {groups} {what}s, which leaves none; "
        f"at most {(groups - 1) / groups:.3g} can be reached"
    )
