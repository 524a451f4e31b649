"""Sparse products on a Cortex-M: cycles and stored bits of patterns that are expected, regular or real.

A kernel takes its blocks U at a time, so that a row's cycles depend on how many blocks it stores modulo U,
and short rows take times of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, csr_fillers
from npuexplore.cost.cortex_m.patterns import Pattern, expected_pattern
from npuexplore.cost.cortex_m.rows import (
    RowChances,
    expected_row_cycles,
    row_chances,
    row_cycles,
    short_rows,
)
from npuexplore.hardware.kernels.sparse import SparseKernel, sparse_kernels
from npuexplore.units import IntArray
from npuexplore.workload.counts import Counts, NetworkTables

Floats = NDArray[np.float64]
WEIGHT_BITS = 8
"""Of what the kernels store; narrower weights are stored as these."""


@dataclass(frozen=True)
class SparseProduct:
    """The matrices of P plans in one sparse kernel, all gates, at one position; every array is (P, M)."""

    kernel: SparseKernel
    cycles: Floats
    """With zero-wait memory."""
    stored_bits: Counts
    executed_macs: Counts
    """Weights of stored blocks, zeros among them too."""
    usable: NDArray[np.bool_]
    """Whether the kernel's index reaches all inputs."""

    @property
    def format(self) -> str:
        """Name of the storage format."""
        return self.kernel.format


def sparse_products(
    core: str, toolchain: str, tables: NetworkTables, shapes: PlanShapes
) -> list[SparseProduct]:
    """What P plans take in each sparse kernel of a counted core."""
    patterns: dict[tuple[int, int], Pattern] = {}
    chances: dict[tuple[tuple[int, int], int, int], RowChances] = {}
    found = []
    for kernel in sparse_kernels(core, toolchain):
        key = kernel.block, kernel.blocks_per_pass, short_rows(kernel).size
        if kernel.block not in patterns:
            patterns[kernel.block] = expected_pattern(tables, shapes, kernel.block)
        if key not in chances:
            chances[key] = row_chances(kernel, patterns[kernel.block])
        found.append(_product(kernel, tables, shapes, patterns[kernel.block], chances[key]))
    return found


def _product(
    kernel: SparseKernel, tables: NetworkTables, shapes: PlanShapes, pattern: Pattern, chances: RowChances
) -> SparseProduct:
    gates = tables.matrix_gates
    rows = gates * pattern.rows
    stored, fillers = _stored(kernel, tables, shapes, pattern)
    row = expected_row_cycles(kernel, pattern, chances=chances)
    return SparseProduct(
        kernel=kernel,
        cycles=np.asarray(gates * kernel.cycles_per_call + rows * row + fillers * kernel.cycles_per_block),
        stored_bits=stored_bits(kernel, stored=stored, rows=rows),
        executed_macs=stored * (kernel.block[0] * kernel.block[1]),
        usable=np.asarray(kernel.reaches(shapes.columns)),
    )


def _stored(
    kernel: SparseKernel, tables: NetworkTables, shapes: PlanShapes, pattern: Pattern
) -> tuple[Counts, Counts | int]:
    """(P, M) blocks stored in all gates, and how many of them are there because a distance is too long."""
    if kernel.block != (1, 1):
        expected = tables.matrix_gates * pattern.rows * pattern.stored_per_row
        return np.rint(expected).astype(np.int64), 0
    fillers = csr_fillers(tables, shapes) if kernel.columns_limit is None else 0
    return shapes.kept_elems + fillers, fillers


def stored_bits(kernel: SparseKernel, *, stored: Counts | int, rows: Counts | int) -> Counts:
    """Bits of blocks with their indices, and of the counts of all rows of blocks."""
    each = WEIGHT_BITS * kernel.block[0] * kernel.block[1] + kernel.index_bits
    return np.asarray(stored * each + rows * kernel.row_bits)


def product_cycles_of(kernel: SparseKernel, stored: IntArray) -> float:
    """Cycles of one product with zero-wait memory.

    stored : (rows of blocks,) blocks that each stores.
    """
    return float(kernel.cycles_per_call + row_cycles(kernel, stored).sum())


def stored_of(kernel: SparseKernel, weights: IntArray) -> IntArray:
    """(rows of blocks,) blocks that each row of a real matrix (R, C) stores."""
    if kernel.block != (1, 1):
        return encoding.granules_of_rows(weights, granule=kernel.block)
    if kernel.columns_limit is None:
        return encoding.csr_stored_of_rows(weights)
    return np.asarray(np.count_nonzero(weights, axis=1))
