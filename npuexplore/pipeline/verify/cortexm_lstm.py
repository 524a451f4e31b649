"""`cortexm_lstm.csv`: counted cycles of CMSIS-NN's LSTM and of a GRU composed of its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from npuexplore.cost.cortex_m.recurrent import sequence_cycles
from npuexplore.hardware.kernels.recurrent import step_kernel, step_kernels
from npuexplore.pipeline.verify.cortexm_names import KERNEL_COLUMNS, known_names
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.tables import known_values


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Cycles of every row."""
    known_names(table, path, known=step_kernels())
    known_values(table, "stateful", path, allowed=("0", "1"))
    cycles = np.zeros(len(table))
    for (core, toolchain, kernel), rows in table.groupby(list(KERNEL_COLUMNS), sort=False).indices.items():
        here = table.iloc[rows]
        cycles[rows] = sequence_cycles(
            step_kernel(core, toolchain, kernel),
            inputs=here["in"].to_numpy(),
            units=here["hidden"].to_numpy(),
            steps=here["T"].to_numpy(),
            stateful=here["stateful"].to_numpy() == "1",
        )
    return {"est_cycles": cycles}


REPLAY = Replay(
    texts=(*KERNEL_COLUMNS, "stateful"),
    wholes=("in", "hidden", "T"),
    fractions=(),
    quantities=("est_cycles",),
    groupings=(("kernel",), KERNEL_COLUMNS),
    run=run,
)
