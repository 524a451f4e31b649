"""Which coefficients the measurements tell apart; the others stay as they are, and it is said why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import BadInput
from npuexplore.pipeline.calibrate.coefficients import (
    BY_DEFAULT,
    MEMORY_WAIT,
    PRODUCT,
    Coefficient,
    Values,
)
from npuexplore.pipeline.calibrate.fit import Fit, fit_bench, standard_errors
from npuexplore.pipeline.calibrate.pricing import Bench

Floats = NDArray[np.float64]

FELT_FRAC = 0.01
"""A coefficient without this effect on any measurement, when it is as far off as may be, is not tried."""
SPARE_CASES = 2
"""Different measurements beyond the coefficients that check them; one coefficient needs a second only."""
FASTER_FRAC = 0.01
"""A board that is faster than memory without wait states by more than this runs other kernels."""


@dataclass(frozen=True)
class Refusal:
    """A coefficient that is not fitted."""

    coefficient: Coefficient
    why: str

    def __str__(self) -> str:
        return f"{self.coefficient.key}: {self.why}; add {self.coefficient.wanted}"


@dataclass(frozen=True)
class Identified:
    """The fit of what can be told apart."""

    fit: Fit
    refusals: tuple[Refusal, ...]
    remarks: tuple[str, ...]
    set_aside: tuple[Coefficient, ...] = ()
    """Set by the way, not fitted: a memory wait that cannot be below 1."""


def identify(bench: Bench, start: Values, *, named: Sequence[Coefficient] | None, path: str) -> Identified:
    """The fit of the named coefficients, or of as many of the usual ones as the measurements tell apart.

    Raises BadInput where a named one cannot be identified.
    """
    tried = tuple(named or BY_DEFAULT)
    fit, refusals = _narrowed(bench, tried, start, keep=() if named else tried[:1])
    if named and refusals:
        raise BadInput(f"{path}: {refusals[0]}")
    ratio = _wanted_wait(fit)
    if ratio is None:
        return Identified(fit, refusals, ())
    faster = (
        f"the board takes {100 * ratio:.0f} % of the cycles of {bench.engine.toolchain} kernels in memory "
        "without wait states: it runs other kernels"
    )
    if named:
        raise BadInput(f"{path}: {faster}; add product to --coefficients in place of memory_wait_ratio")
    others = (PRODUCT, *tried[1:])
    fit, refusals = _narrowed(bench, others, {**start, MEMORY_WAIT: 1.0}, keep=(PRODUCT,))
    said = f"{faster}, so {PRODUCT.key} is fitted in place of {MEMORY_WAIT.key}, which is set to 1"
    return Identified(fit, refusals, (said,), (MEMORY_WAIT,))


def well_known(
    coefficients: Sequence[Coefficient], slopes: Floats, weights: Floats, *, scale: float, bench: Bench
) -> Floats:
    """(K,) standard errors over the greatest that are allowed: up to 1 is identified."""
    limits = np.array([error_limit(each, bench) for each in coefficients])
    return np.asarray(standard_errors(slopes, weights, scale) / limits)


def error_limit(coefficient: Coefficient, bench: Bench) -> float:
    """Greatest standard error: relative of ratios, in cycles of cycles."""
    unit = 1.0 if coefficient.is_ratio else bench.small_layer_cycles
    return coefficient.most_error_frac * unit


def _narrowed(
    bench: Bench, tried: Sequence[Coefficient], start: Values, *, keep: Sequence[Coefficient]
) -> tuple[Fit, tuple[Refusal, ...]]:
    """Fits fewer and fewer coefficients until each is known well enough; `keep` are never given up."""
    kept, refusals = list[Coefficient](), list[Refusal]()
    for each, effect in zip(tried, _greatest_effects(bench, tried, start), strict=True):
        if each in keep or effect >= FELT_FRAC:
            kept.append(each)
        else:
            refusals.append(Refusal(each, f"no measurement spends enough on {each.words} to tell"))
    while kept:
        fit = fit_bench(bench, kept, start)
        ratios = well_known(kept, fit.slopes, fit.weights, scale=fit.scale, bench=bench)
        free = [index for index, each in enumerate(kept) if each not in keep]
        allowed = max(1, len(bench.cases) - SPARE_CASES)
        if not free or (len(kept) <= allowed and max(ratios[free]) <= 1.0):
            return fit, tuple(refusals)
        worst = max(free, key=lambda index: ratios[index])
        refusals.append(_refusal(bench, kept, worst, fit, allowed=allowed))
        kept.pop(worst)
    raise BadInput(f"nothing can be fitted: {'; '.join(map(str, refusals))}")


def _refusal(bench: Bench, kept: Sequence[Coefficient], worst: int, fit: Fit, *, allowed: int) -> Refusal:
    each = kept[worst]
    if len(bench.cases) == 1:
        return Refusal(each, "all measurements are of one layer or network")
    error, limit = fit.standard_errors()[worst], error_limit(each, bench)
    others = ", ".join(other.name for other in kept if other is not each)
    if error <= limit:
        return Refusal(
            each,
            f"{len(bench.cases)} different measurements can check {allowed} coefficients, not {len(kept)}",
        )
    known = "nothing tells it" if not np.isfinite(error) else f"its standard error is {_amount(each, error)}"
    return Refusal(
        each, f"{known}{f' apart from {others}' if others else ''} (needed: {_amount(each, limit)})"
    )


def _amount(each: Coefficient, error: float) -> str:
    return f"{100 * error:.3g} %" if each.is_ratio else f"{error:,.0f} cycles"


def _greatest_effects(bench: Bench, tried: Sequence[Coefficient], start: Values) -> Floats:
    """(K,) share of the cycles of any measurement that a coefficient stands for.

    Of cycles per layer it is what a tenth of a small layer would be.
    """
    slopes = np.abs(bench.slopes(start, tried)).max(axis=0)
    units = [1.0 if each.is_ratio else 0.1 * bench.small_layer_cycles for each in tried]
    return np.asarray(slopes * np.array(units))


def _wanted_wait(fit: Fit) -> float | None:
    """The memory wait that the measurements ask for where it is below its bound by more than an error."""
    if MEMORY_WAIT not in fit.fitted:
        return None
    place = fit.fitted.index(MEMORY_WAIT)
    if not fit.held[place]:
        return None
    ratio = float(np.exp(np.average(fit.errors, weights=fit.weights)))
    return ratio if ratio < 1.0 - FASTER_FRAC else None
