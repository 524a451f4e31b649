"""What retraining leaves of one-shot losses: a guess before any pick was retrained, then a fit to the picks.

    loss = offset + sum over terms of recovery * one-shot loss

with a recovery of its own for every structure, for rounding and for skipping. The guess is a normal
distribution, and so is what the picks make of it: recoveries that no pick tells of keep near the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import STRUCTURES
from npuexplore.units import FloatArray

TERMS = (*STRUCTURES[1:], "bits", "skip")
"""What has a recovery of its own: a layer's zeros by their structure, rounding, skipped frames."""
DECIMALS = 6
"""To which a fitted figure is rounded."""


@dataclass(frozen=True)
class Guess:
    """How far the figures may be from what is taken for granted, one standard deviation each (assumed)."""

    offset_db: float = 0.1
    """Of the offset, which is taken to be 0."""
    together_frac: float = 1.0
    """Of the mean of all recoveries, as a share of `recovery_frac`."""
    apart_frac: float = 0.5
    """Of a term's recovery from that mean, as a share of `recovery_frac`."""
    noise_db: float = 0.1
    """Of a retrained pick from the best figures."""
    noise_picks: float = 4.0
    """How many picks the guess of the noise counts for."""


GUESS = Guess()


@dataclass(frozen=True)
class Recovery:
    """Figures of the sum, and how sure they are."""

    offset_db: float
    """What retraining costs a plan that compresses nothing; at least 0."""
    fractions: tuple[float, ...]
    """Share of the one-shot loss that stays, by TERMS; each at least 0."""
    covariance: FloatArray
    """(1 + G, 1 + G) of the offset and of the fractions."""
    noise_db: float
    """Standard deviation of a retrained pick from the sum."""

    def loss_db(self, one_shot_db: FloatArray) -> NDArray[np.float64]:
        """(P,) expected loss of plans that lose one_shot_db (P, G), at least 0."""
        total = np.full(len(one_shot_db), self.offset_db)
        for term, fraction in enumerate(self.fractions):
            total += fraction * one_shot_db[:, term]
        return total

    def uncertainty_db(self, one_shot_db: FloatArray) -> NDArray[np.float64]:
        """(P,) standard deviation of that loss: the noise, and what the figures are not sure of."""
        rows = _design(one_shot_db)
        spread = np.einsum("pi,ij,pj->p", rows, self.covariance, rows)
        return np.asarray(np.sqrt(self.noise_db**2 + np.maximum(spread, 0.0)))

    def document(self) -> dict[str, Any]:
        """The figures, and one standard deviation of each."""
        spread = np.sqrt(np.diag(self.covariance))
        return {
            "offset_db": self.offset_db,
            "recovery_frac": dict(zip(TERMS, self.fractions, strict=True)),
            "spread": {
                "offset_db": round(float(spread[0]), DECIMALS),
                "recovery_frac": {
                    term: round(float(each), DECIMALS) for term, each in zip(TERMS, spread[1:], strict=True)
                },
            },
            "noise_db": self.noise_db,
        }


def recovery_of(document: Mapping[str, Any]) -> Recovery:
    """The figures of `Recovery.document`, as if they were sure."""
    figures = document["recovery_frac"]
    return Recovery(
        offset_db=document["offset_db"],
        fractions=tuple(figures[term] for term in TERMS),
        covariance=np.zeros((1 + len(TERMS), 1 + len(TERMS))),
        noise_db=document["noise_db"],
    )


def guessed_recovery(recovery_frac: float, guess: Guess = GUESS) -> Recovery:
    """What is taken for granted before any pick was retrained."""
    return fitted_recovery(np.zeros((0, len(TERMS))), np.zeros(0), recovery_frac=recovery_frac, guess=guess)


def fitted_recovery(
    one_shot_db: FloatArray, achieved_db: FloatArray, *, recovery_frac: float, guess: Guess = GUESS
) -> Recovery:
    """The most likely figures, none below 0, after N retrained picks.

    one_shot_db : (N, G) by TERMS ; achieved_db : (N,) ; recovery_frac : guess for every term. First fitted
    with the guessed noise; what is left then corrects the noise, with which the figures are fitted again.
    """
    squares = guess.noise_db**2 * guess.noise_picks
    left = achieved_db - _design(one_shot_db) @ _most_likely(
        one_shot_db, achieved_db, recovery_frac, guess, noise_db=guess.noise_db
    )
    noise_db = float(np.sqrt((squares + np.square(left).sum()) / (guess.noise_picks + len(achieved_db))))
    figures = _most_likely(one_shot_db, achieved_db, recovery_frac, guess, noise_db=noise_db)
    matrix, _ = _equations(one_shot_db, achieved_db, recovery_frac, guess, noise_db=noise_db)
    covariance = np.linalg.inv(matrix.T @ matrix)
    own = np.arange(2 + len(TERMS)) != 1
    return Recovery(
        offset_db=round(float(figures[0]), DECIMALS),
        fractions=tuple(round(float(each), DECIMALS) for each in figures[1:]),
        covariance=covariance[np.ix_(own, own)],
        noise_db=round(noise_db, DECIMALS),
    )


def _most_likely(
    one_shot_db: FloatArray,
    achieved_db: FloatArray,
    recovery_frac: float,
    guess: Guess,
    *,
    noise_db: float,
) -> FloatArray:
    """(1 + G,) offset and fractions."""
    from scipy.optimize import nnls

    figures, _ = nnls(*_equations(one_shot_db, achieved_db, recovery_frac, guess, noise_db=noise_db))
    return np.asarray(np.delete(figures, 1))


def _equations(
    one_shot_db: FloatArray,
    achieved_db: FloatArray,
    recovery_frac: float,
    guess: Guess,
    *,
    noise_db: float,
) -> tuple[FloatArray, FloatArray]:
    """Rows and right sides of the least squares over the offset, the mean recovery and the G of the terms.

    A row per pick in units of the noise; then, in units of their own spread: the offset is 0, the mean is
    what was assumed, and each term is the mean.
    """
    terms = len(TERMS)
    picks = np.insert(_design(one_shot_db), 1, 0.0, axis=1) / noise_db
    offset = np.eye(1, 2 + terms) / guess.offset_db
    mean = np.eye(1, 2 + terms, 1) / (guess.together_frac * recovery_frac)
    apart = np.eye(terms, 2 + terms, 2)
    apart[:, 1] = -1.0
    apart /= guess.apart_frac * recovery_frac
    sides = np.concatenate([achieved_db / noise_db, [0.0, 1.0 / guess.together_frac], np.zeros(terms)])
    return np.concatenate([picks, offset, mean, apart]), sides


def _design(one_shot_db: FloatArray) -> FloatArray:
    """(P, 1 + G): 1 for the offset before the one-shot losses."""
    return np.insert(np.asarray(one_shot_db, np.float64), 0, 1.0, axis=1)
