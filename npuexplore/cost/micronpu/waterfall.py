"""Where the cycles of layers on a generic microNPU go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.shapes import PlanShapes, sum_layers
from npuexplore.cost.micronpu.array import useful_cycles
from npuexplore.cost.micronpu.layers import costs_and_figures
from npuexplore.cost.traffic import Route
from npuexplore.cost.waterfall import Waterfall, allot
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.workload.counts import NetworkTables


def waterfall(engine: MicroNpu, route: Route, tables: NetworkTables, shapes: PlanShapes) -> Waterfall:
    """(P, L) cycles by purpose, adding up to the layers' cycles.

    Products count first, then what the decoder takes beyond them (looking for blocks before handing them
    out), then waiting for memories.
    """
    costs, figures = costs_and_figures(engine, route, tables, shapes)
    apart = {name: costs.terms[name] for name in ("activation", "overhead", "cpu") if name in costs.terms}
    useful = np.minimum(np.rint(_useful_cycles(engine, tables, shapes)), figures.mac)
    beyond = np.maximum(figures.decode - figures.mac, 0)
    index = np.minimum(figures.index, beyond)
    return allot(
        costs.cycles,
        {
            **apart,
            "useful_macs": useful,
            "padding": figures.mac - useful,
            "index": index,
            "decode": beyond - index,
        },
        rest="memory_stall",
    )


def _useful_cycles(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes) -> NDArray[np.float64]:
    """(P, L) cycles of the non-zero products; of each matrix at its own width."""
    useful, own = useful_cycles(engine, shapes), shapes.matrices
    if own is None:
        return useful
    return np.where(own.differ, sum_layers(useful_cycles(engine, own.shapes), tables), useful)
