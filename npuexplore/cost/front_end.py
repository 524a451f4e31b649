"""The front end as a layer: windowed FFT, bands, log features, mask, inverse FFT and overlap-add in float32.

Operation counts are ours: a real FFT of N samples takes 2.5 N log2 N operations (half a complex split-radix
FFT's 5 N log2 N); each bin lies in two triangular bands.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from npuexplore.cost.waterfall import Waterfall, allot
from npuexplore.hardware.profile import FrontEndCpu
from npuexplore.workload.network import Network

FLOAT_BYTES = 4
FFT_OPS_PER_POINT_AND_STAGE = 2.5
LOG_OPS = 25
"""A logarithm, its running mean and the scaling, for each band."""
BANDS_PER_BIN = 2


@dataclass(frozen=True)
class FrontEndCosts:
    """What the front end takes per frame."""

    ops: int
    cpu_cycles: int
    engine_cycles: int
    table_bytes: int
    """Window, twiddle factors and band weights in flash."""
    resident_bytes: int
    """Last window, overlap and running means in SRAM; alive all the time."""
    spectrum_bytes: int
    """The spectrum that the mask is laid over; alive while the network runs."""
    work_bytes: int
    """What the FFT works in; alive before and after the network."""


def front_end_ops(*, window_samples: int, bins: int, bands: int) -> int:
    """Floating-point operations of one frame.

    >>> front_end_ops(window_samples=512, bins=257, bands=128)
    31117
    """
    fft = FFT_OPS_PER_POINT_AND_STAGE * window_samples * math.log2(window_samples)
    windows_and_overlap = 3 * window_samples
    power, masking = 3 * bins, 2 * bins
    band_products = 2 * (2 * BANDS_PER_BIN * bins)
    return math.ceil(2 * fft + windows_and_overlap + power + masking + band_products + LOG_OPS * bands)


def front_end_costs(network: Network, cpu: FrontEndCpu) -> FrontEndCosts:
    """Cycles and bytes of the front end of a network on a CPU."""
    clock = network.frame_clock
    ops = front_end_ops(window_samples=clock.window_samples, bins=clock.spectrum_bins, bands=network.bands)
    cpu_cycles = round(ops * cpu.cycles_per_op)
    band_weights = 2 * BANDS_PER_BIN * clock.spectrum_bins
    return FrontEndCosts(
        ops=ops,
        cpu_cycles=cpu_cycles,
        engine_cycles=math.ceil(cpu_cycles * cpu.engine_cycles_per_cpu_cycle),
        table_bytes=FLOAT_BYTES * (2 * clock.window_samples + band_weights),
        resident_bytes=FLOAT_BYTES * (2 * clock.window_samples + 2 * network.bands),
        spectrum_bytes=FLOAT_BYTES * 2 * clock.spectrum_bins,
        work_bytes=FLOAT_BYTES * clock.window_samples,
    )


def waterfall(costs: FrontEndCosts) -> Waterfall:
    """(1, 1) where the front end's cycles go: it runs on its CPU from end to end."""
    return allot(np.array([[costs.engine_cycles]]), {}, rest="cpu")
