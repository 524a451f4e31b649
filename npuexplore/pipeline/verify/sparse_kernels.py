"""`sparse_kernels.csv`: plain C sparse products of int8 weights, against the dense one of CMSIS-NN.

Every row of blocks stores equally many: the nearest to the density that there can be.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.cortex_m.sparse import product_cycles_of
from npuexplore.errors import BadInput
from npuexplore.hardware.cortex_m import COUNTED_CORES, ToolchainName
from npuexplore.hardware.kernels.product import product_kernel
from npuexplore.hardware.kernels.sparse import SparseKernel, sparse_kernels
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.tables import known_values, line_of
from npuexplore.units import ceil_div

TOOLCHAINS: tuple[str, ...] = get_args(ToolchainName)
FORMATS = {
    "csr_delta8": "csr_delta8",
    "csr_abs8": "csr_abs8",
    "bsr1x4": "block_index_1x4",
    "bsr1x16": "block_index_1x16",
    "bsr4x4": "block_index_4x4",
    "bsr4x16": "block_index_4x16",
}
"""Storage formats by what the files call their kernels."""
QUANTITIES = (
    "est_cycles",
    "dense_fc_s8_est_cycles",
    "speedup_vs_dense_cycles",
    "blocks",
    "nnz_weights",
)
LARGEST_SIDE = 65_536
"""Inputs or outputs of a product that is still replayed."""


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our figures for every row."""
    known_values(table, "core", path, allowed=COUNTED_CORES)
    known_values(table, "toolchain", path, allowed=TOOLCHAINS)
    possible_products(table, path)
    densities_up_to_full(table, path)
    columns = ("core", "toolchain", "kernel", "in", "out", "density_pct")
    cases = list(table[list(columns)].itertuples(index=False, name=None))
    kernels = [sparse_kernel(core, toolchain, name) for core, toolchain, name, *_ in cases]
    stored = [
        evenly_stored(kernel, inputs=inputs, outputs=outputs, density_pct=density)
        for kernel, (_, _, _, inputs, outputs, density) in zip(kernels, cases, strict=True)
    ]
    sparse = [product_cycles_of(kernel, rows) for kernel, rows in zip(kernels, stored, strict=True)]
    dense = [
        dense_cycles(core, toolchain, inputs, outputs) for core, toolchain, _, inputs, outputs, _ in cases
    ]
    blocks = np.array([int(rows.sum()) for rows in stored])
    return {
        "est_cycles": np.round(sparse, 1),
        "dense_fc_s8_est_cycles": np.round(dense, 1),
        "speedup_vs_dense_cycles": np.round(np.array(dense) / np.array(sparse), 3),
        "blocks": blocks,
        "nnz_weights": blocks * np.array([kernel.block[0] * kernel.block[1] for kernel in kernels]),
    }


def sparse_kernel(core: str, toolchain: str, name: str) -> SparseKernel:
    """The kernel that a file calls `name`."""
    found = {kernel.format: kernel for kernel in sparse_kernels(core, toolchain)}
    return found[FORMATS[name]]


def evenly_stored(
    kernel: SparseKernel, *, inputs: int, outputs: int, density_pct: float
) -> NDArray[np.int64]:
    """(rows of blocks,) blocks stored in each, as many in all."""
    each = int(np.rint(density_pct / 100.0 * ceil_div(inputs, kernel.block[1])))
    return np.full(ceil_div(outputs, kernel.block[0]), each, np.int64)


def dense_cycles(core: str, toolchain: str, inputs: int, outputs: int) -> float:
    """Cycles of CMSIS-NN's int8 product of the same shape."""
    kernel = product_kernel(core, toolchain, "fc_s8")
    return float(product_cycles(kernel, inputs=np.array(inputs), outputs=np.array(outputs)))


def possible_products(table: pd.DataFrame, path: Path) -> None:
    """Raises BadInput, with its line, for a kernel that is none and for sides that no product has."""
    known_values(table, "kernel", path, allowed=FORMATS)
    for name in ("in", "out"):
        sides = table[name].to_numpy()
        if not ((sides >= 1) & (sides <= LARGEST_SIDE)).all():
            place = int(np.argmin((sides >= 1) & (sides <= LARGEST_SIDE)))
            line = line_of(table, place)
            raise BadInput(f"{path}:{line}: {name}: got {sides[place]}; give 1 to {LARGEST_SIDE}")


def densities_up_to_full(table: pd.DataFrame, path: Path) -> None:
    """Raises BadInput, with its line, for more than all weights."""
    densities = table["density_pct"].to_numpy()
    if (densities > 100.0).any():
        place = int(np.argmax(densities > 100.0))
        line = line_of(table, place)
        raise BadInput(f"{path}:{line}: density_pct: got {densities[place]:g}; give 0 to 100")


REPLAY = Replay(
    texts=("core", "toolchain", "kernel"),
    wholes=("in", "out"),
    fractions=("density_pct",),
    quantities=QUANTITIES,
    groupings=(("kernel",), ("core", "toolchain"), ("core", "toolchain", "kernel")),
    run=run,
)
