"""`hot_loops.csv`: cycles per MAC that CMSIS-NN's kernels tend to as matrices grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.hardware.kernels.product import product_kernel
from npuexplore.pipeline.verify.cortexm_fc import KERNEL_COLUMNS, known_kernels
from npuexplore.pipeline.verify.replay import Ours, Replay

PER_MAC = "asymptotic_est_cycles_per_mac"
REPLAYED = ("fc_s8", "fc_s8_perch", "fc_s4", "fc_s16")


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Cycles per MAC of every row."""
    known_kernels(table, path)
    kernels = table[list(KERNEL_COLUMNS)].itertuples(index=False, name=None)
    return {PER_MAC: np.array([product_kernel(*names).cycles_per_mac for names in kernels])}


def _usable(table: pd.DataFrame, path: Path) -> tuple[NDArray[np.bool_], list[str]]:
    """Rows of fully connected kernels; recurrent ones and SVDF have no loop of their own in the tables."""
    usable = table["kernel"].isin(REPLAYED).to_numpy(np.bool_)
    left = sorted(set(table["kernel"][~usable]))
    count = int((~usable).sum())
    sentence = f"{path.name}: rows of {', '.join(left)}: {count} (other files replay them as whole layers)"
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
