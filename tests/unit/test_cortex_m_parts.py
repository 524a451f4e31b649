"""The shipped Cortex-M parts: each loads, estimates tinylstm, and says where its figures come from."""

from __future__ import annotations

import numpy as np
import pytest

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.lint import check_profile
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import source_of
from npuexplore.pipeline.verify.silicon_rows import board_of, fc_widths, full_stack
from npuexplore.workload.load import load_network

PARTS = [
    "stm32f746",
    "stm32f446",
    "stm32l4r5",
    "stm32l4r9",
    "stm32h743",
    "stm32h7a3",
    "stm32u575",
    "nrf5340",
    "apollo4-plus",
    "apollo510",
    "rp2040",
    "rp2350",
    "imxrt1062",
    "alif-e7-m55-he",
    "alif-e7-m55-hp",
    "ra8d1",
    "numaker-m467",
    "psoc62",
    "ra6m4",
    "stm32g0b1",
    "stm32f207",
]


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_sound_and_estimates_the_papers_network_in_every_mode(name):
    profile, network = load_profile(name), load_network("tinylstm")

    assert check_profile(profile) == []
    for key in ("clock_hz", "engine.memory_wait_ratio"):
        assert source_of(profile, key).cite
    for mode in profile.memory_modes:
        outcome = estimate(profile, network, CompressionPlan(), memory_mode=mode)
        assert np.isfinite(outcome.latency_ms).all()
        assert outcome.latency_ms[0] > 0


def test_parts_with_serial_flash_are_bound_by_it_and_not_by_sram():
    profile, network = load_profile("imxrt1062"), load_network("lstm64x2")
    flash, tcm = (
        estimate(profile, network, CompressionPlan(), memory_mode=mode).latency_ms[0]
        for mode in ("execute_in_place", "weights_in_tcm")
    )
    assert flash > 2 * tcm


def test_whole_chip_powers_stand_alone():
    known = [name for name in PARTS if load_profile(name).energy.active_power_mw is not None]

    assert set(known) >= {"stm32l4r5", "stm32h7a3", "stm32u575", "nrf5340"}
    for name in known:
        profile = load_profile(name)
        assert profile.energy.pj_per_mac == 0.0
        assert estimate(profile, load_network("tinylstm"), CompressionPlan()).energy_uj[0] > 0


def test_boards_stacks_and_shapes_are_told_from_what_submitters_write():
    assert board_of("NRF5340-DK_MICROTVM-CMSIS-NN") == board_of("NRF5340-DK") == "nrf5340"
    assert board_of("CY8CPROTO_062_4343W_int8_max_performance") == board_of("cy8cproto_062_4343w")
    assert full_stack("X-CUBE-AI", "NUCLEO-H7A3ZI-Q_X-CUBE-AI-8.0") == "X-CUBE-AI 8.0"
    assert full_stack("X-CUBE-AI 9.0", "NUCLEO_H7A3ZI_Q") == "X-CUBE-AI 9.0"
    assert fc_widths("FC autoencoder 640-128x4-8-128x4-640, int8") == (640, *[128] * 4, 8, *[128] * 4, 640)
    assert fc_widths("Text generation LSTM") == ()
