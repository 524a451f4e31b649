"""What the figures show (data functions: records in, plain numbers out)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import Any

from npuexplore.report.numbers import decibels, kilobytes, milliseconds
from npuexplore.report.parts import (
    is_shortlist,
    layer_weights,
    networks_on,
    on_part,
    part_of,
    parts_of,
    points_of,
    quality_limit_db,
)
from npuexplore.report.words import (
    MATRICES,
    STRUCTURES,
    Record,
    achieved_loss_db,
    dominant_structure,
    plan_words,
    structure_words,
)

COST_SCALES = {"latency_ms": 1.0, "flash_bytes": 1e-3}
"""Quantity on a front's x axis -> factor into the unit of that axis (ms, kB)."""


def front_points(results: Record, quantity: str) -> dict[str, dict[str, list[Any]]]:
    """The front by structure, or each part's own by part where there are several, rising in `x`.

    Of every group: `x` (ms or kB), `y` (predicted dB lost), `label`, `feasible`, `structure`.
    """
    weights, names = layer_weights(results), group_names(results)
    groups: dict[str, dict[str, list[Any]]] = {}
    for point in sorted(points_of(results), key=lambda p: (p["estimates"][quantity], p["quality_loss_db"])):
        structure = point.get("structure") or dominant_structure(point["plan"], weights)
        name = point["profile"] if is_shortlist(results) else structure
        group = groups.setdefault(name, {"x": [], "y": [], "label": [], "feasible": [], "structure": []})
        group["x"].append(point["estimates"][quantity] * COST_SCALES[quantity])
        group["y"].append(point["quality_loss_db"])
        group["label"].append(_point_label(point, results))
        group["feasible"].append(bool(point["feasible"]))
        group["structure"].append(structure)
    return {name: groups[name] for name in names if name in groups}


def group_names(results: Record) -> tuple[str, ...]:
    """What the points of a front are told apart by: the structures, or the parts where there are several."""
    return tuple(part.name for part in parts_of(results)) if is_shortlist(results) else STRUCTURES


def _group(record: Record, results: Record) -> str:
    """The group of a pick."""
    return str(record["profile"] if is_shortlist(results) else record["structure"])


def _point_label(point: Record, results: Record) -> str:
    estimates = point["estimates"]
    name = on_part(point["id"], part_of(point, results), results)
    return (
        f"{name}: {plan_words(point['plan'])}; {milliseconds(estimates['latency_ms'])}, "
        f"{kilobytes(estimates['flash_bytes'])} flash, {decibels(point['quality_loss_db'])} predicted loss"
    )


def envelope(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """The points that nothing beats in both x and y, rising in x.

    >>> envelope([1.0, 2.0, 3.0], [5.0, 6.0, 1.0])
    ([1.0, 3.0], [5.0, 1.0])
    """
    kept: list[tuple[float, float]] = []
    for point in sorted(zip(x, y, strict=True)):
        if not kept or point[1] < kept[-1][1]:
            kept.append(point)
    return [point[0] for point in kept], [point[1] for point in kept]


def pick_points(results: Record, quantity: str) -> list[dict[str, Any]]:
    """Each pick's place: `name`, `label` with its part, `group`, `x`, `predicted` and `achieved` loss (None
    when unknown).
    """
    return [
        {
            "name": pick["name"],
            "label": on_part(pick["name"], part_of(pick, results), results),
            "group": _group(pick, results),
            "x": pick["estimates"][quantity] * COST_SCALES[quantity],
            "predicted": pick["predicted"]["quality_loss_db"],
            "achieved": achieved_loss_db(pick),
        }
        for pick in results["picks"]
    ]


def label_levels(x: Sequence[float], *, reach: float) -> list[int]:
    """A level 0, 1, 2, ... for each label so that labels closer than `reach` in x differ in level.

    >>> label_levels([1.0, 1.1, 5.0], reach=1.0)
    [0, 1, 0]
    """
    levels = [0] * len(x)
    last_on: list[float] = []
    for index in sorted(range(len(x)), key=lambda i: (x[i], i)):
        free = [level for level, end in enumerate(last_on) if x[index] - end >= reach]
        level = free[0] if free else len(last_on)
        last_on[level : level + 1] = [x[index]]
        levels[index] = level
    return levels


def cost_axis(values: Sequence[float]) -> dict[str, Any]:
    """How to draw positive costs: `log` where they span more than 5x, and the `range` to show, with room."""
    low, high = min(values), max(values)
    if low > 0 and high > 5 * low:
        room = (high / low) ** 0.07
        return {"log": True, "range": [low / room, high * room]}
    room = 0.07 * ((high - low) or high or 1.0)
    return {"log": False, "range": [max(0.0, low - room), high + room]}


def axis_ticks(low: float, high: float) -> list[float]:
    """Round values (1, 1.5, 2, 3, 5, 7 times a power of ten) from `low` to `high`, for a log axis.

    >>> axis_ticks(0.9, 5.5)
    [1.0, 1.5, 2.0, 3.0, 5.0]
    """
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    every = [float(f"{step}e{decade}") for decade in decades for step in (1, 1.5, 2, 3, 5, 7)]
    return [value for value in every if low <= value <= high]


def baseline_points(results: Record, quantity: str) -> list[dict[str, Any]]:
    """The dense baseline on each part: `label`, `group` (none on the only part) and `x`."""
    several = is_shortlist(results)
    return [
        {
            "label": on_part("dense baseline", part, results),
            "group": part.name if several else "",
            "x": part.dense["estimates"][quantity] * COST_SCALES[quantity],
        }
        for part in parts_of(results)
    ]


def front_limits(results: Record, quantity: str) -> list[tuple[str, float, str]]:
    """(`x` or `y`, limit, whose where it is not that of all parts) of a front's figure, where stated."""
    parts = parts_of(results)
    names: dict[float, list[str]] = {}
    for part in parts:
        if quantity in part.limits:
            names.setdefault(part.limits[quantity] * COST_SCALES[quantity], []).append(part.name)
    found = [
        ("x", limit, "" if len(of) == len(parts) else ", ".join(of)) for limit, of in sorted(names.items())
    ]
    limit_db = quality_limit_db(results)
    return found if limit_db is None else [*found, ("y", limit_db, "")]


def loss_pairs(results: Record) -> list[dict[str, Any]]:
    """Predicted and achieved loss of each pick that was retrained, in the order of the picks."""
    return [
        {
            "name": p["name"],
            "group": p["group"],
            "predicted": p["predicted"],
            "achieved": p["achieved"],
        }
        for p in pick_points(results, "latency_ms")
        if p["achieved"] is not None
    ]


def time_by_layer(results: Record) -> dict[str, Any]:
    """Milliseconds of each layer in the baseline and each pick, part by part.

    Returns `networks` (names, parts in a second line), `layers` (names in order) and `ms` {layer: [per
    network]}.
    """
    networks = [
        (on_part(name, part, results, joint="\n"), record)
        for part in parts_of(results)
        for name, record in networks_on(part, results)
        if record.get("layers")
    ]
    layers = list(dict.fromkeys(layer["name"] for _, record in networks for layer in record["layers"]))
    table = {layer: [_layer_ms(record, layer) for _, record in networks] for layer in layers}
    return {"networks": [name for name, _ in networks], "layers": layers, "ms": table}


def _layer_ms(record: Record, name: str) -> float:
    totals = record["estimates"]
    own = sum(layer["cycles"] for layer in record["layers"] if layer["name"] == name)
    return float(own * totals["latency_ms"] / totals["cycles"])


def sensitivity_curves(results: Record) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """One-shot loss over sparsity, {structure: {layer: (sparsity in %, dB lost)}}, int8 only."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    rows = [row for row in results.get("sensitivity") or [] if "layer" in row and _is_int8(row)]
    dense = {row["layer"]: row["one_shot_loss_db"] for row in rows if row["structure"] == "dense"}
    for row in rows:
        if row["structure"] != "dense":
            layers = curves.setdefault(structure_words(row), {})
            points = layers.setdefault(
                row["layer"], [(0.0, dense[row["layer"]])] if row["layer"] in dense else []
            )
            points.append((100 * row["sparsity_frac"], row["one_shot_loss_db"]))
    return {
        name: {layer: _columns(points) for layer, points in layers.items()} for name, layers in curves.items()
    }


def skip_losses(results: Record) -> list[tuple[float, float]]:
    """(share of frames held, one-shot loss in dB) of every rate that was measured, rising."""
    rows = [row for row in results.get("sensitivity") or [] if "layer" not in row]
    return sorted((row["skip_rate_frac"], row["one_shot_loss_db"]) for row in rows)


def _is_int8(row: Record) -> bool:
    own = any(key in row for key in MATRICES)
    return bool(not own and row.get("weight_bits", 8) == 8 and row.get("activation_bits", 8) == 8)


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    ordered = sorted(points)
    return [x for x, _ in ordered], [y for _, y in ordered]
