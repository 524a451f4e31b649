"""Sparse matrix-vector kernels of Cortex-M cores: what a row of blocks costs, and what is stored of it.

Coefficients lie in `hw_profiles/kernels/sparse.json`, with their source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.kernels.table import kernel_table

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseKernel:
    """A plain C product of int8 blocks [outputs, inputs] and int8 inputs; U blocks a pass of its loop."""

    format: str
    block: tuple[int, int]
    index_bits: int
    """Of a stored block: its distance from the one before, or its place in the row."""
    row_bits: int
    """Of a row of blocks: how many it stores."""
    columns_limit: int | None
    """Inputs that the index reaches; None where a distance that is too long costs a stored zero."""
    cycles_per_call: float
    """Of a product, beyond its rows."""
    few_cycles: Floats
    """(2 U,) of a row that stores 0, 1, ... blocks."""
    cycles_per_pass: float
    remainder_cycles: Floats
    """(U,) of a longer row beyond its whole passes, by what is left of its blocks."""

    @property
    def blocks_per_pass(self) -> int:
        """U."""
        return self.remainder_cycles.size

    def reaches(self, columns: Any) -> Any:
        """Whether the index reaches all of so many inputs; any shape."""
        return columns <= (np.inf if self.columns_limit is None else self.columns_limit)

    @property
    def cycles_per_block(self) -> float:
        """Of one more block in a long row."""
        return self.cycles_per_pass / self.blocks_per_pass


def block_shapes() -> tuple[tuple[int, int], ...]:
    """Blocks [outputs, inputs] that some kernel stores, single weights apart."""
    formats = kernel_table("sparse")["formats"].values()
    return tuple(tuple(each["block"]) for each in formats if each["block"] != [1, 1])


@lru_cache(maxsize=16)
def sparse_kernels(core: str, toolchain: str) -> tuple[SparseKernel, ...]:
    """The sparse kernels of a core that was counted.

    >>> [kernel.format for kernel in sparse_kernels("m7", "gcc12.2-Ofast")][:2]
    ['csr_delta8', 'csr_abs8']
    """
    table = kernel_table("sparse")
    loops = table["kernels"][core][toolchain]
    return tuple(_kernel(name, stored, loops[name]) for name, stored in table["formats"].items())


def _kernel(name: str, stored: Mapping[str, Any], loop: Mapping[str, Any]) -> SparseKernel:
    rows, columns = stored["block"]
    return SparseKernel(
        format=name,
        block=(rows, columns),
        index_bits=stored["index_bits"],
        row_bits=stored["row_bits"],
        columns_limit=stored["columns_limit"],
        cycles_per_call=loop["per_call"],
        few_cycles=np.array(loop["few"]),
        cycles_per_pass=loop["per_pass"],
        remainder_cycles=np.array(loop["remainders"]),
    )
