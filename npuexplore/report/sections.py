"""The sections of the page, from the verdict to how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from npuexplore.report import drawing, figures, numbers
from npuexplore.report.agreed import agreement_words, rounds_table
from npuexplore.report.html import Content, Html, element, script_json
from npuexplore.report.searched import who_searched
from npuexplore.report.tables import (
    facts_table,
    layers_table,
    limits_table,
    picks_table,
    quality_table,
    sources_table,
    structures_table,
    table_html,
)
from npuexplore.report.verdict import headline, improvement_db, recommended_pick, supporting_sentences
from npuexplore.report.words import (
    Record,
    achieved_loss_db,
    fits_all,
    limits_of,
    loss_db,
    loss_words,
    plan_words,
)

SIGNIFICANT_DIGITS = 6

OBJECTIVE_WORDS = {
    "latency_ms": "time",
    "mean_latency_ms": "mean time",
    "cycles": "cycles",
    "flash_bytes": "flash",
    "sram_bytes": "SRAM",
    "energy_uj": "energy",
    "average_power_mw": "power",
    "quality_loss_db": "loss of quality",
}

MARKS = {"dot": "●", "ring": "○", "diamond": "◆", "diamond-open": "◇", "star": "★"}
"""How the marks of a figure look in its key."""


def _section(identity: str, title: str, *content: Content) -> Html:
    return element("section", element("h2", title), *content, id=identity)


def _figure(
    identity: str, description: str, spec: Mapping[str, Any], *, key: Sequence[tuple[str, str, str]]
) -> Html:
    """A place for a figure, its data, and what to read where scripts are off."""
    place = element(
        "div",
        element("noscript", "This figure needs scripts; the tables hold its numbers."),
        class_="plot",
        data_figure=f"figure-{identity}",
        role="img",
        aria_label=description,
        style=f"min-height:{spec['layout']['height']}px",
    )
    caption = element("figcaption", description)
    marks = [
        element("span", element("i", MARKS[mark], style=f"color:{colour}"), " ", words)
        for mark, colour, words in key
    ]
    data = script_json(f"figure-{identity}", _rounded(spec))
    return element("figure", element("p", marks, class_="key"), place, data, caption)


def _rounded(value: Any) -> Any:
    """Numbers to six significant digits: enough to draw, small, and the same everywhere."""
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def opening(results: Record, title: str) -> Html:
    """The answer in words, its figures, and weight, block or unit side by side."""
    study = results["study"]
    best = recommended_pick(results)
    return element(
        "header",
        element("p", "npuexplore study", class_="kicker"),
        element("h1", title),
        element("p", headline(results), class_="verdict"),
        element("p", str(study["description"]), class_="about") if study.get("description") else "",
        _tiles(results, best) if best else "",
        element("ul", [element("li", sentence) for sentence in supporting_sentences(results)]),
        table_html(structures_table(results)) if results["picks"] else "",
    )


def _tiles(results: Record, best: Record) -> Html:
    estimates, dense, limits = best["estimates"], results["baseline"]["estimates"], limits_of(results)
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


def fitting(results: Record) -> Html:
    """Flash, SRAM and time of every network against the limits."""
    names = [pick["name"] for pick in results["picks"] if fits_all(pick)]
    words = f"{len(names)} of {len(results['picks'])} picks keep flash, SRAM and deadline"
    note = (
        "Flash counts weights, tables and code; SRAM counts state, activations and buffers; "
        "time is that of the worst frame."
    )
    return _section(
        "fits",
        "What fits",
        element("p", f"{words}. {note}"),
        table_html(limits_table(results), class_="bars"),
    )


def front(results: Record) -> Html:
    """The front in time and in flash."""
    objectives = ", ".join(OBJECTIVE_WORDS.get(name, name) for name in results["objectives"])
    words = who_searched(results, objectives)
    drawn = [
        _figure(
            f"front-{quantity}",
            description,
            drawing.draw_front(
                quantity,
                figures.front_points(results, quantity),
                figures.pick_points(results, quantity),
                baseline=(
                    results["baseline"]["estimates"][quantity] * figures.COST_SCALES[quantity],
                    0.0,
                ),
                limits=figures.front_limits(results, quantity),
            ),
            key=drawing.front_key(figures.front_points(results, quantity)),
        )
        for quantity, description in (
            ("latency_ms", "Time per frame against loss of quality. Lower left is better."),
            ("flash_bytes", "Flash against loss of quality, the same plans."),
        )
    ]
    legend = (
        "Open diamonds are the picks as predicted, filled ones as achieved after retraining. "
        "A plan's colour is the structure of most of its weights; crosses break a limit."
    )
    return _section("front", "The front", element("p", words, " ", legend), drawn)


def picks(results: Record) -> Html:
    """What was predicted of each pick and what retraining made of it."""
    pairs = figures.loss_pairs(results)
    words = (
        "Predictions come from one-shot compression, layer by layer, "
        "and from what retraining is expected to recover."
    )
    agreed, rounds = agreement_words(results), rounds_table(results)
    figure = (
        _figure(
            "losses",
            "Predicted (open) and achieved (filled) loss of each pick. Left is better.",
            drawing.draw_losses(pairs, limit_db=limits_of(results).get("quality_loss_db")),
            key=[("ring", "var(--ink)", "predicted"), ("dot", "var(--ink)", "achieved")],
        )
        if pairs
        else element("p", "No pick has been retrained yet.")
    )
    reasons = element(
        "dl",
        [
            [element("dt", pick["name"]), element("dd", plan_words(pick["plan"]), ". ", pick["why"])]
            for pick in results["picks"]
        ],
    )
    return _section(
        "picks",
        "Picks: predicted and achieved",
        element("p", f"{words} {agreed}".strip()),
        table_html(picks_table(results)),
        "" if rounds is None else table_html(rounds),
        figure,
        reasons,
    )


def quality(results: Record) -> Html:
    """SDR and SI-SDR of every network on every set."""
    sets = [name for name in ("unseen", "pairs") if name in results["evaluations"]]
    sets += [name for name in results["evaluations"] if name not in sets]
    tables = [quality_table(results, name) for name in sets]
    note = (
        "SDR allows a 512-tap filter (BSSEval v3), SI-SDR only a change of scale; a gain is out minus in. "
        "Loss of quality is the SI-SDR gain of the float baseline minus that of the pick, on the set unseen."
    )
    if "pairs" not in results["evaluations"]:
        note += " No recorded clean and noisy pairs were given, so there is no set of pairs."
    return _section(
        "quality", "Quality", element("p", note), [table_html(table) for table in tables if table.rows]
    )


def layers(results: Record) -> Html:
    """Where the time goes, layer by layer."""
    times = figures.time_by_layer(results)
    content: list[Content] = []
    if times["networks"]:
        spec = drawing.draw_times(times["networks"], times["layers"], times["ms"])
        key = drawing.layer_key(times["layers"])
        content.append(_figure("times", "Where the time of a frame goes.", spec, key=key))
    best = recommended_pick(results)
    content += [_layer_details(pick["name"], pick, is_open=pick is best) for pick in results["picks"]]
    if results["baseline"].get("layers"):
        content.append(_layer_details("dense baseline", results["baseline"], is_open=False))
    return _section("layers", "Layer by layer", content)


def _layer_details(name: str, record: Record, *, is_open: bool) -> Html:
    if not record.get("layers"):
        return Html("")
    loss = achieved_loss_db(record)
    note = "" if loss is None else f", {loss_words(loss)}"
    summary = f"{name}: {numbers.milliseconds(record['estimates']['latency_ms'])}{note}"
    return element(
        "details",
        element("summary", summary),
        table_html(layers_table(name, record)),
        open="" if is_open else None,
    )


def sensitivity(results: Record) -> Html | str:
    """What each layer loses to each structure."""
    curves = figures.sensitivity_curves(results)
    if not curves:
        return ""
    top = max(max(y) for layers in curves.values() for _, y in layers.values())
    measured = [layer for layers in curves.values() for layer in layers]
    order = list(dict.fromkeys([*figures.time_by_layer(results)["layers"], *measured]))
    drawn = [
        element(
            "div",
            element("h3", name),
            _figure(
                f"sensitivity-{index}",
                f"One-shot loss under {name} sparsity, by layer (int8).",
                drawing.draw_sensitivity(layers, order=order, top_db=max(top, 0.1)),
                key=[mark for mark in drawing.layer_key(order) if mark[2] in layers],
            ),
        )
        for index, (name, layers) in enumerate(curves.items())
    ]
    note = (
        "Each layer of the trained baseline was compressed alone, without retraining, on calibration audio. "
        "A steep curve marks a layer that the search treats gently."
    )
    if held := figures.skip_losses(results):
        losses = ", ".join(f"{numbers.percent(rate)} {numbers.decibels(loss)}" for rate, loss in held)
        note += f" States held in an evenly spread share of the frames, without a gate: {losses} lost."
    return _section("sensitivity", "Sensitivity", element("p", note), element("div", drawn, class_="facets"))


def assumptions(results: Record) -> Html:
    """What the estimates take for granted, and where the part's figures come from."""
    assumptions = results.get("assumptions") or results["baseline"].get("assumptions") or []
    sources = sources_table(results)
    content: list[Content] = (
        [element("ul", [element("li", str(each)) for each in assumptions])] if assumptions else []
    )
    if sources.rows:
        content.append(table_html(sources, class_="prose"))
    if results["baseline"]["estimates"].get("energy_uj") is None:
        content.append(
            element("p", "Energy and power are unknown: the profile has no sourced figures for them.")
        )
    return _section("assumptions", "Assumptions and sources", content or element("p", "None were recorded."))


def making(results: Record) -> Html:
    """Command, seeds and versions that make the same results again."""
    study, engine = results["study"], results["engine"]
    data = " --data DIR" if study.get("data") == "recorded" else ""
    command = f"npuexplore study run {study['name']}{data}"
    facts = [
        ("seeds", _plain(results.get("seeds", study.get("seed")))),
        ("data", _plain(results.get("data", study.get("data")))),
        *_origin_facts(results),
        ("front", f"SHA-256 {engine.get('front_sha256', 'not recorded')}"),
        ("hypervolume", _plain(engine.get("hypervolume_frac"))),
        *((name, _plain(value)) for name, value in (results.get("environment") or {}).items()),
    ]
    table = facts_table("Environment", facts)
    return _section(
        "making",
        "How to make this again",
        element("pre", element("code", command)),
        table_html(table, class_="prose"),
    )


def _origin_facts(results: Record) -> list[tuple[str, str]]:
    """How the baseline was trained, and what it started from where that was a trained network."""
    baseline = results["baseline"]
    start, steps = baseline.get("start"), f"{numbers.count(baseline.get('steps'))} training steps"
    if start is None:
        return [("baseline", steps)]
    taken = results["study"]["baseline"]["steps"] == 0
    trained = f"{start['network']}, {numbers.count(start.get('steps'))} training steps, {start['digest']}"
    return [
        ("baseline", "the start as it is" if taken else f"{steps} on from the start"),
        ("start", trained),
        ("learned from", "; ".join(baseline.get("credits") or []) or "not recorded"),
    ]


def _plain(value: Any) -> str:
    if value is None:
        return "not recorded"
    if isinstance(value, float):
        return numbers.significant(value, digits=4)
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
