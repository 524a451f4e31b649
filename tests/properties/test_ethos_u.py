"""What must hold on any Ethos-U, whatever the figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npuexplore.compression.plan import LayerPlan, uniform_plan
from npuexplore.cost.estimate import estimate
from npuexplore.cost.ethos_u.blocks import product_blocks
from npuexplore.cost.ethos_u.search import searched_blocks
from npuexplore.cost.ethos_u.streams import burst_bytes, channel_rate
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.load import compose_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import load_network

NETWORK = load_network("tinylstm")
PARTS = {
    "ethos-u55-32": "ethos_u55_deep_embedded",
    "ethos-u55-256": "ethos_u55_high_end_embedded",
    "ethos-u65-512": "ethos_u65_high_end",
    "ethos-u85-128": "ethos_u85_sys_flash_high",
    "ethos-u85-256": "ethos_u85_sys_dram_mid",
    "ethos-u85-2048": "ethos_u85_sys_flash_low",
}
sizes = st.integers(1, 1_100)


def _engine(part: str) -> EthosU:
    engine = compose_profile(part, PARTS[part]).engine
    assert isinstance(engine, EthosU)
    return engine


def _with_memory(profile: HardwareProfile, name: str, **figures: object) -> HardwareProfile:
    memory = profile.memories[name].model_copy(update=figures)
    return profile.model_copy(update={"memories": {**profile.memories, name: memory}})


@pytest.mark.parametrize("part", PARTS)
@given(inputs=sizes, outputs=sizes, wide=st.booleans(), two_four=st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_search_of_blocks_ends_at_the_table_for_a_single_position(
    part: str, inputs: int, outputs: int, wide: bool, two_four: bool
) -> None:
    case = {
        "inputs": np.array([inputs]),
        "outputs": np.array([outputs]),
        "input_bytes": np.array([2 if wide else 1]),
        "two_four": np.array([two_four and part.startswith("ethos-u85")]),
    }

    table = product_blocks(_engine(part), **case)
    searched = searched_blocks(_engine(part), **case, positions=1)

    for name in ("ublock_width", "ublock_depth", "depth", "ifm_depth"):
        assert getattr(table, name)[0] == getattr(searched, name)[0], name


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("memory", ["sram", "flash", "dram"])
def test_a_wider_bus_is_never_slower(part: str, memory: str) -> None:
    profile = compose_profile(part, PARTS[part])
    if memory not in profile.memories:
        pytest.skip("the system has no such memory")
    plan = uniform_plan(NETWORK, LayerPlan(structure="weight", sparsity_frac=0.5))
    for mode in profile.memory_modes:
        rate = profile.memories[memory].bytes_per_cycle
        wider = _with_memory(profile, memory, bytes_per_cycle=2 * rate)

        now = estimate(profile, NETWORK, plan, memory_mode=mode).cycles[0]

        assert estimate(wider, NETWORK, plan, memory_mode=mode).cycles[0] <= now


@pytest.mark.parametrize("part", PARTS)
def test_more_zeros_never_take_more_bytes_of_flash(part: str) -> None:
    profile = compose_profile(part, PARTS[part])
    plans = [
        uniform_plan(NETWORK, LayerPlan(structure="weight", sparsity_frac=share))
        for share in (0.0, 0.5, 0.8, 0.9)
    ]

    flash = estimate(profile, NETWORK, plans).flash_bytes

    assert (np.diff(flash) <= 0).all()


@given(moved=st.integers(1, 10_000), run=st.integers(1, 512), burst=st.sampled_from([16, 32, 64, 128]))
def test_bursts_never_move_less_than_was_asked(moved: int, run: int, burst: int) -> None:
    assert burst_bytes(np.array(moved), np.array(run), burst=burst) >= moved


@pytest.mark.parametrize("channel", ["ifm", "weight", "fast_weight", "scale", "mem2mem", "write"])
def test_a_channel_is_never_faster_than_its_memory(channel: str) -> None:
    for part, system in PARTS.items():
        for memory in compose_profile(part, system).memories.values():
            assert channel_rate(_engine(part), memory, channel) <= memory.bytes_per_cycle


def test_16_bit_activations_are_never_faster() -> None:
    for part, system in PARTS.items():
        profile = compose_profile(part, system)
        narrow, wide = (
            estimate(profile, NETWORK, uniform_plan(NETWORK, LayerPlan(activation_bits=bits)))
            for bits in (8, 16)
        )
        assert (wide.layers.cycles >= narrow.layers.cycles)[:, 1:].all(), part
