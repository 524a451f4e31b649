"""How close an estimate comes to the clean reference: SDR and SI-SDR, in dB.

Conventions
-----------
Both take `estimate` and `reference` by keyword, (N,) mono samples of equal length, and compute in float64.
Neither removes the mean: recordings are taken as they are.

`sdr_db` is BSSEval version 3 for one source (Vincent et al. 2006; mir_eval's `bss_eval_sources`): the
reference may be filtered by any 512-tap FIR before it is compared, so a colouring or a delay of less than
512 samples costs nothing.
`si_sdr_db` allows a gain only (Le Roux et al. 2019, eq. 5).

Both are limited to -100..100 dB, so that a silent estimate (-100) or an exact copy (100) leaves a mean
finite. A silent reference has no score and is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.errors import BadInput

Samples = NDArray[Any]
Float64 = NDArray[np.float64]

FILTER_TAPS = 512
"""Length of the allowed distortion filter in BSSEval version 3."""

LIMIT_DB = 100.0
"""Scores beyond this are rounding, not sound."""

TOEPLITZ_TOLERANCE = 1e-8
"""Relative residual above which Levinson's solution is replaced by least squares."""


def sdr_db(*, estimate: Samples, reference: Samples) -> float:
    """Signal-to-distortion ratio with a 512-tap distortion filter, of (N,) signals; returns dB.

    Raises BadInput for unequal lengths, samples that are not finite and a silent reference.
    """
    wanted, heard = paired_signals(estimate=estimate, reference=reference)
    target = _filtered(wanted, _distortion_filter(wanted, heard))
    error = -target
    error[: heard.size] += heard
    return _ratio_db(float(target @ target), float(error @ error))


def si_sdr_db(*, estimate: Samples, reference: Samples) -> float:
    """Scale-invariant signal-to-distortion ratio of (N,) signals, mean not removed; returns dB.

    Raises BadInput as `sdr_db` does.
    >>> round(si_sdr_db(estimate=np.array([3.0, 1.0]), reference=np.array([1.0, 0.0])), 3)
    9.542
    """
    wanted, heard = paired_signals(estimate=estimate, reference=reference)
    target = (heard @ wanted) / (wanted @ wanted) * wanted  # eq. 5, Le Roux 2019
    error = heard - target
    return _ratio_db(float(target @ target), float(error @ error))


def paired_signals(*, estimate: Samples, reference: Samples) -> tuple[Float64, Float64]:
    """Reference and estimate in float64, each scaled to a peak of 1 (no score depends on their scale).

    Raises BadInput for unequal lengths, samples that are not finite and a silent reference.
    """
    if estimate.ndim != 1 or estimate.shape != reference.shape:
        raise BadInput(
            f"an estimate of shape {estimate.shape} cannot be scored against a reference of shape "
            f"{reference.shape}; cut both to the same samples"
        )
    wanted, heard = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if not (np.isfinite(wanted).all() and np.isfinite(heard).all()):
        raise BadInput(
            "a signal with samples that are not numbers (NaN or infinite) cannot be scored; mend it"
        )
    if not wanted.any():
        raise BadInput("a silent reference has no score; leave this pair out")
    return wanted / np.abs(wanted).max(), heard / (np.abs(heard).max() or 1.0)


def _ratio_db(target_energy: float, error_energy: float) -> float:
    """10 log10 of the ratio, within +-LIMIT_DB."""
    if target_energy == 0.0:
        return -LIMIT_DB
    if error_energy == 0.0:
        return LIMIT_DB
    return float(np.clip(10.0 * np.log10(target_energy / error_energy), -LIMIT_DB, LIMIT_DB))


def _distortion_filter(reference: Float64, estimate: Float64) -> Float64:
    """(512,) FIR that brings the reference closest to the estimate: the normal equations of least squares."""
    from scipy.fft import irfft, next_fast_len, rfft

    length = next_fast_len(reference.size + FILTER_TAPS - 1, real=True)
    spectrum = rfft(reference, length)
    autocorrelation = irfft(np.abs(spectrum) ** 2, length)[:FILTER_TAPS]
    crosscorrelation = irfft(spectrum.conj() * rfft(estimate, length), length)[:FILTER_TAPS]
    return _solve_toeplitz(autocorrelation, crosscorrelation)


def _solve_toeplitz(column: Float64, target: Float64) -> Float64:
    """Solve the symmetric Toeplitz system; by least squares where it is (nearly) singular, as for a tone."""
    from scipy.linalg import LinAlgError, lstsq, matmul_toeplitz, solve_toeplitz, toeplitz

    try:
        solution: Float64 = solve_toeplitz(column, target)
    except LinAlgError:
        solution = np.full_like(target, np.nan)
    residual = matmul_toeplitz(column, solution, check_finite=False) - target
    if np.abs(residual).max() <= TOEPLITZ_TOLERANCE * np.abs(target).max():
        return solution
    by_least_squares: Float64 = lstsq(toeplitz(column), target)[0]
    return by_least_squares


def _filtered(signal: Float64, taps: Float64) -> Float64:
    """(N + 511,) full convolution."""
    from scipy.fft import irfft, next_fast_len, rfft

    full = signal.size + taps.size - 1
    length = next_fast_len(full, real=True)
    product: Float64 = irfft(rfft(signal, length) * rfft(taps, length), length)[:full]
    return product
