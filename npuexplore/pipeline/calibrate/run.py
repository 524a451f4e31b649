"""Measurements and a profile in; coefficients, errors before, after and left out, and a calibration out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.calibration import Calibration, RelativeInterval, kernels_of
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.calibrate.coefficients import ALL, Coefficient, engine_of
from npuexplore.pipeline.calibrate.identify import Identified, identify
from npuexplore.pipeline.calibrate.left_out import groups_of, interval_of, left_out_errors, row_groups
from npuexplore.pipeline.calibrate.measurements import Measurement, measurements_of
from npuexplore.pipeline.calibrate.plausible import refuse_implausible, refuse_other_cores
from npuexplore.pipeline.calibrate.pricing import Bench, bench_of
from npuexplore.pipeline.calibrate.table import read_rows
from npuexplore.pipeline.calibrate.words import Said, measured_kinds, remarks_on, words_of

Floats = NDArray[np.float64]
Values = dict[Coefficient, float]
SAME_CYCLES_FRAC = 0.002
"""Difference between an estimate and what its parts make, from which on the parts are taken anew."""
MAX_BENCHES = 4


@dataclass(frozen=True)
class Estimates:
    """Cycles of the N measurements as they are estimated, and the interval that follows."""

    before: Floats
    """(N,) by the profile as it was."""
    after: Floats
    """(N,) with the coefficients as the new profile holds them."""
    left_out: Mapping[str, Floats]
    """(N,) without the measurements of the same case, board or stack, by which of them."""
    interval: RelativeInterval


@dataclass(frozen=True)
class Calibrated:
    """What a calibration came to."""

    profile: HardwareProfile
    """As it was before."""
    measurements: tuple[Measurement, ...]
    estimates: Estimates
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
    fit = identified.fit
    values = _rounded(fit.values, (*identified.set_aside, *fit.fitted))
    estimates = _estimates(bench, identified, measurements, start=start, values=values, before=before)
    return Calibrated(
        profile=profile,
        measurements=tuple(measurements),
        estimates=estimates,
        start=start,
        values=values,
        errors_of=dict(zip(fit.fitted, fit.standard_errors().tolist(), strict=True)),
        identified=identified,
        calibration=Calibration(
            **words_of(path, measurements, said, today=today),
            rows=len(measurements),
            cases=len(bench.cases),
            measured=measured_kinds(measurements),
            kernels=kernels_of(profile),
            coefficients={each.key: value for each, value in values.items()},
            mean_error_before_pct=_mean_error_pct(bench, before),
            mean_error_after_pct=_mean_error_pct(bench, estimates.after),
            mean_error_left_out_pct=_mean_error_pct(bench, estimates.left_out["cases"]),
            interval=estimates.interval,
        ),
        ignored=table.ignored,
        remarks=(*identified.remarks, *remarks_on(profile, bench, fit, measurements)),
    )


def error_pct(estimated: Floats, measured: Floats) -> Floats:
    """Signed errors of estimates in per cent of what was measured."""
    return np.asarray(100.0 * (estimated / measured - 1.0))


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


def _estimates(
    bench: Bench,
    identified: Identified,
    measurements: Sequence[Measurement],
    *,
    start: Values,
    values: Values,
    before: Floats,
) -> Estimates:
    fit = identified.fit
    groups = {"cases": row_groups(bench), **_further_groups(measurements)}
    errors = {name: left_out_errors(bench, fit, start, each) for name, each in groups.items()}
    return Estimates(
        before=before,
        after=bench.estimated({**start, **values}),
        left_out={name: bench.measured / np.exp(each) for name, each in errors.items()},
        interval=interval_of(
            {name: (errors[name], groups[name]) for name in groups}, coefficients=len(fit.fitted)
        ),
    )


def _rounded(values: Mapping[Coefficient, float], chosen: Iterable[Coefficient]) -> Values:
    """As the profile holds them: four digits of a ratio, whole cycles."""
    return {
        each: float(f"{values[each]:.4g}") if each.is_ratio else float(round(values[each])) for each in chosen
    }


def _further_groups(measurements: Sequence[Measurement]) -> dict[str, NDArray[np.intp]]:
    """Boards and stacks where there are several of them."""
    found = {
        "boards": groups_of([each.board for each in measurements]),
        "stacks": groups_of([each.stack for each in measurements]),
    }
    return {name: groups for name, groups in found.items() if groups.max() > 0}


def _mean_error_pct(bench: Bench, estimated: Floats) -> float:
    return round(float(np.abs(error_pct(estimated, bench.measured)).mean()), 3)
