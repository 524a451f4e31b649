"""Measurements and a profile in; coefficients, errors before, after and left out, and a calibration out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.calibration import Calibration
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate.coefficients import ALL, Coefficient, engine_of
from npuexplore.pipeline.calibrate.identify import Identified, identify
from npuexplore.pipeline.calibrate.left_out import groups_of, interval_of, left_out_errors, row_groups
from npuexplore.pipeline.calibrate.measurements import Measurement, measurements_of
from npuexplore.pipeline.calibrate.plausible import refuse_implausible, refuse_other_cores
from npuexplore.pipeline.calibrate.pricing import Bench, bench_of
from npuexplore.pipeline.calibrate.table import read_rows

Floats = NDArray[np.float64]
Values = dict[Coefficient, float]
LITTLE_WEIGHT = 0.5
"""A measurement that counts for less is named."""
SAME_CLOCK_FRAC = 0.001
SAME_CYCLES_FRAC = 0.002
"""Difference between an estimate and what its parts make, from which on the parts are taken anew."""
MAX_BENCHES = 4


@dataclass(frozen=True)
class Said:
    """What a person says of measurements that their file does not say."""

    board: str | None = None
    stack: str | None = None
    date: str | None = None


@dataclass(frozen=True)
class Calibrated:
    """What a calibration came to; N measurements."""

    profile: HardwareProfile
    """As it was before."""
    measurements: tuple[Measurement, ...]
    before: Floats
    """(N,) estimated cycles."""
    after: Floats
    """(N,) with the coefficients as the new profile holds them."""
    left_out: Mapping[str, Floats]
    """(N,) predicted without the measurements of the same case, board or stack, by which of them."""
    start: Mapping[Coefficient, float]
    values: Mapping[Coefficient, float]
    """Coefficients that the new profile sets."""
    errors_of: Mapping[Coefficient, float]
    """Standard errors of those that were fitted: of ratios relative, of cycles in cycles."""
    identified: Identified
    calibration: Calibration
    ignored: tuple[str, ...]
    remarks: tuple[str, ...]


def calibrate(
    path: Path,
    profile: HardwareProfile,
    *,
    where: Sequence[str] = (),
    coefficients: Sequence[Coefficient] | None = None,
    said: Said,
    today: str,
) -> Calibrated:
    """A profile's coefficients from measurements.

    today : date where neither the person nor the file names one
    Raises UsageError for a profile that has nothing to calibrate, BadInput with line and column for
    measurements that cannot be used.
    """
    engine = engine_of(profile)
    table = read_rows(path, where=where)
    measurements = measurements_of(table, clock_hz=profile.clock_hz)
    refuse_other_cores(measurements, engine)
    bench = bench_of(profile, engine, measurements)
    start = {each: each.of(engine) for each in ALL}
    before = bench.estimated(start)
    refuse_implausible(bench, measurements, before)
    bench, identified = _identified(bench, start, coefficients, table.path)
    return Calibrated(
        profile=profile,
        measurements=tuple(measurements),
        before=before,
        start=start,
        identified=identified,
        ignored=table.ignored,
        remarks=(*identified.remarks, *_remarks(profile, bench, identified, measurements)),
        **_judged(bench, identified, start, before, measurements, file=path.name, said=said, today=today),
    )


def _identified(
    bench: Bench, start: Values, coefficients: Sequence[Coefficient] | None, path: str
) -> tuple[Bench, Identified]:
    """The fit, repeated where layers take other kernels or memories with its coefficients."""
    for _ in range(MAX_BENCHES):
        found = identify(bench, start, named=coefficients, path=path)
        values = found.fit.values
        if np.allclose(bench.predicted(values), bench.estimated(values), rtol=SAME_CYCLES_FRAC):
            break
        bench = bench.near(values)
    return bench, found


def _judged(
    bench: Bench,
    identified: Identified,
    start: Values,
    before: Floats,
    measurements: Sequence[Measurement],
    *,
    file: str,
    said: Said,
    today: str,
) -> dict[str, Any]:
    """What follows from a fit: coefficients as they are written, errors, and the profile's own words."""
    fit = identified.fit
    values = _rounded(fit.values, (*identified.set_aside, *fit.fitted))
    after = bench.estimated({**start, **values})
    groups = {"cases": row_groups(bench), **_further_groups(measurements)}
    errors = {name: left_out_errors(bench, fit, start, each) for name, each in groups.items()}
    left_out = {name: bench.measured / np.exp(each) for name, each in errors.items()}
    interval = interval_of(
        {name: (errors[name], groups[name]) for name in groups}, coefficients=len(fit.fitted)
    )
    calibration = Calibration(
        file=_plain(file),
        rows=len(measurements),
        cases=len(bench.cases),
        measured=_measured(measurements),
        date=_plain(said.date or _joined(each.date for each in measurements) or today),
        board=_plain_or_none(said.board or _joined(each.board for each in measurements)),
        stack=_plain_or_none(said.stack or _joined(each.stack for each in measurements)),
        coefficients={each.key: value for each, value in values.items()},
        mean_error_before_pct=_mean_error_pct(bench, before),
        mean_error_after_pct=_mean_error_pct(bench, after),
        mean_error_left_out_pct=_mean_error_pct(bench, left_out["cases"]),
        interval=interval,
    )
    return {
        "after": after,
        "left_out": left_out,
        "values": values,
        "errors_of": dict(zip(fit.fitted, fit.standard_errors().tolist(), strict=True)),
        "calibration": calibration,
    }


def error_pct(estimated: Floats, measured: Floats) -> Floats:
    """Signed errors of estimates in per cent of what was measured."""
    return np.asarray(100.0 * (estimated / measured - 1.0))


def _rounded(values: Mapping[Coefficient, float], chosen: Iterable[Coefficient]) -> Values:
    """As the profile holds them: four digits of a ratio, whole cycles."""
    return {
        each: float(f"{values[each]:.4g}") if each.is_ratio else float(round(values[each])) for each in chosen
    }


def _further_groups(measurements: Sequence[Measurement]) -> dict[str, NDArray[np.intp]]:
    """Boards and stacks where there are several of them, and they are not the same groups."""
    found = {
        "boards": groups_of([each.board for each in measurements]),
        "stacks": groups_of([each.stack for each in measurements]),
    }
    return {name: groups for name, groups in found.items() if groups.max() > 0}


def _mean_error_pct(bench: Bench, estimated: Floats) -> float:
    return round(float(np.abs(error_pct(estimated, bench.measured)).mean()), 3)


def _remarks(
    profile: HardwareProfile, bench: Bench, identified: Identified, measurements: Sequence[Measurement]
) -> list[str]:
    fit, said = identified.fit, list[str]()
    for each, weight, error in zip(measurements, fit.weights, fit.errors, strict=True):
        if weight < LITTLE_WEIGHT:
            said.append(
                f"line {each.row.line} ({each.what}) lies {100 * np.expm1(error):+.0f} % from the fit and "
                f"counts {weight:.2f} of a measurement; measure it again or say why it differs"
            )
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


def _measured(measurements: Sequence[Measurement]) -> tuple[str, ...]:
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
