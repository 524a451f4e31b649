"""The head of the page: the answer in words, and the figures behind it."""

from __future__ import annotations

from typing import Any

from npuexplore.report import numbers
from npuexplore.report.html import Html, element
from npuexplore.report.parts import is_shortlist, part_of
from npuexplore.report.shortlist import comparison, parts_table, whose_picks
from npuexplore.report.tables import structures_table, table_html
from npuexplore.report.verdict import headline, improvement_db, recommended_pick, supporting_sentences
from npuexplore.report.words import Record, achieved_loss_db, loss_db


def opening(results: Record, title: str) -> Html:
    """The answer in words, its figures, and weight, block or unit side by side."""
    study, several = results["study"], is_shortlist(results)
    sentences = supporting_sentences(results)
    if several:
        sentences = [headline(results), whose_picks(results), *sentences]
    return element(
        "header",
        element("p", "npuexplore study", class_="kicker"),
        element("h1", title),
        element("p", comparison(results) if several else headline(results), class_="verdict"),
        element("p", str(study["description"]), class_="about") if study.get("description") else "",
        table_html(parts_table(results)) if several else _tiles(results),
        element("ul", [element("li", sentence) for sentence in sentences if sentence]),
        table_html(structures_table(results)) if results["picks"] else "",
    )


def _tiles(results: Record) -> Html | str:
    """The figures of the recommended pick; nothing without one."""
    if (best := recommended_pick(results)) is None:
        return ""
    part = part_of(best, results)
    estimates, dense, limits = best["estimates"], part.dense["estimates"], part.limits
    quality = (best.get("achieved") or {}).get("quality") or {}
    tiles = [
        (
            "time per frame",
            numbers.milliseconds(estimates["latency_ms"]),
            _of(numbers.milliseconds, limits.get("latency_ms")),
        ),
        (
            "flash",
            numbers.kilobytes(estimates["flash_bytes"]),
            _of(numbers.kilobytes, limits.get("flash_bytes")),
        ),
        (
            "SRAM",
            numbers.kilobytes(estimates["sram_bytes"]),
            _of(numbers.kilobytes, limits.get("sram_bytes")),
        ),
        ("SI-SDR gain", numbers.gain(improvement_db(quality, "si_sdr")), "unseen voice and noise"),
        (
            "SI-SDR lost",
            numbers.decibels(loss_db(best)),
            "predicted" if achieved_loss_db(best) is None else "against the float baseline",
        ),
    ]
    if estimates.get("average_power_mw") is not None:
        was = f"dense {numbers.milliwatts(dense.get('average_power_mw'))}"
        tiles.append(("average power", numbers.milliwatts(estimates["average_power_mw"]), was))
    return element(
        "div",
        [
            element(
                "div",
                element("span", name, class_="name"),
                element("strong", value),
                element("span", note, class_="note"),
                class_="tile",
            )
            for name, value, note in tiles
        ],
        class_="tiles",
        role="group",
        aria_label=f"Pick {best['name']}",
    )


def _of(form: Any, limit: float | None) -> str:
    return f"of {form(limit)}" if limit else "limit unknown"
