"""An estimate for people: totals, layers, where the cycles go, what would change them."""

from __future__ import annotations

from typing import Any

from npuexplore.cli.console import note, print_table

Document = dict[str, Any]

PART_HEADINGS = {
    "useful_macs": "useful",
    "padding": "pad",
    "decode": "decode",
    "index": "index",
    "activation": "act",
    "overhead": "fixed",
    "memory_stall": "stall",
    "cpu": "cpu",
}
"""Short enough for all of them beside each other in 80 columns."""
SENSITIVITIES_SHOWN = 8
SMALLEST_SHOWN_PCT = 0.05
"""Effects that round to less are left to --json."""


def show_estimate(document: Document) -> None:
    """Tables on stdout, assumptions on stderr."""
    title = f"{document['network']} on {document['profile']}, {document['memory_mode']}"
    print_table(title, ["quantity", "value", "limit", "fits"], total_rows(document))
    headings = ["layer", "kept MACs", "cycles", "bound by", "bytes", "stored as"]
    print_table("layers", headings, layer_rows(document))
    headings, rows = waterfall_rows(document)
    print_table("where the cycles go, % of each layer", headings, rows)
    rows = sensitivity_rows(document)
    if rows:
        print_table("what would change them", ["change", "cycles", "%", "ms"], rows)
    note(front_end_line(document["front_end"]))
    for assumption in document["assumptions"]:
        note(f"Assumed: {assumption}")


def _engine_weights(document: Document) -> list[list[Any]]:
    """Weights that the engine reads, where they have a memory of their own."""
    held = document["engine_weights"]
    if held is None:
        return []
    return [["engine's weights", _count(held["stored_bytes"]), _count(held["capacity_bytes"]), held["fits"]]]


def _interval(ends_ms: list[float] | None) -> list[list[Any]]:
    """Where a calibrated profile expects a measured time."""
    return (
        [] if ends_ms is None else [["time, interval", f"{ends_ms[0]:,.4g} to {ends_ms[1]:,.4g} ms", "", ""]]
    )


def total_rows(document: Document) -> list[list[str]]:
    """Totals beside their limits; energy, power and battery hours where they are known."""
    totals, limits, fits = document["totals"], document["limits"], document["fits"]
    deadline = _figure(limits["deadline_ms"], "ms")
    rows = [
        ["cycles", _count(totals["cycles"]), "", ""],
        ["time, worst", _figure(totals["latency_ms"], "ms"), deadline, fits["deadline"]],
        *_interval(totals["latency_ms_interval"]),
        ["time, mean", _figure(totals["mean_latency_ms"], "ms"), "", ""],
        ["flash bytes", _count(totals["flash_bytes"]), _count(limits["flash_bytes"]), fits["flash"]],
        ["SRAM bytes", _count(totals["sram_bytes"]), _count(limits["sram_bytes"]), fits["sram"]],
        ["SRAM fullest at", document["peak_step"], "", ""],
        ["weight bytes", _count(totals["weight_bytes"]), "", ""],
        *_engine_weights(document),
        ["energy per frame", _figure(totals["energy_uj"], "µJ"), "", ""],
        ["average power", _figure(totals["average_power_mw"], "mW"), "", ""],
    ]
    if totals["average_power_mw"] is not None:
        rows += [[f"on a {cell}", _hours(hours), "", ""] for cell, hours in document["battery_hours"].items()]
    return [[*row[:3], {True: "yes", False: "no"}.get(row[3], "")] for row in rows]


def layer_rows(document: Document) -> list[list[str]]:
    """What each layer takes."""
    return [
        [
            layer["name"],
            _count(layer["kept_macs"]),
            _count(layer["cycles"]),
            layer["bound_by"],
            _count(layer["weight_bytes"]),
            layer["weight_format"] or "",
        ]
        for layer in document["layers"]
    ]


def front_end_line(front_end: Document) -> str:
    """What the front end's stages take, the dearest first.

    >>> front_end_line({"core": "C28x", "stages": [{"name": "fft", "cpu_cycles": 9}]})
    'Front end, cycles of its C28x: fft 9'
    """
    dearest = sorted(front_end["stages"], key=lambda stage: -stage["cpu_cycles"])
    parts = ", ".join(f"{stage['name']} {_count(stage['cpu_cycles'])}" for stage in dearest)
    return f"Front end, cycles of its {front_end['core']}: {parts}"


def waterfall_rows(document: Document) -> tuple[list[str], list[list[str]]]:
    """Headings and shares of each layer's cycles; purposes that no layer has are left out."""
    layers = document["layers"]
    parts = [name for name in PART_HEADINGS if any(layer["waterfall"][name] for layer in layers)]
    rows = [
        [layer["name"], *(_share(layer["waterfall"][name], layer["cycles"]) for name in parts)]
        for layer in layers
    ]
    return ["layer", *(PART_HEADINGS[name] for name in parts)], rows


def sensitivity_rows(document: Document) -> list[list[str]]:
    """The changes with the greatest effect."""
    felt = [
        each for each in document["sensitivities"] if abs(each["cycles_change_pct"]) >= SMALLEST_SHOWN_PCT
    ]
    return [
        [
            each["change"],
            _count(each["cycles"]),
            f"{each['cycles_change_pct']:+.1f}",
            f"{each['latency_ms']:.4g}",
        ]
        for each in felt[:SENSITIVITIES_SHOWN]
    ]


def _share(cycles: int, total: int) -> str:
    return f"{100.0 * cycles / total:.1f}" if cycles else ""


def _count(value: int) -> str:
    return f"{value:,}"


def _figure(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:,.4g} {unit}"


def _hours(hours: float | None) -> str:
    return "more current than it delivers" if hours is None else f"{hours:,.0f} h"
