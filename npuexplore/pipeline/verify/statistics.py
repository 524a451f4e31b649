"""How far estimates lie from a reference: the same figures for a file, a quantity and every group of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CLOSE_PCT = 2.0
"""Errors up to this count as close."""

Figures = dict[str, float]
Values = NDArray[Any]


def errors_pct(ours: Values, reference: Values) -> NDArray[np.float64]:
    """(n,) absolute errors in per cent of the reference; a reference of 0 is met by 0 or missed by 100 %.

    >>> errors_pct(np.array([99, 0, 5]), np.array([100, 0, 0]))
    array([  1.,   0., 100.])
    """
    missed = np.abs(ours.astype(np.float64) - reference)
    scale = np.where(reference == 0, 1.0, np.abs(reference))
    return np.asarray(np.where(reference == 0, np.where(ours == 0, 0.0, 100.0), 100.0 * missed / scale))


def figures(ours: Values, reference: Values) -> Figures:
    """What is said of n rows.

    >>> figures(np.array([100, 99]), np.array([100, 100]))["exact_frac"]
    0.5
    """
    errors = errors_pct(ours, reference)
    return {
        "exact_frac": float(np.mean(ours == reference)),
        "mean_error_pct": float(errors.mean()),
        "p95_error_pct": float(np.percentile(errors, 95)),
        "max_abs_error_pct": float(errors.max()),
        "within_2pct_frac": float(np.mean(errors <= CLOSE_PCT)),
    }


def quantity_document(
    rows: pd.DataFrame, ours: Values, reference: Values, *, groupings: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Figures of one quantity over all rows, and over the rows that share values of each grouping."""
    return {**figures(ours, reference), "groups": list(_groups(rows, ours, reference, groupings))}


def _groups(
    rows: pd.DataFrame, ours: Values, reference: Values, groupings: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    found = []
    for columns in groupings:
        present = [column for column in columns if column in rows.columns]
        if len(present) < len(columns):
            continue
        for values, chosen in rows.groupby(present, dropna=False, sort=True).indices.items():
            where = dict(zip(present, values if isinstance(values, tuple) else (values,), strict=True))
            found.append(
                {"where": _plain(where), "rows": len(chosen), **figures(ours[chosen], reference[chosen])}
            )
    return found


def _plain(where: Mapping[str, Any]) -> dict[str, Any]:
    """Values that JSON can hold; an empty cell is none."""
    return {
        name: "none" if pd.isna(value) else value.item() if hasattr(value, "item") else value
        for name, value in where.items()
    }
