"""A calibration for people: coefficients, rows before and after, errors, what could not be fitted."""

from __future__ import annotations

from typing import Any

from npuexplore.cli.console import note, print_table

Document = dict[str, Any]
ERROR_NAMES = {
    "before": "before",
    "after": "after",
    "one_case_left_out": "each row predicted from other layers",
    "one_board_left_out": "each board predicted from other boards",
    "one_stack_left_out": "each stack predicted from other stacks",
}
ROWS_SHOWN = 40
"""More measurements than that are left to --json."""


def show_calibration(document: Document) -> None:
    """Tables on stdout, remarks on stderr."""
    title = f"{document['profile']} calibrated as {document['name']}"
    print_table(title, ["coefficient", "before", "after", "+/-"], _coefficients(document))
    rows = _rows(document)
    print_table("errors of the estimate", ["line", "what", "measured", "before", "after", "left out"], rows)
    if len(document["rows"]) > ROWS_SHOWN:
        note(f"{len(document['rows']) - ROWS_SHOWN} rows more; --json has them all")
    print_table("errors over all rows", ["estimate", "mean", "median", "worst"], _errors(document))
    interval = document["calibration"]["interval"]
    note(
        f"Estimates with {document['name']} carry an interval: {100 * interval['level_frac']:g} % of "
        f"measurements are expected at {interval['low_ratio']:g} to {interval['high_ratio']:g} times the "
        "estimate"
    )
    for each in document["not_fitted"]:
        note(f"Not fitted: {each['key']}: {each['why']}; add {each['add']}")
    for remark in document["remarks"]:
        note(f"Note: {remark}")
    if document["ignored_columns"]:
        note(f"Columns not read: {', '.join(document['ignored_columns'])}")
    for key in ("board", "stack"):
        if document["calibration"][key] is None:
            note(f"Nobody said the {key}; add --{key}, so that the profile names what was measured")


def _coefficients(document: Document) -> list[list[str]]:
    return [
        [each["key"], *(_figure(each[key]) for key in ("before", "after", "standard_error"))]
        for each in document["coefficients"]
    ]


def _rows(document: Document) -> list[list[str]]:
    return [
        [
            str(row["line"]),
            row["what"],
            f"{row['measured_cycles']:,.0f}",
            *(f"{row[f'{key}_error_pct']:+.1f} %" for key in ("before", "after", "left_out")),
        ]
        for row in document["rows"][:ROWS_SHOWN]
    ]


def _errors(document: Document) -> list[list[str]]:
    one_case = {"one_case_left_out": "each row predicted from other rows"}
    names = ERROR_NAMES | (one_case if document["calibration"]["cases"] == 1 else {})
    return [
        [
            names[key],
            *(
                f"{figures[name]:.2f} %"
                for name in ("mean_error_pct", "median_error_pct", "max_abs_error_pct")
            ),
        ]
        for key, figures in document["errors"].items()
    ]


def _figure(value: float | None) -> str:
    return "set" if value is None else f"{value:,.4g}"
