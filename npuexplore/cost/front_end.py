"""The front end as a layer: window, FFT, bands, log features, mask, inverse FFT and overlap-add on a CPU.

The stages are those of `audio.stft`: the transform is as long as the window, whatever that is. On the cores
of hw_profiles/kernels/dsp.json their cycles follow from butterflies and element-wise work; on any other CPU
from its `cycles_per_op` and a real FFT's 2.5 N log2 N operations (half of what the usual 5 N log2 N say of a
complex one).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from npuexplore.cost import fft
from npuexplore.cost.waterfall import Waterfall, allot
from npuexplore.hardware.kernels.dsp import ELEMENT_BYTES, DspKernel, dsp_kernel
from npuexplore.hardware.profile import FrontEndCpu
from npuexplore.workload.network import FrameClock, Network

STAGES = ("window", "fft", "power", "bands", "log", "mask", "inverse_fft", "overlap_add")
"""PCM to numbers and the window; the spectrum; its power; band powers; logarithms less their running mean,
rounded for the network; the network's gains spread over the bins and multiplied; back to samples; their sum
with the last frames' and PCM again."""

WINDOW_OPS, FROM_PCM_OPS = 4, 3
"""Per sample of the window: two loads, product, store; per new sample: load, conversion, store."""
POWER_OPS = 5
"""Per bin: two loads, product, multiply-add, store."""
BANDS_OPS = 10
"""Per bin, which lies in two bands: its power, two weights, and twice load, multiply-add and store, with one
address to look up."""
MEAN_AND_ROUND_OPS = 12
"""Per band, beside the logarithm: the running mean's update, scaling, rounding and saturating to integers."""
GAIN_OPS = 3
"""Per band: the network's integer output to a gain."""
SPREAD_OPS = 8
"""Per bin: two gains and their weights, product, multiply-add, store, with one address to look up."""
MASK_OPS = 7
"""Per bin: real and imaginary part and gain, two products, two stores."""
OVERLAP_ADD_OPS, TO_PCM_OPS = 5, 4
"""Per sample of the window: sample, window, sum, multiply-add, store; per finished sample: load, scale and
saturate, store, shift of what is left."""

FFT_OPS_PER_POINT_AND_STAGE = 2.5
LOG_OPS = 25
"""Of a CPU without tables: a logarithm, its running mean and the scaling, for each band."""
BANDS_PER_BIN = 2

REORDER_BYTES_PER_POINT = 4
"""Pairs of 16-bit indices; arm_cfft_f32 has 440 of them for 256 points (armBitRevIndexTable256)."""
BAND_INDEX_BYTES_PER_BIN = 2


@dataclass(frozen=True)
class FrontEndCosts:
    """What the front end takes per frame."""

    cpu_cycles: int
    engine_cycles: int
    table_bytes: int
    """Window, twiddle factors, bit reversal and band weights in flash."""
    resident_bytes: int
    """Last window, overlap and running means in SRAM; alive all the time."""
    spectrum_bytes: int
    """The spectrum that the mask is laid over; alive while the network runs."""
    work_bytes: int
    """What the FFT works in; alive before and after the network."""
    stages: Mapping[str, int]
    """CPU cycles by name in STAGES; they add up to `cpu_cycles`."""


def front_end_ops(*, window_samples: int, bins: int, bands: int) -> dict[str, float]:
    """Floating-point operations of the stages of one frame, loads and stores not counted.

    >>> sum(front_end_ops(window_samples=512, bins=257, bands=128).values())
    31117.0
    """
    transform = FFT_OPS_PER_POINT_AND_STAGE * window_samples * math.log2(window_samples)
    band_products = 2 * BANDS_PER_BIN * bins
    return {
        "window": window_samples,
        "fft": transform,
        "power": 3 * bins,
        "bands": band_products,
        "log": LOG_OPS * bands,
        "mask": band_products + 2 * bins,
        "inverse_fft": transform,
        "overlap_add": 2 * window_samples,
    }


def kernel_cycles(kernel: DspKernel, *, clock: FrameClock, bands: int) -> dict[str, float]:
    """CPU cycles of the stages of one frame, with the memories that the kernel was timed with."""
    window, hop, bins = clock.window_samples, clock.hop_samples, clock.spectrum_bins
    streamed, gathered = kernel.streamed_cycles_per_op, kernel.gathered_cycles_per_op
    return {
        "window": streamed * (WINDOW_OPS * window + FROM_PCM_OPS * hop),
        "fft": fft.real_fft_cycles(window, kernel),
        "power": streamed * POWER_OPS * bins,
        "bands": gathered * BANDS_OPS * bins,
        "log": bands * (kernel.log_cycles + streamed * MEAN_AND_ROUND_OPS),
        "mask": gathered * SPREAD_OPS * bins + streamed * (MASK_OPS * bins + GAIN_OPS * bands),
        "inverse_fft": fft.inverse_real_fft_cycles(window, kernel),
        "overlap_add": streamed * (OVERLAP_ADD_OPS * window + TO_PCM_OPS * hop),
    }


def front_end_costs(network: Network, cpu: FrontEndCpu) -> FrontEndCosts:
    """Cycles and bytes of the front end of a network on a CPU.

    >>> from npuexplore import load_network
    >>> costs = front_end_costs(load_network("tinylstm"), FrontEndCpu(core="DSP", cycles_per_op=1.0))
    >>> costs.stages["fft"], costs.cpu_cycles
    (11520, 31117)
    """
    return _costs(network.frame_clock, network.bands, cpu)


def kernel_of(cpu: FrontEndCpu) -> DspKernel | None:
    """The kernels that price a CPU; None where it states its own cycles per operation."""
    if cpu.cycles_per_op is not None or cpu.kernel_core is None:
        return None
    return dsp_kernel(cpu.kernel_core, cpu.works_in)


def front_end_sentence(network: Network, cpu: FrontEndCpu) -> str:
    """How the front end is priced, for people."""
    kernel, window = kernel_of(cpu), network.frame_clock.window_samples
    head = f"front end (FFT, bands, mask, overlap-add) in {cpu.works_in} on a {cpu.core}"
    tail = ", before and after the network"
    waits = "" if cpu.memory_wait_ratio == 1.0 else f", {cpu.memory_wait_ratio:g} times for its memories"
    if kernel is None:
        return f"{head} at {cpu.cycles_per_op:g} cycles per operation{waits}{tail}"
    whole = "" if fft.is_power_of_two(window) else ", a length that CMSIS-DSP itself has no transform for"
    timed = kernel.source_of("butterfly_cycles")
    return (
        f"{head} with kernels like CMSIS-DSP's{waits}{tail}: the FFT of {window} samples as "
        f"{fft.way(window, kernel)}{whole}; its cycles are {timed.source} ({timed.cite}), "
        f"element-wise work is counted in instructions"
    )


def front_end_document(network: Network, cpu: FrontEndCpu) -> dict[str, object]:
    """The front end's parts, as `estimate --json` prints them; cycles are the CPU's."""
    costs, kernel = front_end_costs(network, cpu), kernel_of(cpu)
    return {
        "core": cpu.core,
        "arithmetic": cpu.works_in,
        "priced_by": "cycles_per_op" if kernel is None else "kernels/dsp.json",
        "cpu_cycles": costs.cpu_cycles,
        "stages": [{"name": name, "cpu_cycles": cycles} for name, cycles in costs.stages.items()],
        "table_bytes": costs.table_bytes,
        "resident_bytes": costs.resident_bytes,
        "spectrum_bytes": costs.spectrum_bytes,
        "work_bytes": costs.work_bytes,
    }


def waterfall(costs: FrontEndCosts) -> Waterfall:
    """(1, 1) where the front end's cycles go: it runs on its CPU from end to end."""
    return allot(np.array([[costs.engine_cycles]]), {}, rest="cpu")


@lru_cache(maxsize=256)
def _costs(clock: FrameClock, bands: int, cpu: FrontEndCpu) -> FrontEndCosts:
    kernel = kernel_of(cpu)
    stages = {
        name: round(round(cycles) * cpu.memory_wait_ratio)
        for name, cycles in _stage_cycles(clock, bands, cpu, kernel).items()
    }
    cpu_cycles = sum(stages.values())
    elem_bytes = ELEMENT_BYTES[cpu.works_in]
    window, bins = clock.window_samples, clock.spectrum_bins
    return FrontEndCosts(
        cpu_cycles=cpu_cycles,
        engine_cycles=math.ceil(cpu_cycles * cpu.engine_cycles_per_cpu_cycle),
        table_bytes=_table_bytes(clock, kernel, elem_bytes),
        resident_bytes=elem_bytes * (2 * window + 2 * bands),
        spectrum_bytes=elem_bytes * 2 * bins,
        work_bytes=elem_bytes * (window if kernel is None else fft.work_elems(window, kernel)),
        stages=stages,
    )


def _stage_cycles(
    clock: FrameClock, bands: int, cpu: FrontEndCpu, kernel: DspKernel | None
) -> dict[str, float]:
    if kernel is not None:
        return kernel_cycles(kernel, clock=clock, bands=bands)
    ops = front_end_ops(window_samples=clock.window_samples, bins=clock.spectrum_bins, bands=bands)
    return {name: count * (cpu.cycles_per_op or 0.0) for name, count in ops.items()}


def _table_bytes(clock: FrameClock, kernel: DspKernel | None, elem_bytes: int) -> int:
    """Window, twiddle factors, and for the bins their two weights in analysis and in synthesis."""
    window, bins = clock.window_samples, clock.spectrum_bins
    band_weights = 2 * BANDS_PER_BIN * bins
    if kernel is None:
        return elem_bytes * (2 * window + band_weights)
    indices = REORDER_BYTES_PER_POINT * (window // 2) + BAND_INDEX_BYTES_PER_BIN * bins
    return elem_bytes * (window + fft.twiddle_elems(window, kernel) + band_weights) + indices
