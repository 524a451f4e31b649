"""Numbers for people: one way of rounding each quantity, always with its unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"
"""What stands where a quantity has no sourced figure."""


def significant(value: float, *, digits: int = 3) -> str:
    """A plain decimal of `digits` significant digits; whole digits are never dropped.

    >>> significant(0.012345), significant(9.999), significant(1234.5)
    ('0.0123', '10.0', '1,234')
    """
    if value == 0.0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{decimals}f}"


def milliseconds(value: float | None) -> str:
    """`1.20 ms`"""
    return UNKNOWN if value is None else f"{significant(value)} ms"


def frame_time(estimates: Mapping[str, Any]) -> str:
    """Time per frame, and of a calibrated profile the interval around it.

    >>> frame_time({"latency_ms": 2.391, "latency_ms_interval": [2.3, 2.512]})
    '2.39 ms (2.30 to 2.51)'
    """
    ends = estimates.get("latency_ms_interval")
    interval = f" ({significant(ends[0])} to {significant(ends[1])})" if ends else ""
    return f"{milliseconds(estimates['latency_ms'])}{interval}"


def kilobytes(value: float | None) -> str:
    """Bytes in units of 1,000.

    >>> kilobytes(87000), kilobytes(524288), kilobytes(640)
    ('87.0 kB', '524 kB', '640 bytes')
    """
    if value is None:
        return UNKNOWN
    if value < 1_000:
        return f"{value:,.0f} bytes"
    return f"{value / 1_000:,.1f} kB" if value < 100_000 else f"{value / 1_000:,.0f} kB"


def decibels(value: float | None) -> str:
    """`0.31 dB`"""
    return UNKNOWN if value is None else f"{_no_minus_zero(value):,.2f} dB"


def gain(value: float | None) -> str:
    """Decibels with their sign: `+3.10 dB`."""
    return UNKNOWN if value is None else f"{_no_minus_zero(value):+,.2f} dB"


def percent(frac: float | None) -> str:
    """A share as a whole percentage; a decimal below 10 %.

    >>> percent(0.7), percent(0.034), percent(1.312)
    ('70 %', '3.4 %', '131 %')
    """
    if frac is None:
        return UNKNOWN
    return f"{100 * frac:.1f} %" if 0 < abs(frac) < 0.0995 else f"{100 * frac:,.0f} %"


def count(value: float | None) -> str:
    """A whole number with thousands marked: `966,656`."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def cycles(value: float | None) -> str:
    """`151,040 cycles`"""
    return UNKNOWN if value is None else f"{value:,.0f} cycles"


def milliwatts(value: float | None) -> str:
    """`1.85 mW`"""
    return UNKNOWN if value is None else f"{significant(value)} mW"


def times(ratio: float) -> str:
    """How many times as much: `6.7×`."""
    return f"{significant(ratio, digits=2)}×"


def _no_minus_zero(value: float) -> float:
    return 0.0 if abs(value) < 0.005 else value
