"""`cortexm_elementwise.csv`: counted cycles of CMSIS-NN's element-wise kernels, activations and softmax."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from npuexplore.cost.cortex_m.elementwise import pass_cycles
from npuexplore.hardware.kernels.elementwise import pass_kernels
from npuexplore.pipeline.verify.cortexm_names import KERNEL_COLUMNS, known_names
from npuexplore.pipeline.verify.replay import Ours, Replay


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Cycles of every row."""
    known_names(table, path, known=pass_kernels())
    cycles, elems = np.zeros(len(table)), table["n"].to_numpy()
    for names, rows in table.groupby(list(KERNEL_COLUMNS), sort=False).indices.items():
        cycles[rows] = pass_cycles(*names, elems=elems[rows])
    return {"est_cycles": cycles}


REPLAY = Replay(
    texts=KERNEL_COLUMNS,
    wholes=("n",),
    fractions=(),
    quantities=("est_cycles",),
    groupings=(("kernel",), KERNEL_COLUMNS),
    run=run,
)
