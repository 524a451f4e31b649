from __future__ import annotations

from typing import Any

from cost_cases import dense_case, network_of, recurrent_case

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import FallbackCpu, HardwareProfile
from npuexplore.workload.network import Network

MICRONPU = load_profile("micronpu-block16")
M7 = load_profile("stm32f746")
LSTM = recurrent_case("lstm", 32, 16)
DENSE = dense_case(32, 16)


def assumed(profile: HardwareProfile, network: Network, plan: CompressionPlan | None = None) -> str:
    return "\n".join(estimate(profile, network, plan or CompressionPlan()).assumptions)


def with_engine(profile: HardwareProfile, **figures: Any) -> HardwareProfile:
    return profile.model_copy(update={"engine": profile.engine.model_copy(update=figures)})


def with_mode(**figures: Any) -> HardwareProfile:
    mode = MICRONPU.memory_modes[MICRONPU.default_memory_mode].model_copy(update=figures)
    return MICRONPU.model_copy(
        update={"memory_modes": {**MICRONPU.memory_modes, MICRONPU.default_memory_mode: mode}}
    )


def test_the_memory_mode_says_what_lies_where() -> None:
    assert "weights_in_flash: weights in flash, activations and state in sram\n" in assumed(MICRONPU, LSTM)

    placed = assumed(with_mode(network_io="flash", staging="sram", arena_limit_bytes=65_536), LSTM)

    assert "activations and state in sram, the network's inputs and outputs in flash, " in placed
    assert "weights may be staged in sram, at most 65,536 bytes of sram for the net" in placed


def test_a_microNPU_says_what_it_does_with_zeros_and_formats() -> None:
    assert "blocks of zeros are neither stored nor multiplied" in assumed(MICRONPU, LSTM)
    assert "the fastest of dense, block_bitmap" in assumed(MICRONPU, LSTM)

    plain = assumed(with_engine(MICRONPU, sparsity_mode="none", formats=("dense",)), LSTM)

    assert "zeros are stored and multiplied like other weights" in plain
    assert "the fastest of" not in plain
    assert "lanes" not in plain


def test_a_microNPU_says_when_it_fetches_weights() -> None:
    assert "overlap with weight decode and with weights streamed from memory" in assumed(MICRONPU, LSTM)
    late = assumed(with_engine(MICRONPU, weight_transfer="before_use"), LSTM)
    assert "start when a layer's weights have been fetched" in late


def test_work_that_falls_to_the_cpu_is_named_with_its_price() -> None:
    cpu = FallbackCpu(
        core="Cortex-M33",
        cycles_per_mac=2.0,
        cycles_per_lut_elem=25.0,
        cycles_per_elementwise_op=4.0,
        cycles_per_handover=100,
    )
    profile = with_engine(MICRONPU, runs=("dense", "lstm", "relu", "sigmoid")).model_copy(
        update={"fallback_cpu": cpu}
    )

    assert "the engine does not run" not in assumed(MICRONPU, LSTM)
    assert "the engine does not run" not in assumed(profile, DENSE)
    assert "does not run tanh and what follows it" in assumed(profile, LSTM)
    assert "the Cortex-M33 takes 2 cycles per MAC, 25 per look-up" in assumed(profile, LSTM)


def test_a_cortex_m_speaks_of_what_the_network_has() -> None:
    convolution = network_of(
        {"kind": "conv1x1", "name": "first", "positions": 4, "output_channels": 8}, bands=32
    )

    assert "built by gcc12.2-Ofast" in assumed(M7, DENSE)
    assert "inside recurrent steps" in assumed(M7, LSTM)
    assert "inside recurrent steps" not in assumed(M7, DENSE)
    assert "once for every position" in assumed(M7, convolution)
    assert "once for every position" not in assumed(M7, LSTM)


def test_skipping_is_explained_only_where_frames_are_skipped() -> None:
    assert "skipped frame" not in assumed(M7, LSTM)
    assert "skipped frame" in assumed(M7, LSTM, CompressionPlan(skip_rate_frac=0.3))


def test_energy_says_what_it_leaves_out_or_which_figures_are_missing() -> None:
    assert "of the front end and the network alone" in assumed(MICRONPU, LSTM)
    unknown = assumed(M7, LSTM)
    assert "energy unknown: stm32f746 has no sourced energy.pj_per_mac, " in unknown
    assert "pj_per_conv_mac" not in unknown
