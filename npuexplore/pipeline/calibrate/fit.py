"""Robust least squares over relative errors: log cycles measured against log cycles predicted.

Gauss-Newton with Huber weights: first nearly least absolute errors, whose median tells the spread of ordinary
rows, then least squares among those. Ratios move in their logarithm and cycles per layer as they are, each
within what a profile may hold; a coefficient at its bound stays there as long as the others leave it there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.pipeline.calibrate.coefficients import Coefficient, Values
from npuexplore.pipeline.calibrate.pricing import Bench

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

HUBER_SCALES = 1.345
"""Errors beyond so many scales count less: 95 % efficient where errors are normal (Huber 1981)."""
SIGMAS_OF_MEDIAN = 1.4826
"""Standard deviation over the median of absolute errors where errors are normal."""
LEAST_SCALE = 0.01
"""Scale of relative errors below which measurements are not believed to lie: interrupts, caches and the
data's own share of the time (up to 0.3 % in CMSIS-NN's recurrent layers) are of that size."""
LEAST_SINGULAR = 1e-6
"""Of slopes of equal size, over the greatest: below it two coefficients do the same."""
MAX_STEPS = 100
STEP_TOLERANCE = 1e-6
"""Change of the slowest coefficient at which a fit has ended: relative, or of the cycles of a small layer."""


@dataclass(frozen=True)
class Fit:
    """Coefficients, and what their errors are judged by."""

    values: Mapping[Coefficient, float]
    fitted: tuple[Coefficient, ...]
    errors: Floats
    """(N,) log of measured over predicted."""
    slopes: Floats
    """(N, K) at the fit."""
    weights: Floats
    """(N,) 1, and less for measurements that lie far off."""
    held: Flags
    """(K,) coefficients that stop at a bound."""
    spread: float
    """Of ordinary errors; those of bad rows left out."""

    @property
    def scale(self) -> float:
        """Scale of the relative errors: a bad row counts as one that is just not bad.

        Huber 1981, section 7.6: the weighted errors' squares over the freedom that the fit leaves, and over
        the square of the share of ordinary rows.
        """
        freedom = max(self.errors.size - len(self.fitted), 1)
        ordinary = float((self.weights == 1.0).mean())
        squares = float(((self.weights * self.errors) ** 2).sum()) / freedom
        return max(math.sqrt(squares) / max(ordinary, 0.5), LEAST_SCALE)

    def standard_errors(self) -> Floats:
        """(K,) of a ratio relative, of cycles in cycles; infinite where nothing tells it from the others."""
        return standard_errors(self.slopes, self.scale)


def fit_bench(bench: Bench, coefficients: Sequence[Coefficient], start: Values) -> Fit:
    """Coefficients that bring the predictions nearest to the measurements.

    start : where to begin, and what the coefficients that are not fitted stay at
    """
    values, held = _converged(bench, coefficients, start, spread=LEAST_SCALE)
    spread = _spread(np.log(bench.measured / bench.predicted(values)), len(coefficients))
    if spread > LEAST_SCALE:
        values, held = _converged(bench, coefficients, values, spread=spread)
    errors = np.log(bench.measured / bench.predicted(values))
    slopes = bench.slopes(values, coefficients)
    return Fit(values, tuple(coefficients), errors, slopes, huber_weights(errors, spread), held, spread)


def _converged(
    bench: Bench, coefficients: Sequence[Coefficient], start: Values, *, spread: float
) -> tuple[Values, Flags]:
    """The coefficients where nothing improves any more, and which stop at a bound."""
    values, held = start, np.zeros(len(coefficients), bool)
    for _ in range(MAX_STEPS):
        errors = np.log(bench.measured / bench.predicted(values))
        slopes = bench.slopes(values, coefficients)
        step, held = bounded_step(slopes, errors, coefficients, values, spread=spread)
        moved = moved_by(values, coefficients, step)
        change = max(_relative_change(each, values, moved, bench) for each in coefficients)
        values = moved
        if change < STEP_TOLERANCE:
            break
    return values, held


def bounded_step(
    slopes: Floats, errors: Floats, coefficients: Sequence[Coefficient], values: Values, *, spread: float
) -> tuple[Floats, Flags]:
    """(K,) step that lessens the weighted errors most, and which coefficients a bound stops.

    slopes : (N, K) ; errors : (N,) ; spread : of ordinary errors
    """
    held = np.zeros(len(coefficients), bool)
    step = np.zeros(len(coefficients))
    lowest, highest = (_distances(coefficients, values, end) for end in ("least", "most"))
    weights = huber_weights(errors, spread)
    for _ in range(len(coefficients) + 1):
        rest = errors - slopes[:, held] @ step[held]
        step[~held] = _solved(slopes[:, ~held], rest, weights)
        outside = ~held & ((step < lowest) | (step > highest))
        if not outside.any():
            break
        step[outside] = np.clip(step, lowest, highest)[outside]
        held |= outside
    return step, held


def huber_weights(errors: Floats, spread: float) -> Floats:
    """(N,) weights: 1 within some spreads of the errors, falling beyond.

    >>> huber_weights(np.array([0.01, -0.01, 1.0]), 0.01).round(2).tolist()
    [1.0, 1.0, 0.01]
    """
    return np.asarray(1.0 / np.maximum(np.abs(errors) / (HUBER_SCALES * spread), 1.0))


def _spread(errors: Floats, fitted: int) -> float:
    """Standard deviation of ordinary errors from their median, which bad rows do not move.

    As many of the least errors as there are coefficients are left out: the fit has made them small.
    """
    free = np.sort(np.abs(errors))[min(fitted, errors.size - 1) :]
    return max(SIGMAS_OF_MEDIAN * float(np.median(free)), LEAST_SCALE)


def standard_errors(slopes: Floats, scale: float) -> Floats:
    """(K,) standard errors of coefficients whose slopes are (N, K)."""
    sizes = np.linalg.norm(slopes, axis=0)
    if not sizes.all():
        return np.full(sizes.size, np.inf)
    scaled = slopes / sizes
    singular = np.linalg.svd(scaled, compute_uv=False)
    if scaled.shape[0] < scaled.shape[1] or singular[-1] < LEAST_SINGULAR * singular[0]:
        return np.full(sizes.size, np.inf)
    inverse = np.linalg.inv(scaled.T @ scaled)
    return np.asarray(scale * np.sqrt(np.diag(inverse)) / sizes)


def moved_by(values: Values, coefficients: Sequence[Coefficient], step: Floats) -> dict[Coefficient, float]:
    """The coefficients after a step."""
    moved = {
        each: values[each] * float(np.exp(by)) if each.is_ratio else values[each] + float(by)
        for each, by in zip(coefficients, step, strict=True)
    }
    inside = {each: min(max(value, each.least), each.most) for each, value in moved.items()}
    return {**values, **inside}


def _distances(coefficients: Sequence[Coefficient], values: Values, end: str) -> Floats:
    """(K,) steps to a bound."""
    return np.array(
        [
            np.log(getattr(each, end) / values[each]) if each.is_ratio else getattr(each, end) - values[each]
            for each in coefficients
        ]
    )


def _solved(slopes: Floats, errors: Floats, weights: Floats) -> Floats:
    if not slopes.shape[1]:
        return np.zeros(0)
    root = np.sqrt(weights)
    sizes = np.maximum(np.linalg.norm(slopes, axis=0), 1e-300)
    found = np.linalg.lstsq(slopes / sizes * root[:, None], errors * root, rcond=1e-9)[0]
    return np.asarray(found / sizes)


def _relative_change(each: Coefficient, before: Values, after: Values, bench: Bench) -> float:
    change = abs(after[each] - before[each])
    return change / before[each] if each.is_ratio else change / bench.small_layer_cycles
