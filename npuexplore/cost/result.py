"""What an estimate is: arrays over plans and layers, totals over plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch
from npuexplore.cost.calibration import around, whole_around
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.counts import Counts
from npuexplore.workload.network import Network

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class LayerEstimates:
    """(P, 1 + L) each unless said otherwise; column 0 is the front end, then the network's layers."""

    macs: Counts
    """MACs of the dense network."""
    kept_macs: Counts
    """MACs with non-zero weights."""
    compute_cycles: Counts
    """Cycles if memories were infinitely fast."""
    cycles: Counts
    weight_bytes: Counts
    """As stored."""
    bound_by: NDArray[np.int8]
    """Index into `Estimate.bound_names`."""
    weight_format: NDArray[np.int8]
    """Index into `Estimate.formats`."""
    memory_cycles: Mapping[str, Counts]
    """By memory region."""
    live_bytes: Counts
    """(P, 2 + L) of the activations' memory: analysis, the network's layers, synthesis."""


@dataclass(frozen=True)
class Totals:
    """(P,) each; energy is None where the profile does not source it."""

    macs: Counts
    kept_macs: Counts
    cycles: Counts
    latency_ms: Floats
    """Of a frame in which every layer runs."""
    mean_latency_ms: Floats
    """Over frames, with the plan's share of them skipped."""
    flash_bytes: Counts
    sram_bytes: Counts
    weight_bytes: Counts
    energy_uj: Floats | None
    """Mean per frame."""
    average_power_mw: Floats | None
    real_time_factor: Floats
    """Worst latency / deadline."""


@dataclass(frozen=True)
class Estimate(Totals):
    """P plans of one network on one part: the totals themselves, the layers, and what fits."""

    profile: HardwareProfile
    network: Network
    memory_mode: str
    plans: PlanBatch
    layer_names: tuple[str, ...]
    layer_kinds: tuple[str, ...]
    bound_names: tuple[str, ...]
    formats: tuple[str, ...]
    layers: LayerEstimates
    fits_flash: Flags
    fits_sram: Flags
    fits_weights: Flags
    """True where flash or SRAM, which have limits of their own, holds the weights."""
    fits_deadline: Flags
    flash_capacity_bytes: int
    sram_capacity_bytes: int
    weight_capacity_bytes: int | None
    """Of a memory for the engine's weights only; None where there is none."""
    engine_weight_bytes: Counts
    """(P,) stored weights of the layers that the engine runs."""
    deadline_ms: float
    assumptions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def profile_name(self) -> str:
        """Name of the part."""
        return self.profile.name

    @property
    def cycles_interval(self) -> Counts | None:
        """(P, 2) between which measured cycles are expected; None where the profile is not calibrated."""
        calibration = self.profile.calibration
        return None if calibration is None else whole_around(self.cycles, calibration.interval)

    @property
    def latency_ms_interval(self) -> Floats | None:
        """(P, 2) between which a measured `latency_ms` is expected; None as above."""
        calibration = self.profile.calibration
        return None if calibration is None else around(self.latency_ms, calibration.interval)

    @property
    def fits(self) -> Flags:
        """(P,) whether a plan keeps every limit."""
        return self.fits_flash & self.fits_sram & self.fits_weights & self.fits_deadline
