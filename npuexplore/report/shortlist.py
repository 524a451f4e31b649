"""Which parts of a shortlist are enough for the network, and what that costs in quality."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from npuexplore.report import numbers
from npuexplore.report.html import Content
from npuexplore.report.parts import Part, listed, own_of, parts_of
from npuexplore.report.tables import DASH, USES, Table, bar, fit_mark
from npuexplore.report.verdict import best_of, in_limits
from npuexplore.report.words import Record, achieved_loss_db, loss_db, network_name

MOST_FIGURES = 3
"""Parts whose figures have room in a headline."""


@dataclass(frozen=True)
class PartRow:
    """What a study found on one part."""

    part: Part
    picks: tuple[Record, ...]
    best: Record | None
    """Its best pick; where none fits its fastest point of the front."""
    is_enough: bool
    """The best keeps every limit."""


def part_rows(results: Record) -> list[PartRow]:
    """A row per part, in the study's order."""
    return [_row(part, results) for part in parts_of(results)]


def _row(part: Part, results: Record) -> PartRow:
    picks = own_of(part, results["picks"], results)
    best = best_of(picks, results)
    if best is not None:
        return PartRow(part, tuple(picks), best, in_limits(best, results))
    points = [point for point in own_of(part, results["front"], results) if point["feasible"]]
    fastest = min(points, key=lambda point: float(point["estimates"]["latency_ms"]), default=None)
    return PartRow(part, tuple(picks), fastest, fastest is not None)


def comparison(results: Record) -> str:
    """Which parts of a shortlist are enough, at what time and loss."""
    rows = part_rows(results)
    enough, network = [row for row in rows if row.is_enough], network_name(results)
    if not enough:
        return f"None of the {len(rows)} parts is enough for {network}: no pick on them keeps every limit."
    told = [f"{row.part.name}{_figures(row) if len(enough) <= MOST_FIGURES else ''}" for row in enough]
    return f"{_how_many(len(enough), len(rows))} enough for {network}: {listed(told)}."


def _how_many(enough: int, parts: int) -> str:
    if enough == parts:
        return "Both parts are" if parts == 2 else f"All {parts} parts are"
    return f"{enough} of {parts} parts {'is' if enough == 1 else 'are'}"


def _figures(row: PartRow) -> str:
    best = row.best or {}
    verb = "predicted to be lost" if _is_predicted(best) else "lost"
    return f" ({numbers.milliseconds(best['estimates']['latency_ms'])}, {_loss(best)} {verb})"


def _loss(record: Record) -> str:
    """The loss of a pick, or of a point of the front."""
    return numbers.decibels(record["quality_loss_db"] if "quality_loss_db" in record else loss_db(record))


def _is_predicted(record: Record) -> bool:
    return achieved_loss_db(record) is None


def whose_picks(results: Record) -> str:
    """Which picks run on which part; nothing without picks."""
    told = [
        f"{listed([pick['name'] for pick in row.picks])} on {row.part.name}"
        for row in part_rows(results)
        if row.picks
    ]
    return f"Picks: {'; '.join(told)}." if told else ""


def parts_table(results: Record) -> Table:
    """Each part with its best pick, and the least loss of all its picks within the limits."""
    columns = ("part", "best pick", *(what for what, _, _ in USES), "power")
    return Table(
        "Each part: its best balance in the limits, in shares of the part's own limits",
        (*columns, "SI-SDR lost", "least lost", "in limits"),
        tuple((row.part.name, *_cells(row, results)) for row in part_rows(results)),
        frozenset({5, 6}),
    )


def _cells(row: PartRow, results: Record) -> Iterator[Content]:
    if row.best is None:
        yield from (_nothing_words(results), *[DASH] * 6, fit_mark(False))
        return
    yield row.best.get("name") or f"none; {row.best['id']} of the front"
    yield from (bar(use, row.best, row.part) for use in USES)
    yield numbers.milliwatts(row.best["estimates"].get("average_power_mw"))
    yield f"{_loss(row.best)}{' predicted' if _is_predicted(row.best) else ''}"
    yield _least_loss(row, results)
    yield fit_mark(row.is_enough)


def _nothing_words(results: Record) -> str:
    """What to say of a part without a pick and without a point of the front."""
    room = ((results["study"].get("picks") or {}).get("count", 0)) > len(parts_of(results))
    return "nothing in the limits" if room else "no pick"


def _least_loss(row: PartRow, results: Record) -> str:
    good = [pick for pick in row.picks if in_limits(pick, results)]
    least = min(good, key=lambda pick: float(loss_db(pick) or 0.0), default=None)
    return DASH if least is None else f"{numbers.decibels(loss_db(least))} ({least['name']})"
