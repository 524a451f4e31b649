"""`sparse_breakeven_best.csv`: how dense weights may be for a sparse product to be no slower than dense.

Both products are built by whichever toolchain is faster. Break-even lies on straight lines between the
densities that were counted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.sparse import product_cycles_of
from npuexplore.hardware.cortex_m import COUNTED_CORES
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.sparse_kernels import (
    TOOLCHAINS,
    dense_cycles,
    evenly_stored,
    possible_products,
    sparse_kernel,
)
from npuexplore.pipeline.verify.tables import known_values

COUNTED_DENSITIES_PCT = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 100)
"""Densities between which the file's author drew straight lines."""
SPEED_UP_DENSITIES_PCT = (50, 25, 10)
Floats = NDArray[np.float64]


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our figures for every row."""
    known_values(table, "core", path, allowed=COUNTED_CORES)
    possible_products(table, path)
    found = [
        _figures(core, name, inputs, outputs)
        for core, name, inputs, outputs in table[["core", "kernel", "in", "out"]].itertuples(
            index=False, name=None
        )
    ]
    return {name: np.array([figures[name] for figures in found]) for name in found[0]}


def _figures(core: str, name: str, inputs: int, outputs: int) -> dict[str, float]:
    dense = min(dense_cycles(core, toolchain, inputs, outputs) for toolchain in TOOLCHAINS)
    stored_pct, cycles = _fastest(core, name, inputs, outputs)
    density = break_even_pct(stored_pct, cycles, dense=dense)
    of_nominal = dict(zip(COUNTED_DENSITIES_PCT, dense / cycles, strict=True))
    return {
        "breakeven_density_pct": round(density, 1),
        "breakeven_sparsity_pct": round(100.0 - density, 1),
        **{f"speedup_at_{pct}pct_density": round(of_nominal[pct], 2) for pct in SPEED_UP_DENSITIES_PCT},
    }


def _fastest(core: str, name: str, inputs: int, outputs: int) -> tuple[Floats, Floats]:
    """What is stored at each counted density, in per cent of the blocks, and the fewest cycles it takes."""
    cycles, stored_pct = [], []
    for pct in COUNTED_DENSITIES_PCT:
        by_toolchain = []
        for toolchain in TOOLCHAINS:
            kernel = sparse_kernel(core, toolchain, name)
            stored = evenly_stored(kernel, inputs=inputs, outputs=outputs, density_pct=pct)
            by_toolchain.append(product_cycles_of(kernel, stored))
        full = evenly_stored(kernel, inputs=inputs, outputs=outputs, density_pct=100.0)
        cycles.append(min(by_toolchain))
        stored_pct.append(100.0 * stored.sum() / full.sum())
    return np.array(stored_pct), np.array(cycles)


def break_even_pct(stored_pct: Floats, cycles: Floats, *, dense: float) -> float:
    """Per cent of blocks that may be stored without taking longer than `dense`; 0 where none may.

    >>> break_even_pct(np.array([50.0, 100.0]), np.array([10.0, 20.0]), dense=15.0)
    75.0
    """
    if cycles[0] >= dense:
        return 0.0
    if cycles[-1] <= dense:
        return 100.0
    last = int(np.flatnonzero(cycles <= dense).max())
    between = (dense - cycles[last]) / (cycles[last + 1] - cycles[last])
    return float(stored_pct[last] + between * (stored_pct[last + 1] - stored_pct[last]))


REPLAY = Replay(
    texts=("core", "kernel"),
    wholes=("in", "out"),
    fractions=(),
    quantities=(
        "breakeven_density_pct",
        "breakeven_sparsity_pct",
        *(f"speedup_at_{pct}pct_density" for pct in SPEED_UP_DENSITIES_PCT),
    ),
    groupings=(("kernel",), ("core",), ("core", "kernel")),
    run=run,
    blank_references="nothing stored at that density",
)
