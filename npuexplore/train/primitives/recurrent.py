"""What the recurrent primitives share: gates seen apart, and the grid of their state."""

from __future__ import annotations

import numpy as np

from npuexplore.compression.quantize import Grid, rounding_anchor
from npuexplore.units import FloatArray


def by_gate(rows: FloatArray, gates: int) -> FloatArray:
    """(B, G H) seen as (G, B, H)."""
    return rows.reshape(rows.shape[0], gates, -1).transpose(1, 0, 2)


def snap_hidden(values: FloatArray, grid: Grid) -> None:
    """`snap` of values within -1..1 to a grid that begins at -1: only its top can be passed.

    >>> row = np.array([0.3, 1.0, -1.0], np.float32)
    >>> snap_hidden(row, Grid(0.5, -2, 1))
    >>> row.tolist()
    [0.5, 0.5, -1.0]
    """
    anchor = rounding_anchor(grid.step, values.dtype)
    values += anchor
    values -= anchor
    np.minimum(values, grid.high * grid.step, out=values)
