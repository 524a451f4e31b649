"""Which Rice parameters the coder picks along a section: greedily, forwards, a switch at a time.

The coder keeps a running bit count of every parameter. A parameter that cannot code a value starts again
from the count of the one in use. The coder switches when the one in use cannot code the next value, or
when another is ahead by more than a switch costs; one that was ahead all along takes over the whole
slice. The search here jumps from switch to switch: between two of them all counts are differences of
cumulative sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.int32]

SWITCH_BITS = 40
"""Bits by which another parameter must be ahead."""
RAW_UNUSABLE_BITS = 100
"""Bits per value that the coder assumes for the uncompressed mode where it may not be used."""
GREATEST_QUOTIENT = 31
GREATEST_TRUNCATED_QUOTIENT = 2
VALUE_RANGE = 512
FIRST_CHUNK = 128
LAST_CHUNK = 8192
NEVER = np.iinfo(np.int32).max // 2
"""Bits of a parameter that cannot code a value."""


class Parameter(NamedTuple):
    """One way of coding values."""

    divisor_bits: int
    """Low bits sent as they are; all bits of a raw value."""
    mode: str = "plain"
    """`plain`: the quotient in unary; `truncated`: quotients of 0, 1, 2 only; `raw`: no quotient."""


WEIGHT_PARAMETERS = (
    *(Parameter(divisor) for divisor in range(6)),
    *(Parameter(divisor, "truncated") for divisor in range(6)),
    Parameter(0, "raw"),
)
RUN_PARAMETERS = tuple(Parameter(divisor) for divisor in range(4))


class Slice(NamedTuple):
    """A stretch of values coded with one parameter."""

    parameter: Parameter
    end: int


@dataclass(frozen=True)
class _Track:
    """Running costs of J parameters over n values."""

    total: Values
    """(J, n + 1) cumulative bits; values that a parameter cannot code cost it nothing."""
    last_gap: Values
    """(J, n + 1) position + 1 of the last value so far that a parameter could not code, else 0."""
    gaps: tuple[NDArray[np.int64], ...]
    """For each parameter, positions of the values that it cannot code."""


def weight_slices(values: Values, *, raw_bits: int) -> list[Slice]:
    """Slices of coded weights. values : (n,) in [0, 511], n >= 1 ; raw_bits : 0 if raw is not allowed.

    >>> [s.end for s in weight_slices(np.repeat([0, 100], [90, 40]).astype(np.int32), raw_bits=0)]
    [90, 130]
    """
    table, limits = _weight_costs(raw_bits)
    gaps = tuple(
        np.flatnonzero(values >= limit) if limit < VALUE_RANGE else np.empty(0, np.int64) for limit in limits
    )
    slices = _search(_track(table[:, values], gaps))
    parameters = (*WEIGHT_PARAMETERS[:-1], Parameter(raw_bits, "raw"))
    return [Slice(parameters[index], end) for index, end in slices]


def run_parameter(runs: Values) -> Parameter:
    """The one parameter of a section's zero runs (n,): all can code all, so that no slice ends.

    >>> run_parameter(np.full(20, 9, np.int32))
    Parameter(divisor_bits=2, mode='plain')
    """
    costs = np.stack([(runs >> p.divisor_bits) + 1 + p.divisor_bits for p in RUN_PARAMETERS])
    slices = _search(_track(costs, tuple(np.empty(0, np.int64) for _ in RUN_PARAMETERS)))
    return RUN_PARAMETERS[slices[-1][0]]


@lru_cache(maxsize=32)
def _weight_costs(raw_bits: int) -> tuple[Values, tuple[int, ...]]:
    """(13, 512) bits of a value under each parameter, 0 if it has none, and first value that has none."""
    values = np.arange(VALUE_RANGE)
    costs, limits = [], []
    for parameter in WEIGHT_PARAMETERS:
        quotient = values >> parameter.divisor_bits
        if parameter.mode == "raw":
            costs.append(np.full(VALUE_RANGE, raw_bits or RAW_UNUSABLE_BITS))
            limits.append(VALUE_RANGE)
            continue
        truncated = parameter.mode == "truncated"
        greatest = GREATEST_TRUNCATED_QUOTIENT if truncated else GREATEST_QUOTIENT
        unary = np.minimum(quotient + 1, 2) if truncated else quotient + 1
        costs.append(np.where(quotient > greatest, 0, unary + parameter.divisor_bits))
        limits.append((greatest + 1) << parameter.divisor_bits)
    return np.stack(costs).astype(np.int32), tuple(limits)


def _track(costs: Values, gaps: tuple[NDArray[np.int64], ...]) -> _Track:
    parameters, count = costs.shape
    total = np.zeros((parameters, count + 1), np.int32)
    np.cumsum(costs, axis=1, out=total[:, 1:])
    last_gap = np.zeros((parameters, count + 1), np.int32)
    for row, positions in zip(last_gap, gaps, strict=True):
        row[positions + 1] = positions + 1
        if positions.size:
            np.maximum.accumulate(row, out=row)
    return _Track(total=total, last_gap=last_gap, gaps=gaps)


def _search(track: _Track) -> list[tuple[int, int]]:
    """(parameter, end) of every slice.

    A tenure is the time for which one parameter is in use. `leads` are the running counts of all
    parameters less that of the one in use.
    """
    count = track.total.shape[1] - 1
    active = int(np.where(track.last_gap[:, 1] == 1, NEVER, track.total[:, 1]).argmin())
    tenure = _tenure(track, active, 1, track.total[:, 1] - track.total[active, 1])
    found: list[tuple[int, int]] = []
    while (switch := _next_switch(track, tenure)) is not None:
        at, leads = switch
        best, active = int(leads.argmin()), tenure.active
        forced = track.last_gap[active, at] == at
        ahead = leads[best] < (SWITCH_BITS if forced else 0)
        if not (ahead and track.last_gap[best, at] <= track.last_gap[active, at]):
            found.append((active, at - 1))
        tenure = _tenure(track, best, at, leads - leads[best])
    if found and found[-1][0] == tenure.active:
        found.pop()
    return [*found, (tenure.active, count)]


@dataclass(frozen=True)
class _Tenure:
    active: int
    since: int
    """Values up to and including the first one with this parameter in use."""
    base: Values
    """(J,) what to take from the difference of cumulative sums to get the leads."""


def _tenure(track: _Track, active: int, since: int, leads: Values) -> _Tenure:
    fresh = track.last_gap[:, since] == since
    ahead = track.total[:, since] - track.total[active, since]
    return _Tenure(active=active, since=since, base=ahead - np.where(fresh, 0, leads))


def _next_switch(track: _Track, tenure: _Tenure) -> tuple[int, Values] | None:
    """(values up to and including the one that makes the coder switch, leads behind it), if any does."""
    count = track.total.shape[1] - 1
    gaps, own = track.gaps[tenure.active], track.total[tenure.active]
    next_gap = np.searchsorted(gaps, tenure.since)
    forced = int(gaps[next_gap]) + 1 if next_gap < gaps.size else count + 1
    start, chunk = tenure.since + 1, FIRST_CHUNK
    while start <= count:
        end = min(start + chunk, forced + 1, count + 1)
        leads = _leads(track, tenure, slice(start, end))
        switches = leads.min(axis=0) + own[start:end] - own[start - 1 : end - 1] < -SWITCH_BITS
        switches[forced - start :] = True
        first = int(switches.argmax())
        if switches[first]:
            return start + first, leads[:, first]
        start, chunk = end, min(2 * chunk, LAST_CHUNK)
    return None


def _leads(track: _Track, tenure: _Tenure, window: slice) -> Values:
    """(J, k) leads over a window of a tenure; NEVER where a parameter cannot code the value."""
    ahead = track.total[:, window] - track.total[tenure.active, window]
    leads = ahead - tenure.base[:, None]
    for row in np.flatnonzero(track.last_gap[:, window.stop - 1] > tenure.since):
        gap = track.last_gap[row, window]
        restart = track.total[row, gap] - track.total[tenure.active, gap]
        np.copyto(leads[row], ahead[row] - restart, where=gap > tenure.since)
        leads[row, gap == np.arange(window.start, window.stop)] = NEVER
    return leads
