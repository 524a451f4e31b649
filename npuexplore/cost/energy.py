"""Energy per frame: MACs, element-wise work, bytes by memory, CPUs, and power over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.front_end import FrontEndCosts
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import Counts, NetworkTables

Floats = NDArray[np.float64]

UJ_PER_PJ = 1e-6
CONVOLUTIONS = ("conv1x1",)
"""Kinds of layer whose weights are used more than once per frame."""


def unknown_energy_keys(
    profile: HardwareProfile, regions: tuple[str, ...], *, kinds: tuple[str, ...] = ()
) -> list[str]:
    """Keys whose null makes energy unknown; empty where all figures are there.

    regions : the memories that a frame touches ; kinds : the kinds of the network's layers.
    """
    return [key for key, value in _needed_figures(profile, regions, kinds) if value is None]


def _needed_figures(
    profile: HardwareProfile, regions: tuple[str, ...], kinds: tuple[str, ...]
) -> Iterator[tuple[str, float | None]]:
    energy, fallback = profile.energy, profile.fallback_cpu
    convolutions = [kind in CONVOLUTIONS for kind in kinds]
    if not (kinds and all(convolutions)):
        yield "energy.pj_per_mac", energy.pj_per_mac
    if any(convolutions):
        yield "energy.pj_per_conv_mac", energy.pj_per_conv_mac
    for name in ("pj_per_elementwise_op", "active_power_mw", "idle_power_mw"):
        yield f"energy.{name}", getattr(energy, name)
    yield "front_end.pj_per_cycle", profile.front_end.pj_per_cycle
    if fallback is not None:
        yield "fallback_cpu.pj_per_cycle", fallback.pj_per_cycle
    for name in regions:
        yield f"memories.{name}.pj_per_byte", profile.memories[name].pj_per_byte


def network_energy_uj(profile: HardwareProfile, tables: NetworkTables, costs: EngineCosts) -> Floats:
    """(P, L) energy of one run of the layers; figures that are null count as nothing.

    Ask `unknown_energy_keys` first.
    """
    energy, memories = profile.energy, profile.memories
    pj_per_mac = [
        (energy.pj_per_conv_mac if kind in CONVOLUTIONS else energy.pj_per_mac) or 0.0
        for kind in tables.kinds
    ]
    work = dynamic_energy_uj(
        macs=costs.executed_macs,
        elementwise_ops=costs.elementwise_ops,
        moved_bytes=costs.memory_bytes,
        pj_per_mac=np.array(pj_per_mac),
        pj_per_elementwise_op=energy.pj_per_elementwise_op or 0.0,
        pj_per_byte={name: memories[name].pj_per_byte or 0.0 for name in costs.memory_bytes},
    )
    return work + _fallback_energy_uj(profile, costs)


def _fallback_energy_uj(profile: HardwareProfile, costs: EngineCosts) -> Floats | float:
    """(P, L) energy of the CPU that runs what the engine cannot."""
    fallback = profile.fallback_cpu
    if fallback is None or "cpu" not in costs.terms:
        return 0.0
    cpu_cycles = costs.terms["cpu"] / fallback.engine_cycles_per_cpu_cycle
    return np.asarray(cpu_cycles * (fallback.pj_per_cycle or 0.0) * UJ_PER_PJ)


def frame_energy_uj(
    profile: HardwareProfile,
    front_end: FrontEndCosts,
    *,
    network_uj: Floats,
    skip_rate_frac: Floats,
    mean_latency_ms: Floats,
    frame_period_ms: float,
) -> Floats:
    """(P,) mean energy per frame: the front end always runs, the network in the frames not skipped."""
    energy = profile.energy
    front_end_uj = front_end.cpu_cycles * (profile.front_end.pj_per_cycle or 0.0) * UJ_PER_PJ
    power = power_energy_uj(
        busy_ms=mean_latency_ms,
        frame_period_ms=frame_period_ms,
        active_power_mw=energy.active_power_mw or 0.0,
        idle_power_mw=energy.idle_power_mw or 0.0,
    )
    return front_end_uj + network_uj * (1.0 - skip_rate_frac) + power


def dynamic_energy_uj(
    *,
    macs: Counts,
    elementwise_ops: Counts,
    moved_bytes: Mapping[str, Counts],
    pj_per_mac: Floats | float,
    pj_per_elementwise_op: float,
    pj_per_byte: Mapping[str, float],
) -> Floats:
    """(P, L) energy of one run, in microjoules; count arrays are (P, L), `pj_per_mac` (L,) or one number.

    >>> dynamic_energy_uj(macs=np.array([[1_000_000, 2_000_000]]), elementwise_ops=np.array([[0, 0]]),
    ...     moved_bytes={"sram": np.array([[100_000, 0]])}, pj_per_mac=np.array([0.5, 0.25]),
    ...     pj_per_elementwise_op=1.0, pj_per_byte={"sram": 5.0})
    array([[1. , 0.5]])
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
