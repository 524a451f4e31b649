"""Totals of plans from the sums over their layers: time, memory, energy per frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.energy import frame_energy_uj
from npuexplore.cost.part import Part
from npuexplore.cost.result import Totals
from npuexplore.units import cycles_to_ms
from npuexplore.workload.counts import Counts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LayerSums:
    """(P,) sums over the network's layers, the front end left out."""

    kept_macs: Counts
    cycles: Counts
    weight_bytes: Counts
    flash_bytes: Counts
    sram_bytes: Counts
    """What the activations' memory must hold, the front end's buffers and the stack included."""
    energy_uj: Floats | None


def totals_of(part: Part, sums: LayerSums, *, skip_rate_frac: Floats) -> Totals:
    """Totals of P plans; the front end and what the software takes come on top of the layers.

    skip_rate_frac : (P,) share of frames in which no layer runs
    """
    clock, front_end, runtime = part.network.frame_clock, part.front_end, part.profile.runtime
    cycles = sums.cycles + front_end.engine_cycles
    mean_cycles = front_end.engine_cycles + sums.cycles * (1.0 - skip_rate_frac)
    latency_ms = cycles_to_ms(cycles, clock_hz=part.profile.clock_hz)
    mean_latency_ms = cycles_to_ms(mean_cycles, clock_hz=part.profile.clock_hz)
    fixed_flash_bytes = runtime.code_bytes + runtime.lut_bytes + front_end.table_bytes
    energy_uj = sums.energy_uj
    if energy_uj is not None:
        energy_uj = frame_energy_uj(
            part.profile,
            front_end,
            network_uj=energy_uj,
            skip_rate_frac=skip_rate_frac,
            mean_latency_ms=mean_latency_ms,
            frame_period_ms=clock.frame_period_ms,
        )
    return Totals(
        macs=np.broadcast_to(part.tables.dense_macs.sum(), cycles.shape),
        kept_macs=sums.kept_macs,
        cycles=cycles,
        latency_ms=latency_ms,
        mean_latency_ms=mean_latency_ms,
        flash_bytes=sums.flash_bytes + fixed_flash_bytes,
        sram_bytes=sums.sram_bytes,
        weight_bytes=sums.weight_bytes,
        energy_uj=energy_uj,
        average_power_mw=None if energy_uj is None else energy_uj / clock.frame_period_ms,
        real_time_factor=latency_ms / clock.frame_deadline_ms,
    )
