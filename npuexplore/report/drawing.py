"""Plotly figures as plain dicts, from what `figures` prepared. Colours are CSS variables of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Figure = dict[str, Any]

COLOURS = {
    "weight": "var(--weight)",
    "block": "var(--block)",
    "unit": "var(--unit)",
    "two_four": "var(--two_four)",
    "dense": "var(--dense)",
}
SERIES = tuple(f"var(--series-{index})" for index in range(1, 9))


def layer_key(layers: Sequence[str]) -> list[tuple[str, str, str]]:
    """(mark, colour, words) of each layer of a network."""
    return [("dot", SERIES[index % len(SERIES)], layer) for index, layer in enumerate(layers)]


def draw_losses(
    pairs: Sequence[Mapping[str, Any]],
    *,
    limit_db: float | None,
    colours: Mapping[str, str],
) -> Figure:
    """Predicted against achieved loss, a line per pick in the colour of its group."""
    names = [pair["name"] for pair in pairs]
    layout = layout_of("SI-SDR lost (dB)", "", height=110 + 44 * max(len(pairs), 1))
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
        layout["shapes"].append(limit_line("x", limit_db))
        layout["annotations"] = [{**limit_label("x", limit_db, "quality limit"), "textangle": 0}]
    own = [colours[pair["group"]] for pair in pairs]
    return {
        "data": [
            _loss_trace("predicted", names, [p["predicted"] for p in pairs], own, symbol="circle-open"),
            _loss_trace("achieved", names, [p["achieved"] for p in pairs], own, symbol="circle"),
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
    layout = layout_of("time per frame (ms)", "", height=110 + 38 * max(len(networks), 1))
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
                "y": [network.replace("\n", "<br>") for network in networks],
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
    layout = layout_of("sparsity (%)", "one-shot SI-SDR lost (dB)", height=320)
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


def limit_line(axis: str, value: float) -> Figure:
    """A dashed line across the figure; axis : `x` or `y`"""
    line = {"type": "line", "line": {"color": "var(--bad)", "width": 1.2, "dash": "dash"}}
    if axis == "x":
        return {**line, "x0": value, "x1": value, "yref": "paper", "y0": 0, "y1": 1, "name": "limit-x"}
    return {**line, "y0": value, "y1": value, "xref": "paper", "x0": 0, "x1": 1, "name": "limit-y"}


def limit_label(axis: str, position: float, words: str, *, on_left: bool = True) -> Figure:
    """The words beside a limit's line."""
    label = {"showarrow": False, "font": {"color": "var(--bad)", "size": 11}}
    if axis == "x":
        place = {"x": position, "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "top"}
        return {**label, **place, "text": words, "textangle": -90}
    side = {"x": 0.01, "xanchor": "left"} if on_left else {"x": 0.99, "xanchor": "right"}
    return {**label, "y": position, "yanchor": "bottom", "xref": "paper", **side, "text": words}


def layout_of(x_title: str, y_title: str, *, height: int) -> Figure:
    """What all figures have in common. height : of the figure in pixels"""
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
