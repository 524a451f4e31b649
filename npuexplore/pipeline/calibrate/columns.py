"""What the columns of a file of measurements may be called, and what each means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "kind": ("kind", "layer_kind", "layer_type", "type", "operator", "op", "kernel", "layer"),
    "inputs": ("inputs", "input_features", "in_features", "input_size", "in"),
    "outputs": (
        "outputs", "output_features", "out_features", "hidden_units", "hidden_size", "units", "out", "hidden",
    ),
    "steps": ("steps", "time_steps", "timesteps", "sequence_length", "t"),
    "activation": ("activation", "act"),
    "network": ("network", "net", "model", "workload"),
    "macs": ("macs",),
    "weight_bits": ("weight_bits", "w_bits", "wbits"),
    "activation_bits": ("activation_bits", "a_bits", "abits"),
    "structure": ("structure",),
    "sparsity_frac": ("sparsity", "sparsity_frac", "zeros_frac"),
    "sparsity_pct": ("sparsity_pct", "sparsity_percent", "zeros_pct"),
    "block": ("block", "block_shape"),
    "memory_mode": ("memory_mode",),
    "clock_mhz": ("clock_mhz", "mhz", "freq_mhz", "frequency_mhz"),
    "clock_hz": ("clock_hz", "hz", "freq_hz", "frequency_hz"),
    "core": ("core", "cpu"),
    "board": ("board", "device", "part"),
    "stack": ("stack", "software", "runtime"),
    "date": ("date", "day", "measured_on"),
}  # fmt: skip
"""Column names of each meaning, written like `normalised`; of several in one file the first counts."""

TIMES: Mapping[str, tuple[str, ...]] = {
    "cycles": ("cycles", "cycle_count", "measured_cycles", "cpu_cycles"),
    "ms": ("ms", "latency_ms", "time_ms", "measured_ms", "duration_ms"),
    "us": ("us", "latency_us", "time_us", "measured_us", "duration_us"),
}
"""The same for what was measured. Other names that hold the unit as a word are taken where none of these is
there, as in `cycles (DWT)` or `mean ms`."""
MS_OF = {"ms": 1.0, "us": 1e-3}
"""Milliseconds in one of each unit of time."""
UNITLESS = ("latency", "time", "duration", "runtime_measured", "measured", "value", "result")
"""Columns that would be a time if they said in what."""
NOT_A_TIME = ("per", "std", "stdev", "min", "max", "error", "deadline", "period", "estimated", "est")
"""Words of columns that hold another figure in the unit of a time."""


class Columns(NamedTuple):
    """Where each meaning stands in a file."""

    of: Mapping[str, int]
    """Position of the column by meaning; times by their unit."""
    ignored: tuple[str, ...]
    """Headers that nothing was read from."""


def normalised(header: str) -> str:
    """A header without case, brackets and blanks.

    >>> normalised("Latency [µs]"), normalised("in-features")
    ('latency_us', 'in_features')
    """
    latin = header.strip().lower().replace("µ", "u").replace("μ", "u")
    return re.sub(r"[^a-z0-9]+", "_", latin).strip("_")


def recognised(headers: Sequence[str]) -> Columns:
    """The meaning of each header, of several that mean the same the one that is listed first."""
    names = [normalised(header) for header in headers]
    of: dict[str, int] = {}
    for meaning, synonyms in (*SYNONYMS.items(), *TIMES.items()):
        found = [names.index(name) for name in synonyms if name in names]
        if found:
            of[meaning] = found[0]
    if not any(unit in of for unit in TIMES):
        of |= _by_word(names, taken=set(of.values()))
    ignored = tuple(header for place, header in enumerate(headers) if place not in of.values())
    return Columns(of, ignored)


def _by_word(names: Sequence[str], *, taken: set[int]) -> dict[str, int]:
    """The one other column of each unit whose header holds the unit as a word."""
    found: dict[str, int] = {}
    for unit in TIMES:
        holding = [
            place
            for place, name in enumerate(names)
            if place not in taken and unit in name.split("_") and not set(name.split("_")) & set(NOT_A_TIME)
        ]
        if len(holding) == 1:
            found[unit] = holding[0]
    return found
