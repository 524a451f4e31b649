"""Where the cycles of layers on an Ethos-U go."""

from __future__ import annotations

import numpy as np

from npuexplore.compression.shapes import PlanShapes
from npuexplore.cost.ethos_u.layers import counted_costs, plan_layer
from npuexplore.cost.ethos_u.placement import final_placement
from npuexplore.cost.ethos_u.pricing import price
from npuexplore.cost.traffic import Route
from npuexplore.cost.waterfall import Waterfall, allot
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.workload.counts import Counts, NetworkTables


def waterfall(engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes) -> Waterfall:
    """(P, L) cycles by purpose.

    The MAC array's own time is shared between weights that are not zero (useful_macs) and zeros, which it
    cannot skip (padding); what it takes beyond that for want of decoded weights is decode. Copies,
    element-wise work and look-ups are activation; first reads, last writes and draining are overhead;
    waiting for memories, staged weights included, is memory_stall.
    """
    plans = [_plan_waterfall(engine, route, tables, shapes, plan) for plan in range(shapes.units.shape[0])]
    return {name: np.stack([plan[name][0] for plan in plans]) for name in plans[0]}


def _plan_waterfall(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, plan: int
) -> Waterfall:
    """(1, L) of one plan."""
    one = shapes.take(slice(plan, plan + 1))
    parts = [_layer_parts(engine, route, tables, one, layer) for layer in range(len(tables.kinds))]
    columns = {name: np.array([[part[name] for part in parts]], np.float64) for name in parts[0]}
    total = columns.pop("cycles").astype(np.int64)
    return allot(total, columns, rest="overhead")


def _layer_parts(
    engine: EthosU, route: Route, tables: NetworkTables, shapes: PlanShapes, layer: int
) -> dict[str, float]:
    counted = counted_costs(engine, route, tables, shapes, layer=layer)
    products = [each for each in counted if each.cost.step.command.kind == "product"]
    others = [each for each in counted if each.cost.step.command.kind != "product"]
    sizes, place = plan_layer(tables, shapes, layer=layer).sizes, final_placement(route, staged=False)
    commands = {each.cost.step.command for each in products}
    # Of products whose weights are where they are needed.
    prices = {command: price(engine, command, sizes, place).cycles for command in commands}
    in_place = [(prices[each.cost.step.command], each.repeats) for each in products]
    cycles = _total([(each.cost.op_cycles, each.repeats) for each in counted])
    glue = _total([(each.cost.npu_cycles, each.repeats) for each in others])
    work = _total([(one.npu, repeats) for one, repeats in in_place])
    array = _total([(one.busy - one.tail, repeats) for one, repeats in in_place])
    dense, kept = (
        float(values[0, layer]) / engine.macs_per_cycle for values in (shapes.macs, shapes.kept_macs)
    )
    return {
        "cycles": cycles,
        "memory_stall": cycles - glue - work,
        "activation": glue,
        "useful_macs": kept,
        "padding": dense - kept,
        "decode": max(array - dense, 0.0),
    }


def _total(values: list[tuple[Counts, int]]) -> float:
    return float(sum(int(np.ravel(value)[0]) * repeats for value, repeats in values))
