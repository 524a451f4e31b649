"""Unit conversions and exact integer rounding; the only place where cycles become milliseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]

OPS_PER_MAC = 2
"""One multiply-accumulate is a multiplication and an addition."""


def ceil_div(numerator: IntArray | int, denominator: IntArray | int) -> Any:
    """Integer division rounded up, exact for any int64.

    >>> ceil_div(500, 64)
    8
    """
    return -(-numerator // denominator)


def round_up(value: IntArray | int, multiple: IntArray | int) -> Any:
    """Smallest multiple of `multiple` that is not below `value`.

    >>> round_up(65, 16)
    80
    """
    return ceil_div(value, multiple) * multiple


def cycles_to_ms(cycles: Any, *, clock_hz: float) -> Any:
    """Time that `cycles` take at `clock_hz`, in milliseconds.

    >>> cycles_to_ms(200_000, clock_hz=200e6)
    1.0
    """
    return cycles * (1000.0 / clock_hz)
