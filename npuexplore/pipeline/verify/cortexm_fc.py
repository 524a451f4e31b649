"""`cortexm_fc.csv`: counted cycles of CMSIS-NN's fully connected and SVDF kernels, shape by shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.cortex_m.svdf import svdf_cycles
from npuexplore.hardware.kernels.product import product_kernel, product_kernels
from npuexplore.hardware.kernels.svdf import svdf_kernel
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.tables import known_values

KERNEL_COLUMNS = ("core", "toolchain", "kernel")
SVDF = "svdf_s8"
FEW_INPUTS = 4
"""Below this, loops over inputs are hardly entered."""


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Cycles of every row."""
    known_kernels(table, path, besides=(SVDF,))
    cycles = np.zeros(len(table))
    for (core, toolchain, kernel), rows in table.groupby(list(KERNEL_COLUMNS), sort=False).indices.items():
        cycles[rows] = _cycles(core, toolchain, kernel, table.iloc[rows])
    return {"est_cycles": cycles}


def known_kernels(table: pd.DataFrame, path: Path, *, besides: tuple[str, ...] = ()) -> None:
    """Raises BadInput for a core, toolchain or kernel that there is no table of."""
    listed = pd.DataFrame(product_kernels(), columns=list(KERNEL_COLUMNS))
    for column in KERNEL_COLUMNS:
        allowed = {*listed[column], *(besides if column == "kernel" else ())}
        known_values(table, column, path, allowed=allowed)


def _cycles(core: str, toolchain: str, kernel: str, rows: pd.DataFrame) -> NDArray[np.float64]:
    sizes = {name: rows[name].to_numpy() for name in ("in", "out", "hidden", "T")}
    if kernel == SVDF:
        return svdf_cycles(
            svdf_kernel(core, toolchain),
            inputs=sizes["in"],
            units=sizes["out"],
            rank=sizes["hidden"],
            memory_steps=sizes["T"],
        )
    return product_cycles(product_kernel(core, toolchain, kernel), inputs=sizes["in"], outputs=sizes["out"])


def _labels(table: pd.DataFrame) -> Mapping[str, NDArray[np.str_]]:
    return {"inputs": np.where(table["in"] >= FEW_INPUTS, f"{FEW_INPUTS} or more", f"under {FEW_INPUTS}")}


REPLAY = Replay(
    texts=KERNEL_COLUMNS,
    wholes=("in", "out", "hidden", "T"),
    fractions=(),
    quantities=("est_cycles",),
    groupings=(("kernel",), KERNEL_COLUMNS, ("kernel", "inputs")),
    run=run,
    labels=_labels,
)
