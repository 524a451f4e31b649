"""Equal plans as equal arrays: what a choice does not mean is not written down."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

import numpy as np

from npuexplore.compression.matrix_plan import TWO_FOUR_SPARSITY_FRAC
from npuexplore.compression.plan import CHOICE_FIELDS, STRUCTURES, PlanBatch, matrices_of, unit_keepers
from npuexplore.workload.network import Network


def canonical(plans: PlanBatch, network: Network) -> PlanBatch:
    """Plans whose dense layers have no sparsity, and only whose block layers have a block.

    A sparsity of 0 is dense, and so is `unit` in a layer that keeps its units; any sparsity under two_four
    is 0.5.
    """
    structure, keepers = plans.structure.copy(), unit_keepers(network)
    for column, layer in enumerate(network.layers):
        if layer.name in keepers:
            structure[:, column][structure[:, column] == STRUCTURES.index("unit")] = STRUCTURES.index("dense")
    structure[plans.sparsity_frac == 0.0] = STRUCTURES.index("dense")
    sparsity = np.where(
        structure == STRUCTURES.index("two_four"), TWO_FOUR_SPARSITY_FRAC, plans.sparsity_frac
    )
    is_block = structure == STRUCTURES.index("block")
    return replace(
        plans,
        structure=structure,
        sparsity_frac=np.where(structure == STRUCTURES.index("dense"), 0.0, sparsity),
        block_rows=np.where(is_block, plans.block_rows, 1),
        block_columns=np.where(is_block, plans.block_columns, 1),
    )


def with_matrices(plans: PlanBatch, network: Network, fixed: Container[str]) -> PlanBatch:
    """Plans whose matrices follow their layers, but for those of fixed layers, which stay what they are.

    fixed : names of layers
    """
    if plans.matrices is None:
        return plans
    own = matrices_of(replace(plans, matrices=None), plans.matrices.owner)
    for column, layer in enumerate(own.owner):
        if network.layers[layer].name in fixed:
            for name in CHOICE_FIELDS:
                getattr(own, name)[:, column] = getattr(plans.matrices, name)[:, column]
    return replace(plans, matrices=own)
