"""Which parts of a shortlist are enough for the network, and what that costs in quality."""

from __future__ import annotations

from dataclasses import dataclass

from npuexplore.report import numbers
from npuexplore.report.front_drawing import by_part
from npuexplore.report.html import Content, element
from npuexplore.report.parts import Part, listed, own_of, parts_of, points_of
from npuexplore.report.tables import DASH, USES, Table, bar, fit_mark, part_dot
from npuexplore.report.verdict import best_of, in_limits
from npuexplore.report.words import Record, achieved_loss_db, loss_db, network_name

COSTS = (USES[-1], *USES[:-1])
POWER = "average_power_mw"
MOST_FIGURES = 3
"""Parts whose figures have room in a headline."""


@dataclass(frozen=True)
class PartRow:
    """What a study found on one part."""

    part: Part
    picks: tuple[Record, ...]
    best: Record | None
    """Its best pick; where none fits the fastest point of its front."""
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
    points = [point for point in own_of(part, points_of(results), results) if point["feasible"]]
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


def beaten_parts(results: Record) -> str:
    """Which parts have picks in the limits and no point of the front; nothing where there is none."""
    beaten = [
        row.part.name
        for row in part_rows(results)
        if row.picks and not own_of(row.part, results["front"], results)
    ]
    if not beaten:
        return ""
    names = listed(beaten, joint="or")
    return f"No plan on {names} is on it: plans on other parts are as good or better in all of these."


def parts_table(results: Record) -> Table:
    """Each part with its best pick, and the least loss of all its picks within the limits."""
    rows = part_rows(results)
    look = by_part([row.part.name for row in rows])
    has_power = any(row.part.dense["estimates"].get(POWER) is not None for row in rows)
    columns = ("best pick", "enough", *(what for what, _, _ in COSTS), *(["power"] * has_power))
    columns = (*columns, "SI-SDR lost", "least lost")
    cells = [(part_dot(row.part.name, look), _cells(row, results)) for row in rows]
    return Table(
        "Each part: its best balance in the limits, in shares of the part's own limits",
        ("part", *columns),
        tuple((name, *(own.get(column, DASH) for column in columns)) for name, own in cells),
        frozenset(place for place, column in enumerate(columns, 1) if column in ("power", "SI-SDR lost")),
    )


def _cells(row: PartRow, results: Record) -> dict[str, Content]:
    """By column; what is not known of a part without a pick is left out."""
    if (best := row.best) is None:
        return {"enough": fit_mark(False), "best pick": _nothing_words(results)}
    return {
        "enough": fit_mark(row.is_enough),
        "best pick": best.get("name") or f"none; {best['id']} of the front",
        **{use[0]: bar(use, best, row.part) for use in COSTS},
        "power": numbers.milliwatts(best["estimates"].get(POWER)),
        "SI-SDR lost": f"{_loss(best)}{' predicted' if _is_predicted(best) else ''}",
        "least lost": _least_loss(row, results),
    }


def _nothing_words(results: Record) -> str:
    """What to say of a part without a pick and without a point of the front."""
    room = ((results["study"].get("picks") or {}).get("count", 0)) > len(parts_of(results))
    return "nothing in the limits" if room else "no pick"


def _least_loss(row: PartRow, results: Record) -> Content:
    good = [pick for pick in row.picks if in_limits(pick, results)]
    least = min(good, key=lambda pick: float(loss_db(pick) or 0.0), default=None)
    if least is None:
        return DASH
    by = "" if least is row.best else element("span", f"by {least['name']}", style="display:block")
    return [element("span", numbers.decibels(loss_db(least)), style="white-space:nowrap"), by]
