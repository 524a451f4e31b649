"""The tables of the page: rows of formatted cells from records, and their HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from npuexplore.report import numbers
from npuexplore.report.front_drawing import Look, by_part
from npuexplore.report.html import Content, Html, element
from npuexplore.report.parts import Part, is_shortlist, networks_on, part_of, parts_of
from npuexplore.report.verdict import in_limits, structure_rows
from npuexplore.report.words import (
    Record,
    asked_skip_rate,
    fits_all,
    layer_words,
    least_skip_rate,
    loss_db,
    plan_words,
)

DASH = "–"
REAL_CYCLES = "cycles_of_real_weights"
"""Key of a layer whose cycles depend on which of its weights are zero."""


@dataclass(frozen=True)
class Table:
    """A table as text: the first column heads the row, `numeric` columns are aligned right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Content, ...], ...]
    numeric: frozenset[int] = frozenset()


def structure_dot(structure: str) -> Html:
    """A structure's name with its colour."""
    known = structure if structure in ("weight", "block", "unit", "two_four", "mixed") else "dense"
    return element("span", structure, class_=f"structure {known}")


def part_dot(part: str, look: Look) -> Html:
    """A part's name with its colour."""
    dot = element("span", "● ", style=f"color:{look.colours[part]}")
    return element("span", dot, part, style="white-space:nowrap")


def structures_table(results: Record) -> Table:
    """Weight, block or unit: the best pick of each."""
    rows: list[tuple[Content, ...]] = []
    found = structure_rows(results)
    for row in found:
        if row.pick is None:
            rows.append((structure_dot(row.structure), "no pick", *[DASH] * 6))
            continue
        estimates, dense = row.pick["estimates"], part_of(row.pick, results).dense["estimates"]
        rows.append(
            (
                structure_dot(row.structure),
                plan_words(row.pick["plan"]),
                numbers.frame_time(estimates),
                numbers.times(dense["latency_ms"] / estimates["latency_ms"]),
                numbers.kilobytes(estimates["flash_bytes"]),
                numbers.milliwatts(estimates.get("average_power_mw")),
                numbers.decibels(loss_db(row.pick)),
                fit_mark(in_limits(row.pick, results)),
            )
        )
    table = Table(
        "The fastest pick of each structure that fits and keeps the quality",
        ("structure", "plan", "time", "against dense", "flash", "power", "SI-SDR lost", "in limits"),
        tuple(rows),
        frozenset({2, 3, 4, 5, 6}),
    )
    return with_parts(table, [row.pick for row in found], results, at=2)


def with_parts(table: Table, records: Sequence[Record | None], results: Record, *, at: int = 1) -> Table:
    """In a shortlist the same with a column of the part of each row's record, where it has one."""
    if not is_shortlist(results):
        return table
    looks = by_part([part.name for part in parts_of(results)])
    names = [DASH if record is None else part_dot(part_of(record, results).name, looks) for record in records]
    return Table(
        table.caption,
        (*table.columns[:at], "part", *table.columns[at:]),
        tuple((*row[:at], name, *row[at:]) for row, name in zip(table.rows, names, strict=True)),
        frozenset(column + 1 for column in table.numeric),
    )


def picks_table(results: Record) -> Table:
    """Every pick, predicted against achieved."""
    picks = results["picks"]
    table = _picks_table(picks)
    return with_parts(
        _with_skips(table, picks) if any(map(asked_skip_rate, picks)) else table, picks, results
    )


def _with_skips(table: Table, picks: Sequence[Record]) -> Table:
    """The same with the share of frames that plans skip, and that networks really do."""
    cells = []
    for pick in picks:
        least = least_skip_rate(pick)
        done = DASH if least is None else numbers.percent(least[1])
        mean = numbers.milliseconds(pick["estimates"].get("mean_latency_ms"))
        cells.append((numbers.percent(asked_skip_rate(pick)), done, mean))
    columns = (*table.columns, "frames skipped, plan", "frames skipped, real", "mean time")
    rows = tuple((*row, *own) for row, own in zip(table.rows, cells, strict=True))
    return Table(table.caption, columns, rows, frozenset(range(2, len(columns))))


def _picks_table(picks: Sequence[Record]) -> Table:
    rows = tuple(
        (
            pick["name"],
            structure_dot(pick["structure"]),
            numbers.frame_time(pick["estimates"]),
            numbers.kilobytes(pick["predicted"].get("weight_bytes")),
            numbers.kilobytes(_achieved(pick).get("weight_bytes")),
            numbers.percent(_achieved(pick).get("zeros_frac")),
            numbers.decibels(pick["predicted"]["quality_loss_db"]),
            numbers.decibels(_achieved(pick).get("quality_loss_db")),
            numbers.count(pick.get("steps")),
        )
        for pick in picks
    )
    return Table(
        "Predicted by the search, and achieved after retraining",
        (
            "pick",
            "structure",
            "time",
            "weights, predicted",
            "weights, real",
            "zeros",
            "SI-SDR lost, predicted",
            "SI-SDR lost, achieved",
            "steps",
        ),
        rows,
        frozenset(range(2, 9)),
    )


def _achieved(pick: Record) -> Record:
    achieved: Record = pick.get("achieved") or {}
    return achieved


def quality_table(results: Record, evaluation: str) -> Table:
    """SDR and SI-SDR in, out and gained on one evaluation set, for the baseline and each pick."""
    described = results["evaluations"][evaluation]
    networks = [("float baseline", None, results["baseline"].get("quality") or {})]
    networks += [(pick["name"], pick, _achieved(pick).get("quality") or {}) for pick in results["picks"]]
    networks = [network for network in networks if network[2].get(evaluation)]
    rows = tuple((name, *_quality_cells(quality[evaluation])) for name, _, quality in networks)
    caption = (
        f"{evaluation}: {described.get('what', evaluation)} ({described.get('items', 'unknown')} mixtures)"
    )
    columns = ("network", "SDR in", "SDR out", "SDR gain", "SI-SDR in", "SI-SDR out", "SI-SDR gain")
    table = Table(caption, columns, rows, frozenset(range(1, 7)))
    return with_parts(table, [pick for _, pick, _ in networks], results)


def _quality_cells(quality: Record) -> list[str]:
    cells = []
    for measure in ("sdr", "si_sdr"):
        cells += [
            numbers.decibels(quality.get(f"{measure}_in_db")),
            numbers.decibels(quality.get(f"{measure}_out_db")),
            numbers.gain(quality.get(f"{measure}_improvement_db")),
        ]
    return cells


def layers_table(name: str, record: Record) -> Table:
    """A network layer by layer: what was done to it, its bytes, cycles and what bounds it."""
    layers = record["layers"]
    plan_layers = (record.get("plan") or {}).get("layers", {})
    rows = [_layer_row(layer, plan_layers.get(layer["name"])) for layer in layers]
    totals = record["estimates"]
    whole = ("all", DASH, DASH, DASH, numbers.kilobytes(totals["weight_bytes"]), _real_bytes(record))
    rows.append((*whole, numbers.count(totals["cycles"]), "100 %", DASH))
    rows = [
        (*row[:7], numbers.percent(layer["cycles"] / totals["cycles"]), row[8])
        for row, layer in zip(rows[:-1], layers, strict=True)
    ] + rows[-1:]
    table = Table(
        f"{name}, layer by layer",
        (
            "layer",
            "plan",
            "zeros",
            "weights kept",
            "bytes, predicted",
            "bytes, real",
            "cycles",
            "share",
            "bound by",
        ),
        tuple(rows),
        frozenset(range(2, 8)),
    )
    if not any(REAL_CYCLES in layer for layer in layers):
        return table
    return _with_real_cycles(table, layers, predicted=totals["cycles"])


def _with_real_cycles(table: Table, layers: Sequence[Record], *, predicted: int) -> Table:
    """The same with what real weights take, where that depends on which of them are zero."""
    at = table.columns.index("cycles")
    real = [layer.get(REAL_CYCLES, layer["cycles"]) for layer in layers]
    more = sum(cycles - layer["cycles"] for cycles, layer in zip(real, layers, strict=True))
    cells = [numbers.count(cycles) for cycles in (*real, predicted + more)]
    columns = (*table.columns[:at], "cycles, predicted", "cycles, real", *table.columns[at + 1 :])
    rows = tuple((*row[: at + 1], cell, *row[at + 1 :]) for row, cell in zip(table.rows, cells, strict=True))
    return Table(table.caption, columns, rows, frozenset(range(2, 9)))


def _layer_row(layer: Record, choice: Record | None) -> tuple[Content, ...]:
    is_front_end = layer.get("kind") == "front_end"
    plan = "STFT and bands" if is_front_end else layer_words(choice or layer)
    predicted = layer.get("weight_bytes_predicted", layer.get("weight_bytes"))
    real = layer.get("weight_bytes") if "weight_bytes_predicted" in layer else None
    return (
        layer["name"],
        plan,
        DASH if is_front_end else numbers.percent(layer.get("zeros_frac", 0.0)),
        DASH if is_front_end else numbers.count(layer.get("kept_weights", layer.get("kept_macs"))),
        DASH if is_front_end else numbers.kilobytes(predicted),
        DASH if is_front_end or real is None else numbers.kilobytes(real),
        numbers.count(layer["cycles"]),
        "",
        str(layer.get("bound_by", DASH)),
    )


def _real_bytes(record: Record) -> str:
    real = _achieved(record).get("weight_bytes")
    return DASH if real is None else numbers.kilobytes(real)


Use = tuple[str, str, Callable[[float | None], str]]
USES: tuple[Use, ...] = (
    ("flash", "flash_bytes", numbers.kilobytes),
    ("SRAM", "sram_bytes", numbers.kilobytes),
    ("time", "latency_ms", numbers.milliseconds),
)
"""What of a part a network uses: words, quantity and form."""


def limits_table(results: Record, part: Part) -> Table:
    """Use of flash, SRAM and time of the networks on one part, against its limits."""
    rows = [
        (name, *(bar(what, record, part) for what in USES), fit_mark(fits_all(record)))
        for name, record in networks_on(part, results)
    ]
    heads = [
        f"{use} (limit {form(part.limits[key])})" if key in part.limits else use for use, key, form in USES
    ]
    whose = part.name if is_shortlist(results) else "the part"
    return Table(f"What each network uses of {whose}", ("network", *heads, "fits"), tuple(rows))


def bar(use: Use, record: Record, part: Part) -> Content:
    """What a network uses as a bar of its limit, drawn without scripts; the bar is full at the limit."""
    what, quantity, form = use
    value, limit = record["estimates"][quantity], part.limits.get(quantity)
    if not limit:
        return form(value)
    used = value / limit
    fill = element("span", class_="over" if used > 1 else None, style=f"width:{min(100.0, 100 * used):.1f}%")
    label = element("span", form(value), " ", element("b", numbers.percent(used)), class_="use")
    return [
        label,
        element("span", fill, class_="bar", role="img", aria_label=f"{numbers.percent(used)} of {what}"),
    ]


def fit_mark(fits: bool) -> Html:
    """Yes or no, in its colour."""
    return element("span", "yes" if fits else "no", class_="yes" if fits else "no")


def sources_table(results: Record, part: Part) -> Table:
    """Where a part's figures come from."""
    rows = tuple(
        (", ".join(entry.get("of", [])), entry.get("source", DASH), entry.get("cite", DASH))
        for entry in part.sources
    )
    whose = f"the figures of {part.name}" if is_shortlist(results) else "the part's figures"
    return Table(f"Where {whose} come from", ("figures", "known by", "source"), rows)


def facts_table(caption: str, facts: Sequence[tuple[str, str]]) -> Table:
    """Names and values."""
    return Table(caption, ("what", "value"), tuple(facts))


def table_html(table: Table, *, class_: str = "") -> Html:
    """A table that scrolls sideways within itself where the page is narrow."""
    head = element(
        "tr",
        [element("th", title, scope="col", class_=_kind(table, i)) for i, title in enumerate(table.columns)],
    )
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            [element("td", cell, class_=_kind(table, i)) for i, cell in enumerate(row[1:], start=1)],
        )
        for row in table.rows
    ]
    inner = element(
        "table",
        element("caption", element("span", table.caption)),
        element("thead", head),
        element("tbody", body),
    )
    return element("div", inner, class_=f"scroll {class_}".strip(), tabindex="0")


def _kind(table: Table, column: int) -> str | None:
    return "number" if column in table.numeric else None
