"""Which plans competed for being picks, and where each was stopped."""

from __future__ import annotations

from npuexplore.report import numbers
from npuexplore.report.html import Content, Html, element
from npuexplore.report.tables import DASH, Table, structure_dot, table_html, with_parts
from npuexplore.report.words import Record

PRUNERS = {"asha": "successive halving", "hyperband": "Hyperband"}


def competition(results: Record) -> Html | str:
    """The plans that were retrained for a while; nothing where the picks had no rivals."""
    held = results.get("halving")
    if not held:
        return ""
    stopped = sum(row["stopped_at_step"] is not None for row in held["candidates"])
    pruner = PRUNERS.get(held["pruner"], held["pruner"])
    words = (
        f"{len(held['candidates'])} plans were retrained on real sound, in groups of about equal cost; "
        f"Optuna's {pruner} stopped {stopped} of them early, and the best of each group is a pick."
    )
    return element(
        "section",
        element("h2", "Plans that competed"),
        element("p", words),
        table_html(with_parts(competition_table(held), _winners(held, results), results)),
        id="competition",
    )


def _winners(held: Record, results: Record) -> list[Record | None]:
    """The pick that each plan competed for; all of a group are for its part."""
    picks = {pick["name"]: pick for pick in results["picks"]}
    groups = [row["rival_of"] or row["name"] for row in held["candidates"]]
    found = {
        group: picks.get(row["name"])
        for group, row in zip(groups, held["candidates"], strict=True)
        if row["stopped_at_step"] is None
    }
    return [found.get(group) for group in groups]


def competition_table(held: Record) -> Table:
    """A row per plan: its validation loss at each rung, and where it was stopped."""
    reached = {step for row in held["candidates"] for step in row["validation_loss_db"]}
    rungs = [str(step) for step in held["rungs_steps"] if str(step) in reached]
    rows = tuple(_row(row, rungs) for row in held["candidates"])
    columns = (
        *("plan", "structure", "loss predicted"),
        *(f"training loss after {step} steps" for step in rungs),
        "stopped after",
    )
    return Table(
        "Validation loss of training (lower is better) of each plan, rung by rung",
        columns,
        rows,
        frozenset(range(2, len(columns))),
    )


def _row(row: Record, rungs: list[str]) -> tuple[Content, ...]:
    end = row["stopped_at_step"]
    return (
        row["name"],
        structure_dot(row["structure"]),
        numbers.decibels(row["predicted_loss_db"]),
        *(_loss(row["validation_loss_db"], step) for step in rungs),
        "a pick" if end is None else f"{end} steps",
    )


def _loss(losses: Record, step: str) -> str:
    if step not in losses:
        return DASH
    return "diverged" if losses[step] is None else numbers.decibels(losses[step])
