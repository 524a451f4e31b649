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
HOPELESS = 100.0
"""Standard errors this many times too large are not worth a figure."""
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

    Raises BadInput where a named one cannot be identified, and where none can.
    """
    if named:
        return Identified(_named(bench, named, start, path), (), ())
    fit, refusals = _narrowed(bench, BY_DEFAULT, start)
    ratio = _wanted_wait(fit)
    if ratio is None:
        _refuse_streams(bench, fit, path)
        return Identified(fit, refusals, ())
    fit, refusals = _narrowed(bench, (PRODUCT, *BY_DEFAULT[1:]), {**start, MEMORY_WAIT: 1.0})
    _refuse_streams(bench, fit, path)
    said = f"{_faster(bench, ratio)}, so {PRODUCT.key} is fitted, and {MEMORY_WAIT.key} is set to 1"
    return Identified(fit, refusals, (said,), (MEMORY_WAIT,))


def _named(bench: Bench, named: Sequence[Coefficient], start: Values, path: str) -> Fit:
    """The fit of these coefficients; raises BadInput where one of them is not to be told."""
    fit = fit_bench(bench, named, start)
    ratio = _wanted_wait(fit)
    if ratio is not None:
        raise BadInput(
            f"{path}: {_faster(bench, ratio)}; name product in --coefficients in place of memory_wait_ratio"
        )
    unfelt = _unfelt(bench, named, fit.values)
    if unfelt:
        raise BadInput(f"{path}: {unfelt[0]}")
    ratios = well_known(named, fit.slopes, scale=fit.scale, bench=bench)
    allowed = max(1, len(bench.cases) - SPARE_CASES)
    if len(named) > allowed or (len(named) > 1 and max(ratios) > 1.0):
        worst = int(np.argmax(ratios))
        raise BadInput(f"{path}: {_refusal(bench, named, worst, fit, allowed=allowed)}")
    return fit


def _refuse_streams(bench: Bench, fit: Fit, path: str) -> None:
    """Raises BadInput where hardly any cycles hang on the coefficient that is never given up."""
    if _unfelt(bench, fit.fitted[:1], fit.values):
        raise BadInput(
            f"{path}: every measurement is estimated to wait for the memory that holds its weights, which no "
            "coefficient changes; correct memory_mode or the bytes_per_cycle of that memory, or measure with "
            "weights in a faster one"
        )


def _faster(bench: Bench, ratio: float) -> str:
    return (
        f"the board takes {100 * ratio:.0f} % of the cycles of {bench.engine.toolchain} kernels in memory "
        "without wait states: it runs other kernels"
    )


def well_known(coefficients: Sequence[Coefficient], slopes: Floats, *, scale: float, bench: Bench) -> Floats:
    """(K,) standard errors over the greatest that are allowed: up to 1 is identified."""
    limits = np.array([error_limit(each, bench) for each in coefficients])
    return np.asarray(standard_errors(slopes, scale) / limits)


def error_limit(coefficient: Coefficient, bench: Bench) -> float:
    """Greatest standard error: relative of ratios, in cycles of cycles."""
    unit = 1.0 if coefficient.is_ratio else bench.small_layer_cycles
    return coefficient.most_error_frac * unit


def _narrowed(bench: Bench, tried: Sequence[Coefficient], start: Values) -> tuple[Fit, tuple[Refusal, ...]]:
    """Fits fewer and fewer coefficients until each is known well enough; the first is never given up."""
    refusals = [each for each in _unfelt(bench, tried, start) if each.coefficient is not tried[0]]
    kept = [each for each in tried if each not in [refusal.coefficient for refusal in refusals]]
    allowed = max(1, len(bench.cases) - SPARE_CASES)
    while True:
        fit = fit_bench(bench, kept, start)
        ratios = well_known(kept, fit.slopes, scale=fit.scale, bench=bench)
        if len(kept) == 1 or (len(kept) <= allowed and max(ratios[1:]) <= 1.0):
            return fit, tuple(refusals)
        worst = 1 + int(np.argmax(ratios[1:]))
        refusals.append(_refusal(bench, kept, worst, fit, allowed=allowed))
        kept.pop(worst)


def _unfelt(bench: Bench, tried: Sequence[Coefficient], start: Values) -> list[Refusal]:
    """Coefficients that hardly any cycles of any measurement hang on."""
    effects = _greatest_effects(bench, tried, start)
    return [
        Refusal(each, f"no measurement spends enough on {each.words} to tell")
        for each, effect in zip(tried, effects, strict=True)
        if effect < FELT_FRAC
    ]


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
    unknown = error > HOPELESS * limit
    known = "nothing tells it" if unknown else f"its standard error is {_amount(each, error)}"
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
