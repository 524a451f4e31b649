"""The figure of a front as a plain Plotly dict: plans, picks, dense baselines and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from typing import Any

from npuexplore.report.drawing import COLOURS, SERIES, Figure, layout_of, limit_label, limit_line
from npuexplore.report.figures import axis_ticks, cost_axis, envelope, label_levels

Limit = tuple[str, float, str]
"""Axis, value, and whose limit it is where it is not that of all parts."""

AXIS_TITLES = {"latency_ms": "time per frame (ms)", "flash_bytes": "flash (kB)"}
LIMIT_WORDS = {"latency_ms": "deadline", "flash_bytes": "flash limit"}
LABEL_REACH_FRAC = 0.13
"""Width of a pick's label as a share of the x axis."""
PART_COLOURS = tuple(SERIES[index - 1] for index in (2, 4, 5, 6, 3, 7, 8, 1))
SHAPES = {
    "weight": "circle",
    "block": "square",
    "unit": "triangle-up",
    "two_four": "cross",
    "dense": "triangle-down",
}


@dataclass(frozen=True)
class Look:
    """How the points of a front are told apart."""

    colours: Mapping[str, str]
    """Of each group: the structures, or the parts of a shortlist."""
    shapes: Mapping[str, str]
    """Of each structure, where colours tell parts apart."""
    outlined: frozenset[str] = frozenset()
    """Groups that share their colour with another one."""

    def symbols(self, name: str, structures: Sequence[str]) -> list[str]:
        """Plotly's names of the marks of a group's points."""
        suffix = "-open" if name in self.outlined else ""
        return [f"{self.shapes[structure]}{suffix}" for structure in structures]


BY_STRUCTURE = Look(COLOURS, {})


def by_part(names: Sequence[str]) -> Look:
    """Colours for parts, in the order of the study; those beyond the last colour are outlined."""
    colours = {name: PART_COLOURS[index % len(PART_COLOURS)] for index, name in enumerate(names)}
    return Look(colours, SHAPES, frozenset(names[len(PART_COLOURS) :]))


def front_key(groups: Mapping[str, Any], look: Look) -> list[tuple[str, str, str]]:
    """(mark, colour, words) of everything in a front's figure."""
    used = {structure for group in groups.values() for structure in group["structure"]}
    named = look.colours if look.shapes else groups
    return [
        *(("ring" if name in look.outlined else "dot", look.colours[name], name) for name in named),
        *((shape, "var(--muted)", name) for name, shape in look.shapes.items() if name in used),
        ("diamond-open", "var(--ink)", "pick, predicted"),
        ("diamond", "var(--ink)", "pick, retrained"),
        ("star", "var(--ink)", "dense baseline"),
    ]


def draw_front(
    quantity: str,
    groups: Mapping[str, Mapping[str, Sequence[Any]]],
    picks: Sequence[Mapping[str, Any]],
    *,
    baselines: Sequence[Mapping[str, Any]],
    limits: Sequence[Limit],
    look: Look = BY_STRUCTURE,
) -> Figure:
    """Cost against loss of quality, coloured by group, picks named, limits as lines."""
    traces = [trace for name, group in groups.items() for trace in _group_traces(name, group, look)]
    traces += [_pick_trace(picks, "predicted", look), _pick_trace(picks, "achieved", look)]
    traces += [_baseline_trace(each, look) for each in baselines]
    axis = cost_axis([x for trace in traces for x in trace["x"]])
    shown = [limit for limit in limits if limit[0] == "y" or limit[1] <= axis["range"][1]]
    layout = layout_of(AXIS_TITLES[quantity], "SI-SDR lost (dB)", height=460)
    layout["xaxis"]["range"] = [_position(x, axis) for x in axis["range"]]
    if axis["log"]:
        ticks = axis_ticks(*axis["range"])
        layout["xaxis"] |= {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}
    layout["shapes"] = [_recovery_line(p) for p in picks if p["achieved"] is not None]
    layout["shapes"] += [limit_line(key, value) for key, value, _ in shown]
    layout["annotations"] = _pick_labels(picks, axis)
    layout["annotations"] += [
        limit_label(
            key,
            value if key == "y" else _position(value, axis),
            _limit_words(key, quantity, whose),
            on_left=_left_is_free(picks, axis),
        )
        for key, value, whose in shown
    ]
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _position(x: float, axis: Mapping[str, Any]) -> float:
    """Where Plotly wants a range end or an annotation of value x."""
    return log10(x) if axis["log"] else x


def _limit_words(axis: str, quantity: str, whose: str) -> str:
    words = "quality limit" if axis == "y" else LIMIT_WORDS[quantity]
    return escape(f"{words} of {whose}") if whose else words


def _group_traces(name: str, group: Mapping[str, Sequence[Any]], look: Look) -> list[Figure]:
    inside = [i for i, feasible in enumerate(group["feasible"]) if feasible]
    outside = [i for i, feasible in enumerate(group["feasible"]) if not feasible]
    line_x, line_y = envelope([group["x"][i] for i in inside], [group["y"][i] for i in inside])
    points = {
        "type": "scatter",
        "mode": "markers",
        "hovertemplate": "%{text}<extra></extra>",
    }
    colour = look.colours[name]
    marker = {"color": colour, "size": 6, "opacity": 0.75}
    if look.shapes:
        marker |= {"size": 8, "symbol": look.symbols(name, [group["structure"][i] for i in inside])}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": line_x,
            "y": line_y,
            "line": {"color": colour, "width": 1, "shape": "hv"},
            "opacity": 0.5,
            "hoverinfo": "skip",
        },
        {
            **points,
            "name": name,
            "x": [group["x"][i] for i in inside],
            "y": [group["y"][i] for i in inside],
            "text": [_hover(group["label"][i]) for i in inside],
            "marker": marker,
        },
        {
            **points,
            "name": f"{name}, over a limit",
            "x": [group["x"][i] for i in outside],
            "y": [group["y"][i] for i in outside],
            "text": [_hover(group["label"][i]) for i in outside],
            "marker": {"color": colour, "size": 6, "opacity": 0.5, "symbol": "x-thin-open"},
        },
    ]


def _pick_trace(picks: Sequence[Mapping[str, Any]], which: str, look: Look) -> Figure:
    known = [pick for pick in picks if pick[which] is not None]
    is_achieved = which == "achieved"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "pick, retrained" if is_achieved else "pick, predicted",
        "x": [pick["x"] for pick in known],
        "y": [pick[which] for pick in known],
        "text": [_hover(f"{pick['label']}: {pick[which]:.2f} dB {which}") for pick in known],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "symbol": "diamond" if is_achieved else "diamond-open",
            "size": 12,
            "color": [look.colours[pick["group"]] for pick in known],
            "line": {"color": "var(--ink)" if is_achieved else None, "width": 1.2},
        },
    }


def _baseline_trace(baseline: Mapping[str, Any], look: Look) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "dense baseline",
        "x": [baseline["x"]],
        "y": [0.0],
        "hovertemplate": f"{escape(baseline['label'])}<extra></extra>",
        "marker": {"symbol": "star", "size": 14, "color": look.colours.get(baseline["group"], "var(--ink)")},
    }


def _recovery_line(pick: Mapping[str, Any]) -> Figure:
    """From a pick's predicted loss to its achieved one."""
    return {
        "type": "line",
        "x0": pick["x"],
        "x1": pick["x"],
        "y0": pick["predicted"],
        "y1": pick["achieved"],
        "line": {"color": "var(--muted)", "width": 1, "dash": "dot"},
    }


def _left_is_free(picks: Sequence[Mapping[str, Any]], axis: Mapping[str, Any]) -> bool:
    """No pick's label stands in the left quarter of the figure."""
    low, high = (_position(x, axis) for x in axis["range"])
    return all(_position(pick["x"], axis) > low + 0.25 * (high - low) for pick in picks)


def _pick_labels(picks: Sequence[Mapping[str, Any]], axis: Mapping[str, Any]) -> list[Figure]:
    low, high = (_position(x, axis) for x in axis["range"])
    positions = [_position(pick["x"], axis) for pick in picks]
    levels = label_levels(positions, reach=LABEL_REACH_FRAC * (high - low))
    return [
        {
            "x": position,
            "y": pick["predicted"] if pick["achieved"] is None else max(pick["achieved"], pick["predicted"]),
            "text": escape(pick["name"]),
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 0.8,
            "arrowcolor": "var(--muted)",
            "ax": 0,
            "ay": -26 - 18 * level,
            "font": {"color": "var(--ink)", "size": 12},
            "bgcolor": "var(--card)",
        }
        for pick, position, level in zip(picks, positions, levels, strict=True)
    ]


def _hover(label: str) -> str:
    return escape(label).replace("; ", "<br>").replace(": ", "<br>", 1)
