"""Gate order of recurrent cells: the only file that reorders it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LSTM_GATES = "ifgo"
"""Order of the row blocks of LSTM weights everywhere outside a kernel."""

GRU_GATES = "rzn"
"""Order of the row blocks of (reset-after) GRU weights."""


def reorder_gates(rows: NDArray[np.floating], *, have: str, want: str) -> NDArray[np.floating]:
    """Row blocks of a (G*H, ...) array moved from gate order `have` to `want`.

    >>> reorder_gates(np.array([[1.0], [2.0], [3.0], [4.0]]), have="ifgo", want="ifog")[:, 0].tolist()
    [1.0, 2.0, 4.0, 3.0]
    """
    blocks = np.split(rows, len(have))
    return np.concatenate([blocks[have.index(gate)] for gate in want])
