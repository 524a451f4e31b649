"""The latencies of TinyLSTMs (arXiv 2005.11138) in two columns: at the paper's rate, and by our kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.units import OPS_PER_MAC
from npuexplore.workload.counts import network_tables
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

PAPER_OPS_PER_MS = 155_000
"""1.55 MOps per 10 ms, at which the paper turns operations into time (arXiv 2005.11138)."""
SKIP_RATE_FRAC = 0.439
"""Ours: the share of frames without an update with which 4.26 ms become 2.39 ms on average."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Latencies:
    """What a row of the paper takes, in two ways."""

    paper_rate_ms: float
    kernels_ms: float
    """Of the layers, without the front end, on the part's profile."""
    note: str


def is_tinylstms(workload: str) -> bool:
    """Whether a workload is one of the paper's."""
    return workload.startswith("TinyLSTMs")


def latencies(workload: str, *, profile: str, clock_mhz: float) -> Latencies:
    """Our times for a row of the paper, whose network is told from the words of its workload."""
    skip = SKIP_RATE_FRAC if "skip" in workload.lower() else 0.0
    network = load_network("tinylstm-pruned" if "pruned" in workload else "tinylstm")
    outcome = estimate(load_profile(profile), network, CompressionPlan())
    layer_cycles = float(outcome.layers.cycles[0, 1:].sum())
    return Latencies(
        paper_rate_ms=(1 - skip) * operations(network) / PAPER_OPS_PER_MS,
        kernels_ms=(1 - skip) * layer_cycles / (1_000 * clock_mhz),
        note=_note(network, skip, layer_cycles),
    )


def operations(network: Network) -> int:
    """Operations of a frame: two per MAC, and one per addition, product, sigmoid or tanh beside them.

    >>> operations(load_network("tinylstm"))
    1940096
    """
    tables = network_tables(network)
    beside = tables.units * (tables.elementwise_per_unit + tables.lut_per_unit)
    return int(OPS_PER_MAC * tables.dense_macs.sum() + beside.sum())


def smaller_and_fewer(network: Network) -> tuple[float, float]:
    """How many times fewer bytes (int8 against tinylstm in float32) and operations a network takes."""
    whole = load_network("tinylstm")
    weights, own = network_tables(whole).dense_macs.sum(), network_tables(network).dense_macs.sum()
    return float(FLOAT_BYTES * weights / own), operations(whole) / operations(network)


def _note(network: Network, skip: float, layer_cycles: float) -> str:
    per_mac = layer_cycles / float(network_tables(network).dense_macs.sum())
    gap = f"the paper's rate is 2.79 cycles a MAC; our kernels take {per_mac:.2f}, element-wise work included"
    if network.name == "tinylstm":
        return gap
    smaller, fewer = smaller_and_fewer(network)
    sizes = ", ".join(str(units) for units in np.asarray(network_tables(network).units))
    skipped = f", {skip:.1%} of frames skipped" if skip else ""
    return (
        f"sizes are ours: {sizes} units, {smaller:.2f}x smaller than float32, {fewer:.2f}x fewer "
        f"operations{skipped}; {gap}"
    )
