"""Energy per frame: MACs, element-wise work, bytes by memory, front end, and power over time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import Counts

Floats = NDArray[np.float64]

UJ_PER_PJ = 1e-6


def unknown_energy_keys(profile: HardwareProfile, regions: tuple[str, ...]) -> list[str]:
    """Keys whose null makes energy unknown; empty where all figures are there.

    regions : the memories that a frame touches.
    """
    energy = profile.energy
    figures = {f"energy.{name}": getattr(energy, name) for name in type(energy).model_fields}
    figures["front_end.pj_per_cycle"] = profile.front_end.pj_per_cycle
    figures |= {f"memories.{name}.pj_per_byte": profile.memories[name].pj_per_byte for name in regions}
    return [key for key, value in figures.items() if value is None]


def dynamic_energy_uj(
    *,
    macs: Counts,
    elementwise_ops: Counts,
    moved_bytes: Mapping[str, Counts],
    pj_per_mac: float,
    pj_per_elementwise_op: float,
    pj_per_byte: Mapping[str, float],
) -> Floats:
    """(P,) energy of one run of the network, in microjoules; every argument array is (P,).

    >>> dynamic_energy_uj(macs=np.array([1_000_000]), elementwise_ops=np.array([0]),
    ...     moved_bytes={"sram": np.array([100_000])}, pj_per_mac=0.5, pj_per_elementwise_op=1.0,
    ...     pj_per_byte={"sram": 5.0})
    array([1.])
    """
    picojoules = macs * pj_per_mac + elementwise_ops * pj_per_elementwise_op
    for region, amount in moved_bytes.items():
        picojoules = picojoules + amount * pj_per_byte[region]
    energy: Floats = picojoules * UJ_PER_PJ
    return energy


def power_energy_uj(
    *, busy_ms: Floats, frame_period_ms: float, active_power_mw: float, idle_power_mw: float
) -> Floats:
    """(P,) energy of the power drawn while busy and while idle; 1 mW for 1 ms is 1 uJ.

    >>> power_energy_uj(busy_ms=np.array([4.0]), frame_period_ms=16.0, active_power_mw=2.0, idle_power_mw=0.5)
    array([14.])
    """
    idle_ms = np.maximum(frame_period_ms - busy_ms, 0.0)
    energy: Floats = busy_ms * active_power_mw + idle_ms * idle_power_mw
    return energy
