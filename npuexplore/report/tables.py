"""The tables of the page: rows of formatted cells from records, and their HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from npuexplore.report import numbers
from npuexplore.report.html import Content, Html, element
from npuexplore.report.verdict import keeps_quality, structure_rows
from npuexplore.report.words import (
    Record,
    asked_skip_rate,
    fits_all,
    layer_words,
    least_skip_rate,
    limits_of,
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


def structures_table(results: Record) -> Table:
    """Weight, block or unit: the best pick of each."""
    rows: list[tuple[Content, ...]] = []
    dense = results["baseline"]["estimates"]
    for row in structure_rows(results):
        if row.pick is None:
            rows.append((structure_dot(row.structure), "no pick", *[DASH] * 6))
            continue
        estimates = row.pick["estimates"]
        rows.append(
            (
                structure_dot(row.structure),
                plan_words(row.pick["plan"]),
                numbers.frame_time(estimates),
                numbers.times(dense["latency_ms"] / estimates["latency_ms"]),
                numbers.kilobytes(estimates["flash_bytes"]),
                numbers.milliwatts(estimates.get("average_power_mw")),
                numbers.decibels(loss_db(row.pick)),
                _fit_mark(fits_all(row.pick) and keeps_quality(row.pick, results)),
            )
        )
    return Table(
        "The fastest pick of each structure that fits and keeps the quality",
        ("structure", "plan", "time", "against dense", "flash", "power", "SI-SDR lost", "in limits"),
        tuple(rows),
        frozenset({2, 3, 4, 5, 6}),
    )


def picks_table(results: Record) -> Table:
    """Every pick, predicted against achieved."""
    table = _picks_table(results["picks"])
    return _with_skips(table, results["picks"]) if any(map(asked_skip_rate, results["picks"])) else table


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
    networks = [("float baseline", results["baseline"].get("quality") or {})]
    networks += [(pick["name"], _achieved(pick).get("quality") or {}) for pick in results["picks"]]
    rows = tuple(
        (name, *_quality_cells(quality[evaluation])) for name, quality in networks if quality.get(evaluation)
    )
    caption = (
        f"{evaluation}: {described.get('what', evaluation)} ({described.get('items', 'unknown')} mixtures)"
    )
    columns = ("network", "SDR in", "SDR out", "SDR gain", "SI-SDR in", "SI-SDR out", "SI-SDR gain")
    return Table(caption, columns, rows, frozenset(range(1, 7)))


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


def limits_table(results: Record) -> Table:
    """Use of flash, SRAM and time of every network, against the limits."""
    limits = limits_of(results)
    rows = []
    for name, record in [("dense baseline", results["baseline"])] + [
        (p["name"], p) for p in results["picks"]
    ]:
        totals = record["estimates"]
        rows.append(
            (
                name,
                _bar(
                    "flash",
                    numbers.kilobytes(totals["flash_bytes"]),
                    totals["flash_bytes"],
                    limits.get("flash_bytes"),
                ),
                _bar(
                    "SRAM",
                    numbers.kilobytes(totals["sram_bytes"]),
                    totals["sram_bytes"],
                    limits.get("sram_bytes"),
                ),
                _bar(
                    "time",
                    numbers.milliseconds(totals["latency_ms"]),
                    totals["latency_ms"],
                    limits.get("latency_ms"),
                ),
                _fit_mark(fits_all(record)),
            )
        )
    heads = [
        _limit_head("flash", numbers.kilobytes(limits["flash_bytes"]) if "flash_bytes" in limits else None),
        _limit_head("SRAM", numbers.kilobytes(limits["sram_bytes"]) if "sram_bytes" in limits else None),
        _limit_head("time", numbers.milliseconds(limits["latency_ms"]) if "latency_ms" in limits else None),
    ]
    return Table("What each network uses of the part", ("network", *heads, "fits"), tuple(rows))


def _limit_head(what: str, limit: str | None) -> str:
    return f"{what} (limit {limit})" if limit else what


def _bar(what: str, text: str, value: float, limit: float | None) -> Content:
    """A value as a bar of its limit, drawn without scripts; the bar is full at the limit."""
    if not limit:
        return text
    used = value / limit
    fill = element("span", class_="over" if used > 1 else None, style=f"width:{min(100.0, 100 * used):.1f}%")
    label = element("span", text, " ", element("b", numbers.percent(used)), class_="use")
    return [
        label,
        element("span", fill, class_="bar", role="img", aria_label=f"{numbers.percent(used)} of {what}"),
    ]


def _fit_mark(fits: bool) -> Html:
    return element("span", "yes" if fits else "no", class_="yes" if fits else "no")


def sources_table(results: Record) -> Table:
    """Where the part's figures come from."""
    rows = tuple(
        (", ".join(entry.get("of", [])), entry.get("source", DASH), entry.get("cite", DASH))
        for entry in (results.get("profile") or {}).get("sources") or []
    )
    return Table("Where the part's figures come from", ("figures", "known by", "source"), rows)


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
