"""Intervals around the estimates of a calibrated profile.

The profile knows how far the model was off where it was fitted without the row it was asked for; the same
factors are laid around every estimate. They are of the cycles of layers; a front end was not among the
measurements, and is taken to err alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.calibration import Calibration, RelativeInterval

Floats = NDArray[np.float64]


def around(estimates: NDArray[np.integer] | Floats, interval: RelativeInterval) -> Floats:
    """(P, 2) lower and upper end around (P,) estimates.

    >>> around(np.array([1000.0]), RelativeInterval(level_frac=0.9, low_ratio=0.95, high_ratio=1.1)).tolist()
    [[950.0, 1100.0]]
    """
    ends = np.array([interval.low_ratio, interval.high_ratio])
    return np.asarray(np.round(np.asarray(estimates, np.float64)[:, None] * ends, 9))


def whole_around(estimates: NDArray[np.integer], interval: RelativeInterval) -> NDArray[np.int64]:
    """(P, 2) whole counts that enclose the interval.

    >>> interval = RelativeInterval(level_frac=0.9, low_ratio=0.9, high_ratio=1.1)
    >>> whole_around(np.array([999]), interval).tolist()
    [[899, 1099]]
    """
    ends = around(estimates, interval)
    return np.stack([np.floor(ends[:, 0]), np.ceil(ends[:, 1])], axis=1).astype(np.int64)


def calibration_sentences(
    calibration: Calibration | None, *, kinds: Iterable[str], sparse: bool
) -> tuple[str, ...]:
    """Where the interval comes from; nothing for a profile that was not calibrated.

    kinds : of the network's layers ; sparse : whether a plan has sparse weights
    """
    if calibration is None:
        return ()
    interval = calibration.interval
    where = (
        f"on {calibration.board or 'a board without a name'} with {calibration.stack or 'an unnamed stack'}"
    )
    fitted = ", ".join(f"{key} {value:g}" for key, value in calibration.coefficients.items())
    return (
        f"calibrated on {calibration.rows} measurements {where}, {calibration.date} ({calibration.file}): "
        f"{fitted}; {100 * interval.level_frac:g} % of measured times are expected between "
        f"{100 * (interval.low_ratio - 1):+.1f} and {100 * (interval.high_ratio - 1):+.1f} % of the "
        "estimate, judged by predicting each measurement from the others; the front end was not measured "
        "and is taken to err alike",
        *_beyond_measurements(calibration, kinds, sparse=sparse),
    )


def _beyond_measurements(calibration: Calibration, kinds: Iterable[str], *, sparse: bool) -> Iterator[str]:
    """What the interval says nothing of."""
    asked = [*dict.fromkeys(kinds), *(["sparse"] if sparse else [])]
    missing = [kind for kind in asked if kind not in calibration.measured]
    if missing:
        yield f"no {' and no '.join(missing)} layer was measured, so that the interval says nothing of those"
    if calibration.cases == 1:
        yield "only one layer or network was measured, so that others may lie further off than the interval"
