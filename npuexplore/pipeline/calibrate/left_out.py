"""How far off a measurement is that the fit has not seen, and the interval that follows.

Left out are all measurements of one layer or network together, so that repeating one proves nothing; of one
board or stack together where a file holds several. What the others do not tell then has its old value, as it
would have for somebody who measured only those.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.calibration import RelativeInterval
from npuexplore.pipeline.calibrate.coefficients import Values
from npuexplore.pipeline.calibrate.fit import LEAST_SCALE, Fit, bounded_step, moved_by
from npuexplore.pipeline.calibrate.identify import well_known
from npuexplore.pipeline.calibrate.pricing import Bench

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

LEVEL_FRAC = 0.9
"""Share of measurements that the interval is meant to hold."""


def left_out_errors(bench: Bench, fit: Fit, start: Values, groups: Indices) -> Floats:
    """(N,) log of measured over predicted, each predicted without the measurements of its group."""
    errors = np.empty(bench.measured.size)
    for group in np.unique(groups):
        out = groups == group
        errors[out] = np.log(bench.measured / bench.predicted(_without(bench, fit, start, out)))[out]
    return errors


def row_groups(bench: Bench) -> Indices:
    """(N,) what is left out together: measurements of one case; single ones where there is only one case."""
    return np.arange(bench.measured.size) if len(bench.cases) == 1 else bench.case_of


def groups_of(labels: Sequence[str | None]) -> Indices:
    """(N,) place of each label among the different ones; case and punctuation do not tell them apart.

    >>> groups_of(["NUCLEO-L4R5ZI", "Nucleo_L4R5ZI", None]).tolist()
    [0, 0, 1]
    """
    plain = [re.sub(r"[\W_]+", "", label or "").lower() for label in labels]
    different = list(dict.fromkeys(plain))
    return np.array([different.index(label) for label in plain], np.intp)


def interval_of(errors: Mapping[str, tuple[Floats, Indices]], *, coefficients: int) -> RelativeInterval:
    """The widest interval of several ways of leaving out: (errors, groups) each; `cases` is the first.

    Student's t with one degree of freedom for every group beyond what the fit took, one at least, times
    the root mean square of the errors, which are not believed to be below `LEAST_SCALE`.
    """
    half_widths = []
    for name, (left_out, groups) in errors.items():
        freedom = max(len(np.unique(groups)) - (coefficients if name == "cases" else 1), 1)
        half_widths.append(student_t(freedom) * max(_root_mean_square(left_out), LEAST_SCALE))
    half = max(half_widths)
    return RelativeInterval(
        level_frac=LEVEL_FRAC,
        low_ratio=max(math.floor(1e4 * math.exp(-half)) / 1e4, 1e-4),
        high_ratio=math.ceil(1e4 * math.exp(half)) / 1e4,
    )


def student_t(freedom: int) -> float:
    """Two-sided quantile at `LEVEL_FRAC`.

    >>> round(student_t(5), 3)
    2.015
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + LEVEL_FRAC / 2))


def _without(bench: Bench, fit: Fit, start: Values, out: NDArray[np.bool_]) -> Values:
    """Coefficients fitted to the other measurements, by one step from the fit to all.

    The model is linear in its coefficients where nothing switches, so that the step is short and enough.
    """
    kept = ~out
    if not kept.any():
        return start
    slopes = fit.slopes[kept]
    known = _identified(bench, fit, slopes)
    values = {
        **fit.values,
        **{each: start[each] for each, is_known in zip(fit.fitted, known, strict=True) if not is_known},
    }
    errors = fit.errors[kept]
    if not known.all():
        errors = np.log(bench.measured / bench.predicted(values))[kept]
    fitted = [each for each, is_known in zip(fit.fitted, known, strict=True) if is_known]
    if not fitted:
        return values
    step, _ = bounded_step(slopes[:, known], errors, fitted, values, spread=fit.spread)
    return moved_by(values, fitted, step)


def _identified(bench: Bench, fit: Fit, slopes: Floats) -> NDArray[np.bool_]:
    """(K,) coefficients that these measurements tell; the first is always among them."""
    known = np.ones(len(fit.fitted), bool)
    while True:
        chosen = [each for each, is_known in zip(fit.fitted, known, strict=True) if is_known]
        ratios = well_known(chosen, slopes[:, known], scale=fit.scale, bench=bench)
        if len(chosen) == 1 or max(ratios[1:]) <= 1.0:
            return known
        worst = 1 + int(np.argmax(ratios[1:]))
        known[np.flatnonzero(known)[worst]] = False


def _root_mean_square(errors: Floats) -> float:
    return float(np.sqrt(np.mean(errors**2)))
