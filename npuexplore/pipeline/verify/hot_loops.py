"""`hot_loops.csv`: cycles per MAC that CMSIS-NN's kernels tend to as matrices grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.product import row_passes
from npuexplore.hardware.kernels.product import ProductKernel, product_kernel
from npuexplore.pipeline.verify.cortexm_fc import KERNEL_COLUMNS, known_kernels
from npuexplore.pipeline.verify.replay import Ours, Replay

PER_MAC = "asymptotic_est_cycles_per_mac"
REPLAYED = ("fc_s8", "fc_s8_perch", "fc_s4", "fc_s16")
MANY_ROWS = 64


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Cycles per MAC of every row."""
    known_kernels(table, path)
    kernels = table[list(KERNEL_COLUMNS)].itertuples(index=False, name=None)
    return {PER_MAC: np.array([cycles_per_mac(product_kernel(*names)) for names in kernels])}


def cycles_per_mac(kernel: ProductKernel) -> float:
    """Cycles per MAC of whole steps in whole groups of rows.

    >>> round(cycles_per_mac(product_kernel("m4", "gcc12.2-Ofast", "fc_s16")), 3)
    2.751
    """
    passes = [int(row_passes(phase, np.array(MANY_ROWS))) for phase in kernel.phases]
    return sum(
        count * phase.per_step / (phase.tail.size * MANY_ROWS)
        for phase, count in zip(kernel.phases, passes, strict=True)
    )


def _usable(table: pd.DataFrame, path: Path) -> tuple[NDArray[np.bool_], list[str]]:
    """Rows of fully connected kernels; recurrent ones and SVDF have no loop of their own in the tables."""
    usable = table["kernel"].isin(REPLAYED).to_numpy(np.bool_)
    left = sorted(set(table["kernel"][~usable]))
    sentence = (
        f"{path.name}: {int((~usable).sum())} rows of {', '.join(left)} (their files replay whole steps)"
    )
    return usable, [sentence] if left else []


REPLAY = Replay(
    texts=KERNEL_COLUMNS,
    wholes=(),
    fractions=(),
    quantities=(PER_MAC,),
    groupings=(("kernel",), KERNEL_COLUMNS),
    run=run,
    usable=_usable,
    blank_references="not counted",
)
