"""The sections of the page, from what fits to how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from npuexplore.report import drawing, figures, front_drawing, numbers
from npuexplore.report.agreed import agreement_words, rounds_table
from npuexplore.report.html import Content, Html, element, script_json
from npuexplore.report.parts import (
    Part,
    is_shortlist,
    on_part,
    part_of,
    parts_of,
    quality_limit_db,
)
from npuexplore.report.searched import who_searched
from npuexplore.report.shortlist import beaten_parts
from npuexplore.report.tables import (
    facts_table,
    layers_table,
    limits_table,
    picks_table,
    quality_table,
    sources_table,
    table_html,
)
from npuexplore.report.verdict import recommended_pick
from npuexplore.report.words import (
    Record,
    achieved_loss_db,
    fits_all,
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
MARKS |= {"circle": "●", "square": "■", "triangle-up": "▲", "triangle-down": "▼", "cross": "✚"}
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
        [table_html(limits_table(results, part), class_="bars") for part in parts_of(results)],
    )


def front(results: Record) -> Html:
    """The front in time and in flash."""
    objectives = ", ".join(OBJECTIVE_WORDS.get(name, name) for name in results["objectives"])
    words = " ".join(filter(None, [who_searched(results, objectives), beaten_parts(results)]))
    drawn = [
        _front_figure(results, "latency_ms", "Time per frame against loss of quality. Lower left is better."),
        _front_figure(results, "flash_bytes", "Flash against loss of quality, the same plans."),
    ]
    told = "the structure of most of its weights"
    whose = f"its part, its shape {told}" if is_shortlist(results) else told
    beaten = " Of each part its own front is drawn." if results.get("beaten") else ""
    legend = (
        "Open diamonds are the picks as predicted, filled ones as achieved after retraining. "
        f"A plan's colour is {whose}; crosses break a limit.{beaten}"
    )
    return _section("front", "The front", element("p", words, " ", legend), drawn)


def _look(results: Record) -> front_drawing.Look:
    names = figures.group_names(results)
    return front_drawing.by_part(names) if is_shortlist(results) else front_drawing.BY_STRUCTURE


def _front_figure(results: Record, quantity: str, description: str) -> Html:
    groups, look = figures.front_points(results, quantity), _look(results)
    spec = front_drawing.draw_front(
        quantity,
        groups,
        figures.pick_points(results, quantity),
        baselines=figures.baseline_points(results, quantity),
        limits=figures.front_limits(results, quantity),
        look=look,
    )
    return _figure(f"front-{quantity}", description, spec, key=front_drawing.front_key(groups, look))


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
            drawing.draw_losses(pairs, limit_db=quality_limit_db(results), colours=_look(results).colours),
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
    networks = [(pick["name"], part_of(pick, results), pick) for pick in results["picks"]]
    networks += [("dense baseline", part, part.dense) for part in parts_of(results)]
    content += [
        _layer_details(on_part(name, part, results), record, is_open=record is best)
        for name, part, record in networks
    ]
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
    """What the estimates take for granted, and where each part's figures come from."""
    said = [str(each) for each in results.get("assumptions") or results["baseline"].get("assumptions") or []]
    shared, content = said, list[Content]()
    for part in parts_of(results):
        own = [each for each in said if each.startswith(f"{part.name}: ")] if is_shortlist(results) else []
        shared = [each for each in shared if each not in own]
        content += _known_of(part, [each.removeprefix(f"{part.name}: ") for each in own], results)
    content = [*_listed(shared), *content]
    return _section("assumptions", "Assumptions and sources", content or element("p", "None were recorded."))


def _known_of(part: Part, own: Sequence[str], results: Record) -> list[Content]:
    """What is assumed of one part, its sources, and whether its energy is unknown; folded in a shortlist."""
    content, sources = _listed(own), sources_table(results, part)
    if sources.rows:
        content.append(table_html(sources, class_="prose"))
    if part.dense["estimates"].get("energy_uj") is None:
        what = on_part("Energy and power", part, results)
        content.append(element("p", f"{what} are unknown: the profile has no sourced figures for them."))
    if not content or not is_shortlist(results):
        return content
    return [element("details", element("summary", f"Of {part.name} alone"), content)]


def _listed(sentences: Sequence[str]) -> list[Content]:
    return [element("ul", [element("li", each) for each in sentences])] if sentences else []


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
