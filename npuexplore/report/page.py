"""The page an engineer reads first: one offline HTML file from the results of a study."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from npuexplore.report import searched, sections
from npuexplore.report.competed import competition
from npuexplore.report.html import Html, element
from npuexplore.report.opening import opening
from npuexplore.report.parts import parts_words
from npuexplore.report.words import network_name

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Nothing is fetched from anywhere: the page is whole."""


def render_page(results: Mapping[str, Any]) -> str:
    """One HTML file, complete in itself, from a study's results (`npuexplore.results/1`).

    Equal results give equal bytes. Every name in them is escaped. Optional parts that are missing
    (`pairs`, energy, sensitivity, achieved quality) are left out or said to be unknown.
    """
    study = results["study"]
    title = f"{study['name']}: {network_name(results)} on {parts_words(results)}"
    content = [
        opening(results, title),
        sections.fitting(results),
        sections.front(results),
        sections.picks(results),
        competition(results),
        sections.quality(results),
        sections.layers(results),
        sections.sensitivity(results),
        searched.search(results),
        sections.assumptions(results),
        sections.making(results),
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(_asset("page.css"))),
    )
    scripts = [element("script", Html(_plotly_bundle())), element("script", Html(_asset("page.js")))]
    body = element("body", element("main", content), scripts)
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _asset(name: str) -> str:
    return files("npuexplore.report").joinpath("assets", name).read_text(encoding="utf-8")


def _plotly_bundle() -> str:
    """The script that plotly's wheel ships: its only bundle is the full one."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
