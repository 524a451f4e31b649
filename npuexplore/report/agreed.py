"""How well predicted and achieved losses agree, and what each round of a study learned from it."""

from __future__ import annotations

from typing import Any

from npuexplore.report import numbers
from npuexplore.report.tables import DASH, Table
from npuexplore.report.words import Record


def agreement_words(results: Record) -> str:
    """Order, distance and bias over all picks; nothing where they were not measured."""
    found = results.get("agreement") or {}
    sentences = []
    if (correlation := found.get("quality_rank_correlation")) is not None:
        sentences.append(
            f"Rank correlation of predicted and achieved loss over the picks: {correlation:.2f}"
            + (f" (Kendall's tau {tau:.2f})." if (tau := found.get("kendall_tau")) is not None else ".")
        )
    if (error_db := found.get("mean_absolute_error_db")) is not None:
        sentences.append(
            f"On average they are {numbers.decibels(error_db)} apart; {_bias_words(found['bias_db'])}."
        )
    return " ".join(sentences)


def _bias_words(bias_db: float) -> str:
    side = "too high" if bias_db > 0.0 else "too low"
    return f"losses were predicted {numbers.decibels(abs(bias_db))} {side} in the mean"


def rounds_table(results: Record) -> Table | None:
    """Each round's predictions, and those of the same picks after learning; None where there is one round."""
    rounds = (results.get("agreement") or {}).get("rounds") or []
    if len(rounds) < 2:
        return None
    return Table(
        "Each round predicts with what the rounds before have learned",
        (
            "round",
            "new picks",
            "Kendall's tau",
            "error",
            "bias",
            "error over all picks so far, after learning",
            "shares that stay after retraining, learned",
        ),
        tuple(_row(each, _terms(results)) for each in rounds),
        frozenset({2, 3, 4, 5}),
    )


def _row(found: Record, terms: list[str]) -> tuple[str, ...]:
    refit = found.get("refit") or {}
    return (
        f"Round {found['round']}",
        ", ".join(found["picks"]) or "none",
        DASH if found["kendall_tau"] is None else f"{found['kendall_tau']:.2f}",
        _decibels(found["mean_absolute_error_db"]),
        _decibels(found["bias_db"]),
        _decibels(refit.get("mean_absolute_error_db")),
        _shares(refit, terms),
    )


def _terms(results: Record) -> list[str]:
    """What the study's plans may lose quality by."""
    space: dict[str, Any] = results["study"].get("space") or {}
    skips = any(space.get("skip_rate_frac", ()))
    return [*space.get("structures", ()), "bits", *(["skip"] if skips else [])]


def _shares(refit: Record, terms: list[str]) -> str:
    shares = refit.get("recovery_frac") or {}
    told = [f"{term} {shares[term]:.2f}" for term in terms if term in shares]
    return ", ".join(told) or DASH


def _decibels(value: float | None) -> str:
    return DASH if value is None else numbers.decibels(value)
