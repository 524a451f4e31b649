"""How well predicted and achieved losses of quality agree: their order, their distance, their bias."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from npuexplore.pipeline.quality import fitted_recovery_frac
from npuexplore.units import FloatArray


def kendall_tau(predicted: FloatArray, achieved: FloatArray) -> float | None:
    """Kendall's tau-b of two rankings, -1..1; None where one of them does not tell picks apart.

    >>> kendall_tau(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.3, 0.2]))
    0.3333
    """
    from scipy.stats import kendalltau

    if len(predicted) < 2 or np.ptp(predicted) == 0 or np.ptp(achieved) == 0:
        return None
    return round(float(kendalltau(predicted, achieved).statistic), 4)


def closeness(predicted: FloatArray, achieved: FloatArray) -> dict[str, float | None]:
    """Tau, mean absolute error and bias in dB of (N,) losses; a bias above 0 is a loss predicted too high.

    Each is None where there is nothing to say it of.
    """
    apart = predicted - achieved
    return {
        "kendall_tau": kendall_tau(predicted, achieved),
        "mean_absolute_error_db": round(float(np.abs(apart).mean()), 4) if apart.size else None,
        "bias_db": round(float(apart.mean()), 4) if apart.size else None,
    }


def agreement_document(
    picks: Sequence[Mapping[str, Any]],
    *,
    recovery_frac: float,
    summed_db: Mapping[str, float],
    refits: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """`agreement` of results.json: over all picks, then round by round.

    picks : of results.json ; recovery_frac : assumed at first ; summed_db : one-shot losses of each pick,
    summed, by name ; refits : what each round learned: its figures (`recovery`), and with them the
    `predicted_db` by name of all picks so far.
    """
    predicted, achieved = _losses(picks, "predicted"), _losses(picks, "achieved")
    fitted = fitted_recovery_frac(np.array([summed_db[pick["name"]] for pick in picks]), achieved)
    return {
        "quality_rank_correlation": _rank_correlation(predicted, achieved),
        "recovery_frac_assumed": recovery_frac,
        "recovery_frac_fitted": None if fitted is None else round(fitted, 4),
        **closeness(predicted, achieved),
        "rounds": [
            {
                "round": number,
                "picks": [pick["name"] for pick in own],
                **closeness(_losses(own, "predicted"), _losses(own, "achieved")),
                **({"refit": _refit(picks, refits[number - 1])} if len(refits) >= number else {}),
            }
            for number, own in _by_round(picks, len(refits))
        ],
    }


def _by_round(picks: Sequence[Mapping[str, Any]], rounds: int) -> list[tuple[int, list[Mapping[str, Any]]]]:
    """The picks that each round was the first to retrain, which may be none."""
    last = max([rounds, *(pick["round"] for pick in picks)])
    return [(n, [pick for pick in picks if pick["round"] == n]) for n in range(1, last + 1)]


def _refit(picks: Sequence[Mapping[str, Any]], refit: Mapping[str, Any]) -> dict[str, Any]:
    """What a round learned, and how well that agrees with the picks that it learned from."""
    learned_from = [pick for pick in picks if pick["name"] in refit["predicted_db"]]
    predicted = np.array([refit["predicted_db"][pick["name"]] for pick in learned_from])
    return {**refit["recovery"], **closeness(predicted, _losses(learned_from, "achieved"))}


def _losses(picks: Sequence[Mapping[str, Any]], what: str) -> FloatArray:
    return np.array([pick[what]["quality_loss_db"] for pick in picks], np.float64)


def _rank_correlation(left: FloatArray, right: FloatArray) -> float | None:
    """Spearman's rank correlation; None where one side does not vary."""
    from scipy.stats import spearmanr

    if len(left) < 3 or np.ptp(left) == 0 or np.ptp(right) == 0:
        return None
    return round(float(spearmanr(left, right).statistic), 4)
