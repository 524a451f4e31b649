"""What a calibration says of itself: where it was measured, and what a reader should know of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate.fit import Fit
from npuexplore.pipeline.calibrate.left_out import groups_of
from npuexplore.pipeline.calibrate.measurements import Measurement
from npuexplore.pipeline.calibrate.pricing import Bench

LITTLE_WEIGHT = 0.5
"""A measurement that counts for less is named."""
BAD_ROWS_NAMED = 5
MOSTLY_FIXED_FRAC = 0.5
FAR_ERROR = 0.1
"""Log of measured over estimated beyond which a row that waits for a memory is named."""
SAME_CLOCK_FRAC = 0.001
"""Clocks that are this close are the same."""


@dataclass(frozen=True)
class Said:
    """What a person says of measurements; it goes before what their file says."""

    board: str | None = None
    stack: str | None = None
    date: str | None = None


def words_of(path: Path, measurements: Sequence[Measurement], said: Said, *, today: str) -> dict[str, Any]:
    """File, board, stack and date, as a profile holds them."""
    return {
        "file": _plain(path.name),
        "date": _plain(said.date or _joined(each.date for each in measurements) or today),
        "board": _plain_or_none(said.board or _joined(each.board for each in measurements)),
        "stack": _plain_or_none(said.stack or _joined(each.stack for each in measurements)),
    }


def remarks_on(
    profile: HardwareProfile, bench: Bench, fit: Fit, measurements: Sequence[Measurement]
) -> list[str]:
    """Sentences about rows that lie far off, other clocks, and fits that mix boards or stacks."""
    said = [
        *_bad_rows(fit, measurements),
        *_better_dense(bench, fit, measurements),
        *_streams(bench, fit, measurements),
    ]
    clocks = sorted({each.clock_hz for each in measurements})
    if any(abs(hz - profile.clock_hz) > SAME_CLOCK_FRAC * profile.clock_hz for hz in clocks):
        listed = ", ".join(f"{hz / 1e6:g}" for hz in clocks)
        said.append(
            f"measured at {listed} MHz, and the profile's clock is {profile.clock_hz / 1e6:g} MHz: cycles "
            "are compared, which hides other wait states at another clock"
        )
    for name in ("stack", "board"):
        several = 1 + int(groups_of([getattr(each, name) for each in measurements]).max())
        if several > 1:
            said.append(f"{several} {name}s in one fit: it is a mean of them; --where selects one")
    if len(bench.cases) == 1:
        said.append(
            "all measurements are of one layer or network: the interval says how they scatter, and "
            "nothing of others"
        )
    return said


def _bad_rows(fit: Fit, measurements: Sequence[Measurement]) -> list[str]:
    """A sentence for each of the worst rows that hardly count."""
    bad = [place for place in np.argsort(fit.weights, kind="stable") if fit.weights[place] < LITTLE_WEIGHT]
    said = [
        f"line {measurements[place].row.line} ({measurements[place].what}) lies "
        f"{100 * np.expm1(fit.errors[place]):+.0f} % from the fit and counts {fit.weights[place]:.2f} of a "
        "measurement; measure it again, or say why it differs"
        for place in bad[:BAD_ROWS_NAMED]
    ]
    more = len(bad) - BAD_ROWS_NAMED
    return [*said, f"{more} rows more count less than half"] if more > 0 else said


def _better_dense(bench: Bench, fit: Fit, measurements: Sequence[Measurement]) -> list[str]:
    """A sentence on sparse kernels that lose against dense ones."""
    lines = _lines(bench.better_dense(fit.values), measurements)
    told = "the dense kernel is faster, and an estimate takes that one; the sparse one was fitted as measured"
    return [f"{lines}: {told}"] if lines else []


def _streams(bench: Bench, fit: Fit, measurements: Sequence[Measurement]) -> list[str]:
    """A sentence on rows that the estimate takes to wait for a memory, and that say otherwise."""
    fixed = bench.fixed_frac(fit.values) > MOSTLY_FIXED_FRAC
    lines = _lines(fixed & (np.abs(fit.errors) > FAR_ERROR), measurements)
    told = (
        "the estimate waits for the memory that holds the weights, which no coefficient changes; check "
        "memory_mode and the bytes_per_cycle of that memory"
    )
    return [f"{lines}: {told}"] if lines else []


def _lines(flags: NDArray[np.bool_], measurements: Sequence[Measurement]) -> str:
    """The first lines of a file that something is true of; nothing where it is true of none."""
    lines = [str(each.row.line) for each, flag in zip(measurements, flags, strict=True) if flag]
    more = ", ..." if len(lines) > BAD_ROWS_NAMED else ""
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(lines[:BAD_ROWS_NAMED])}{more}" if lines else ""


def measured_kinds(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """Kinds of layers, and whether some were sparse."""
    kinds = dict.fromkeys(layer.kind for each in measurements for layer in each.case.network.layers)
    return (*kinds, *(("sparse",) if any(each.case.sparse for each in measurements) else ()))


def _joined(texts: Iterable[str | None]) -> str | None:
    different = list(dict.fromkeys(text for text in texts if text))
    return "; ".join(different) or None


def _plain(text: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in text).strip() or "?"
    return shown if len(shown) <= 200 else f"{shown[:197]}..."


def _plain_or_none(text: str | None) -> str | None:
    return None if text is None or not text.strip() else _plain(text)
