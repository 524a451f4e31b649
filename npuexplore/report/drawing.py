"""Plotly figures as plain dicts, from what `figures` prepared. Colours are CSS variables of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Any

from npuexplore.report.figures import axis_ticks, cost_axis, envelope, label_levels

Figure = dict[str, Any]

COLOURS = {
    "weight": "var(--weight)",
    "block": "var(--block)",
    "unit": "var(--unit)",
    "two_four": "var(--two_four)",
    "dense": "var(--dense)",
}
SERIES = tuple(f"var(--series-{index})" for index in range(1, 9))
AXIS_TITLES = {"latency_ms": "time per frame (ms)", "flash_bytes": "flash (kB)"}
LABEL_REACH_FRAC = 0.13
"""Width of a pick's label as a share of the x axis."""


def front_key(groups: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(mark, colour, words) of everything in a front's figure."""
    return [
        *(("dot", COLOURS[name], name) for name in groups),
        ("diamond-open", "var(--ink)", "pick, predicted"),
        ("diamond", "var(--ink)", "pick, retrained"),
        ("star", "var(--ink)", "dense baseline"),
    ]


def layer_key(layers: Sequence[str]) -> list[tuple[str, str, str]]:
    """(mark, colour, words) of each layer of a network."""
    return [("dot", SERIES[index % len(SERIES)], layer) for index, layer in enumerate(layers)]


def draw_front(
    quantity: str,
    groups: Mapping[str, Mapping[str, Sequence[Any]]],
    picks: Sequence[Mapping[str, Any]],
    *,
    baseline: tuple[float, float],
    limits: Mapping[str, float],
) -> Figure:
    """Cost against loss of quality, coloured by structure, picks named, limits as lines."""
    traces = [trace for name, group in groups.items() for trace in _structure_traces(name, group)]
    traces += [_pick_trace(picks, "predicted"), _pick_trace(picks, "achieved"), _baseline_trace(baseline)]
    axis = cost_axis([x for trace in traces for x in trace["x"]])
    shown = {key: value for key, value in limits.items() if key == "y" or value <= axis["range"][1]}
    layout = _layout(AXIS_TITLES[quantity], "SI-SDR lost (dB)", height=460)
    layout["xaxis"]["range"] = [_position(x, axis) for x in axis["range"]]
    if axis["log"]:
        ticks = axis_ticks(*axis["range"])
        layout["xaxis"] |= {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}
    layout["shapes"] = [_recovery_line(p) for p in picks if p["achieved"] is not None]
    layout["shapes"] += [_limit_line(key, value) for key, value in sorted(shown.items())]
    layout["annotations"] = _pick_labels(picks, axis)
    layout["annotations"] += [
        _limit_label(
            key,
            value if key == "y" else _position(value, axis),
            quantity,
            on_left=_left_is_free(picks, axis),
        )
        for key, value in sorted(shown.items())
    ]
    return {"data": [trace for trace in traces if trace["x"]], "layout": layout}


def _position(x: float, axis: Mapping[str, Any]) -> float:
    """Where Plotly wants a range end or an annotation of value x."""
    return log10(x) if axis["log"] else x


def _structure_traces(name: str, group: Mapping[str, Sequence[Any]]) -> list[Figure]:
    inside = [i for i, feasible in enumerate(group["feasible"]) if feasible]
    outside = [i for i, feasible in enumerate(group["feasible"]) if not feasible]
    line_x, line_y = envelope([group["x"][i] for i in inside], [group["y"][i] for i in inside])
    points = {
        "type": "scatter",
        "mode": "markers",
        "hovertemplate": "%{text}<extra></extra>",
    }
    colour = COLOURS[name]
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
            "marker": {"color": colour, "size": 6, "opacity": 0.75},
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


def _pick_trace(picks: Sequence[Mapping[str, Any]], which: str) -> Figure:
    known = [pick for pick in picks if pick[which] is not None]
    is_achieved = which == "achieved"
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "pick, retrained" if is_achieved else "pick, predicted",
        "x": [pick["x"] for pick in known],
        "y": [pick[which] for pick in known],
        "text": [_hover(f"{pick['name']}: {pick[which]:.2f} dB {which}") for pick in known],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "symbol": "diamond" if is_achieved else "diamond-open",
            "size": 12,
            "color": [COLOURS[pick["structure"]] for pick in known],
            "line": {"color": "var(--ink)" if is_achieved else None, "width": 1.2},
        },
    }


def _baseline_trace(baseline: tuple[float, float]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "dense baseline",
        "x": [baseline[0]],
        "y": [baseline[1]],
        "hovertemplate": "dense baseline<extra></extra>",
        "marker": {"symbol": "star", "size": 14, "color": "var(--ink)"},
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


def _limit_line(axis: str, value: float) -> Figure:
    line = {"type": "line", "line": {"color": "var(--bad)", "width": 1.2, "dash": "dash"}}
    if axis == "x":
        return {**line, "x0": value, "x1": value, "yref": "paper", "y0": 0, "y1": 1, "name": "limit-x"}
    return {**line, "y0": value, "y1": value, "xref": "paper", "x0": 0, "x1": 1, "name": "limit-y"}


def _limit_label(axis: str, position: float, quantity: str, *, on_left: bool = True) -> Figure:
    label = {"showarrow": False, "font": {"color": "var(--bad)", "size": 11}}
    if axis == "x":
        words = {"latency_ms": "deadline", "flash_bytes": "flash limit"}.get(quantity, "quality limit")
        place = {"x": position, "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "top"}
        return {**label, **place, "text": words, "textangle": -90}
    side = {"x": 0.01, "xanchor": "left"} if on_left else {"x": 0.99, "xanchor": "right"}
    return {**label, "y": position, "yanchor": "bottom", "xref": "paper", **side, "text": "quality limit"}


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


def draw_losses(pairs: Sequence[Mapping[str, Any]], *, limit_db: float | None) -> Figure:
    """Predicted against achieved loss, a line per pick."""
    names = [pair["name"] for pair in pairs]
    layout = _layout("SI-SDR lost (dB)", "", height=110 + 44 * max(len(pairs), 1))
    layout["yaxis"].update({"type": "category", "autorange": "reversed", "showgrid": False})
    layout["xaxis"]["rangemode"] = "tozero"
    layout["shapes"] = [
        {
            "type": "line",
            "x0": pair["predicted"],
            "x1": pair["achieved"],
            "y0": pair["name"],
            "y1": pair["name"],
            "layer": "between",
            "line": {"color": "var(--muted)", "width": 2},
        }
        for pair in pairs
    ]
    if limit_db is not None:
        layout["shapes"].append(_limit_line("x", limit_db))
        layout["annotations"] = [{**_limit_label("x", limit_db, "quality_loss_db"), "textangle": 0}]
    colours = [COLOURS[pair["structure"]] for pair in pairs]
    return {
        "data": [
            _loss_trace("predicted", names, [p["predicted"] for p in pairs], colours, symbol="circle-open"),
            _loss_trace("achieved", names, [p["achieved"] for p in pairs], colours, symbol="circle"),
        ],
        "layout": layout,
    }


def _loss_trace(
    name: str, names: Sequence[str], values: Sequence[float], colours: Sequence[str], *, symbol: str
) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(values),
        "y": list(names),
        "hovertemplate": f"%{{y}}: %{{x:.2f}} dB {name}<extra></extra>",
        "marker": {"symbol": symbol, "size": 12, "color": list(colours), "line": {"width": 2}},
    }


def draw_times(networks: Sequence[str], layers: Sequence[str], ms: Mapping[str, Sequence[float]]) -> Figure:
    """Where the time of a frame goes: a bar per network, a segment per layer."""
    layout = _layout("time per frame (ms)", "", height=110 + 38 * max(len(networks), 1))
    layout["barmode"] = "stack"
    layout["bargap"] = 0.35
    layout["yaxis"].update({"type": "category", "autorange": "reversed", "showgrid": False})
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": escape(layer),
                "x": list(ms[layer]),
                "y": list(networks),
                "hovertemplate": f"%{{y}}, {escape(layer)}: %{{x:.3g}} ms<extra></extra>",
                "marker": {"color": SERIES[index % len(SERIES)]},
            }
            for index, layer in enumerate(layers)
        ],
        "layout": layout,
    }


def draw_sensitivity(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, order: Sequence[str], top_db: float
) -> Figure:
    """Loss over sparsity of one structure, a line per layer; all structures share the scale.

    order : layers of the network as `draw_times` lists them, for the same colours.
    """
    layout = _layout("sparsity (%)", "one-shot SI-SDR lost (dB)", height=320)
    layout["yaxis"]["range"] = [-0.03 * top_db, 1.05 * top_db]
    layout["xaxis"] |= {"range": [0, 100], "dtick": 20}
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": escape(layer),
                "x": list(x),
                "y": list(y),
                "hovertemplate": f"{escape(layer)} at %{{x:.0f}} %: %{{y:.2f}} dB<extra></extra>",
                "line": {"color": SERIES[order.index(layer) % len(SERIES)], "width": 2},
                "marker": {"size": 6},
            }
            for layer, (x, y) in curves.items()
        ],
        "layout": layout,
    }


def _layout(x_title: str, y_title: str, *, height: int) -> Figure:
    axis = {
        "gridcolor": "var(--line)",
        "linecolor": "var(--line)",
        "zerolinecolor": "var(--line)",
        "automargin": True,
        "ticks": "",
    }
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 10, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink)"},
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": "var(--card)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)"},
        },
        "showlegend": False,
        "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
        "yaxis": {**axis, "title": {"text": y_title, "standoff": 8}},
    }


def _hover(label: str) -> str:
    return escape(label).replace("; ", "<br>").replace(": ", "<br>", 1)
