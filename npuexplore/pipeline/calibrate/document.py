"""A calibration as the versioned document that `calibrate --json` prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from npuexplore.pipeline.calibrate.fit import Floats
from npuexplore.pipeline.calibrate.run import Calibrated, error_pct

SCHEMA = "npuexplore.calibrate/1"
LEFT_OUT_NAMES = {
    "cases": "one_case_left_out",
    "boards": "one_board_left_out",
    "stacks": "one_stack_left_out",
}


def calibration_document(result: Calibrated, *, name: str, written: str) -> dict[str, Any]:
    """Coefficients, errors and rows; plain JSON values. written : path of the new profile"""
    measured = np.array([each.cycles for each in result.measurements])
    estimates = {
        "before": result.estimates.before,
        "after": result.estimates.after,
        **{LEFT_OUT_NAMES[key]: cycles for key, cycles in result.estimates.left_out.items()},
    }
    return {
        "schema": SCHEMA,
        "profile": result.profile.name,
        "name": name,
        "written": written,
        "coefficients": _coefficients(result),
        "not_fitted": [
            {"key": each.coefficient.key, "why": each.why, "add": each.coefficient.wanted}
            for each in result.identified.refusals
        ],
        "errors": {key: error_figures(cycles, measured) for key, cycles in estimates.items()},
        "rows": _rows(result, measured),
        "calibration": result.calibration.model_dump(mode="json"),
        "ignored_columns": list(result.ignored),
        "remarks": list(result.remarks),
    }


def error_figures(estimated: Floats, measured: Floats) -> dict[str, float]:
    """Mean, median and greatest of the absolute errors, in per cent of what was measured.

    >>> error_figures(np.array([110.0, 100.0]), np.array([100.0, 100.0]))
    {'mean_error_pct': 5.0, 'median_error_pct': 5.0, 'max_abs_error_pct': 10.0}
    """
    errors = np.abs(error_pct(estimated, measured))
    figures = {
        "mean_error_pct": errors.mean(),
        "median_error_pct": np.median(errors),
        "max_abs_error_pct": errors.max(),
    }
    return {key: round(float(value), 3) for key, value in figures.items()}


def _coefficients(result: Calibrated) -> list[dict[str, Any]]:
    return [
        {
            "key": each.key,
            "before": result.start[each],
            "after": value,
            "standard_error": None
            if each not in result.errors_of
            else round(result.errors_of[each] * (value if each.is_ratio else 1.0), 4),
        }
        for each, value in result.values.items()
    ]


def _rows(result: Calibrated, measured: Floats) -> list[dict[str, Any]]:
    weights = result.identified.fit.weights
    columns = {
        "before": result.estimates.before,
        "after": result.estimates.after,
        "left_out": result.estimates.left_out["cases"],
    }
    return [
        {
            "line": each.row.line,
            "what": each.what,
            "board": each.board,
            "stack": each.stack,
            "measured_cycles": round(each.cycles, 1),
            **{f"{key}_cycles": round(float(cycles[place]), 1) for key, cycles in columns.items()},
            **{
                f"{key}_error_pct": round(float(error_pct(cycles, measured)[place]), 3)
                for key, cycles in columns.items()
            },
            "weight": round(float(weights[place]), 3),
        }
        for place, each in enumerate(result.measurements)
    ]
