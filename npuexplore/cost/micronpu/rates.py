"""Rates that depend on the width of the weights: of the MAC array and of the weight decoder."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from npuexplore.compression import encoding
from npuexplore.compression.shapes import PlanShapes, sum_layers
from npuexplore.cost.compute import rate_cycles
from npuexplore.cost.micronpu.storage import Stored
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.units import ceil_div
from npuexplore.workload.counts import Counts, NetworkTables


def at_weight_rate(engine: MicroNpu, cycles: Counts, *, weight_bits: Counts) -> Counts:
    """(P, L) array cycles of layers by the width of their weights, from those at 8 bits."""
    for rate in engine.weight_rates:
        if rate.mac_rate_factor != 1.0:
            faster = rate_cycles(cycles, per_cycle=rate.mac_rate_factor)
            cycles = np.where(weight_bits == rate.weight_bits, faster, cycles)
    return cycles


def decode_cycles(engine: MicroNpu, tables: NetworkTables, shapes: PlanShapes, stored: Stored) -> Counts:
    """(P, L) cycles in which the decoder hands out weights; once per frame, whatever the positions."""
    decoded = sum_layers(stored.decoded, tables)
    if engine.decoded_bytes_per_cycle is not None:
        packed = encoding.to_bytes(decoded * shapes.weight_bits)
        cycles = rate_cycles(packed, per_cycle=engine.decoded_bytes_per_cycle)
    else:
        cycles = rate_cycles(decoded, per_cycle=engine.decoded_weights_per_cycle or 1.0)
    for rate in engine.weight_rates:
        if rate.decoded_weights_per_cycle is not None:
            own = rate_cycles(decoded, per_cycle=rate.decoded_weights_per_cycle)
            cycles = np.where(shapes.weight_bits == rate.weight_bits, own, cycles)
    return np.asarray(cycles)


def index_cycles(engine: MicroNpu, tables: NetworkTables, stored: Stored) -> Counts:
    """(P, L) cycles in which the decoder looks for what is stored."""
    if stored.indexed is None or engine.cycles_per_index == 0.0:
        return np.zeros((stored.bits.shape[0], len(tables.kinds)), np.int64, order="F")
    return np.asarray(_times(sum_layers(stored.indexed, tables), engine.cycles_per_index))


def _times(amount: Counts, per_item: float) -> Any:
    """Whole cycles of `amount` items that take `per_item` each; exact, the rate taken as a fraction."""
    rate = Fraction(per_item).limit_denominator(10_000)
    return ceil_div(amount * rate.numerator, rate.denominator)
