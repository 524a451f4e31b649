"""The front end's price: how it grows with windows, bands, waits and clocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost import part
from npuexplore.cost.estimate import estimate
from npuexplore.cost.fft import (
    BUTTERFLY_OPS,
    complex_fft_cycles,
    inverse_real_fft_cycles,
    passes,
    radices,
    real_fft_cycles,
    twiddle_elems,
    work_elems,
)
from npuexplore.cost.front_end import STAGES, FrontEndCosts, front_end_costs
from npuexplore.hardware.kernels.dsp import CORE_NAMES, arithmetics, dsp_kernel
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import FrontEndCpu
from npuexplore.workload.network import Network

KERNELS = [dsp_kernel(core, arithmetic) for core in CORE_NAMES.values() for arithmetic in arithmetics(core)]
CPUS = [
    FrontEndCpu(core=name, arithmetic=arithmetic)
    for name, core in CORE_NAMES.items()
    for arithmetic in arithmetics(core)
]
LENGTHS = st.integers(16, 8_192)


def _network(*, window: int = 512, hop: int | None = None, bands: int = 64) -> Network:
    return Network.model_validate(
        {
            "schema": "npuexplore.network/1",
            "name": "case",
            "frame_clock": {"window_samples": window, "hop_samples": hop or window // 2},
            "bands": bands,
            "layers": [{"kind": "dense", "name": "mask", "output_features": bands, "activation": "sigmoid"}],
        }
    )


def _costs(cpu: FrontEndCpu, **network: Any) -> FrontEndCosts:
    return front_end_costs(_network(**network), cpu)


@given(length=LENGTHS, base=st.sampled_from([4, 8]))
def test_the_passes_of_a_length_multiply_to_it_and_move_every_point(length: int, base: int) -> None:
    factors, steps = radices(length, base=base), passes(length, base=base)
    largest = max(factor for factor in range(2, length + 1) if length % factor == 0 and _is_prime(factor))
    assert (factors is None) == (largest > 5)
    if factors is not None:
        assert steps is not None
        assert math.prod(factors) == length
        assert all(step.radix * (step.twiddled + step.plain) == length for step in steps)
        assert steps[-1].twiddled == 0


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel.core}-{kernel.arithmetic}")
@given(power=st.integers(4, 10))
def test_one_pass_more_takes_more_than_its_share(kernel: Any, power: int) -> None:
    """A radix times as many points; a mere doubling may turn passes of radix 2 and 4 into one of radix 8."""
    points, longer = 2**power, 2**power * kernel.radix
    work = complex_fft_cycles(points, kernel) - kernel.call_cycles

    assert complex_fft_cycles(longer, kernel) - kernel.call_cycles > kernel.radix * work


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: f"{kernel.core}-{kernel.arithmetic}")
def test_a_longer_power_of_two_is_dearer_and_the_way_back_dearer_than_there(kernel: Any) -> None:
    lengths = [2**power for power in range(4, 14)]
    there = [real_fft_cycles(length, kernel) for length in lengths]

    assert there == sorted(there)
    assert all(
        inverse_real_fft_cycles(length, kernel) > cycles
        for length, cycles in zip(lengths, there, strict=True)
    )


@given(length=LENGTHS, kernel=st.sampled_from(KERNELS))
def test_any_length_has_a_price_and_none_is_below_its_reading_and_writing(length: int, kernel: Any) -> None:
    points = length if length % 2 else length // 2
    least = 2 * points * kernel.butterfly_cycles[8] / BUTTERFLY_OPS[8][0]

    assert real_fft_cycles(length, kernel) > least
    assert twiddle_elems(length, kernel) >= 2 * points
    assert work_elems(length, kernel) >= 2 * points


def test_a_25_ms_window_is_transformed_at_its_own_length() -> None:
    m7 = dsp_kernel("m7", "float32")
    cycles = {length: real_fft_cycles(length, m7) for length in (256, 400, 512, 502)}

    assert cycles[256] < cycles[400] < 1.25 * cycles[512]
    assert cycles[502] > 3 * cycles[512]  # 251 is prime: two transforms of 512 complex points


@pytest.mark.parametrize("cpu", CPUS, ids=lambda cpu: f"{cpu.core}-{cpu.works_in}")
@given(bands=st.lists(st.integers(2, 200), min_size=2, max_size=2).map(sorted))
def test_more_bands_are_never_cheaper(cpu: FrontEndCpu, bands: list[int]) -> None:
    few, many = (_costs(cpu, bands=count) for count in bands)

    assert few.cpu_cycles <= many.cpu_cycles
    assert few.resident_bytes <= many.resident_bytes


@given(cpu=st.sampled_from(CPUS), window=st.integers(8, 1_000).map(lambda half: 2 * half))
def test_the_stages_add_up_and_each_takes_something(cpu: FrontEndCpu, window: int) -> None:
    costs = _costs(cpu, window=window, bands=8)

    assert tuple(costs.stages) == STAGES
    assert sum(costs.stages.values()) == costs.cpu_cycles
    assert min(costs.stages.values()) > 0


@given(cpu=st.sampled_from(CPUS), ratio=st.floats(1.0, 4.0))
def test_waiting_for_memories_takes_that_much_longer(cpu: FrontEndCpu, ratio: float) -> None:
    waiting = cpu.model_copy(update={"memory_wait_ratio": ratio})

    assert _costs(waiting).cpu_cycles == pytest.approx(ratio * _costs(cpu).cpu_cycles, abs=len(STAGES))


def test_a_figure_of_its_own_counts_before_the_kernels_of_a_core() -> None:
    given_too = FrontEndCpu(core="Cortex-M7", cycles_per_op=2.0)
    unknown = FrontEndCpu(core="C28x", cycles_per_op=2.0)

    assert _costs(given_too) == _costs(unknown)
    assert _costs(given_too).cpu_cycles != _costs(FrontEndCpu(core="Cortex-M7")).cpu_cycles


def test_half_as_wide_numbers_take_half_the_buffers() -> None:
    wide, narrow = (
        _costs(FrontEndCpu(core="Cortex-M0+", arithmetic=arithmetic)) for arithmetic in ("q31", "q15")
    )
    assert wide.resident_bytes == 2 * narrow.resident_bytes
    assert wide.spectrum_bytes == 2 * narrow.spectrum_bytes
    assert wide.work_bytes == 2 * narrow.work_bytes
    assert narrow.cpu_cycles < wide.cpu_cycles


def test_another_clock_changes_the_front_end_s_time_and_not_its_cycles() -> None:
    profile = load_profile("micronpu-block16")
    faster = profile.model_copy(update={"clock_hz": 2 * profile.clock_hz})
    slow, fast = (estimate(each, _network(), CompressionPlan()) for each in (profile, faster))

    assert np.array_equal(slow.layers.cycles, fast.layers.cycles)
    assert fast.latency_ms[0] == pytest.approx(slow.latency_ms[0] / 2)


def test_however_many_plans_the_front_end_is_priced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*arguments: Any) -> FrontEndCosts:
        calls.append(arguments)
        return front_end_costs(*arguments)

    monkeypatch.setattr(part, "front_end_costs", counted)
    estimate(load_profile("micronpu-block16"), _network(), [CompressionPlan()] * 100)

    assert len(calls) == 1
