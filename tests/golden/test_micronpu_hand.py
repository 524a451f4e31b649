"""A generic microNPU's terms, worked out by hand for one dense layer of 64 inputs and 32 outputs.

The part: 8 x 16 MACs, decoder and memories at 4096 bytes per cycle, so that a row turns one thing at a time.
"""

from __future__ import annotations

from typing import Any

import pytest
from cost_cases import dense_case, first_layer_plan, network_of

from npuexplore.compression.plan import CompressionPlan, batch_plans
from npuexplore.compression.shapes import plan_shapes
from npuexplore.cost.compute import EngineCosts
from npuexplore.cost.estimate import estimate
from npuexplore.cost.layers import engine_costs
from npuexplore.cost.micronpu.waterfall import waterfall
from npuexplore.cost.part import part_of
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import FallbackCpu, HardwareProfile
from npuexplore.workload.network import Network

BASE = load_profile("micronpu-block16")
DENSE: dict[str, Any] = {}
BLOCKS = {"structure": "block", "sparsity_frac": 0.75, "block": (1, 16)}
SINGLE = {"structure": "weight", "sparsity_frac": 0.75}
TWO_FOUR = {"structure": "two_four"}
ZERO_SKIP = {"sparsity_mode": "zero_skip", "formats": ["dense", "bitmap"]}
SKIP_TWO_FOUR = {"sparsity_mode": "two_four", "formats": ["dense", "two_four"]}
CPU = FallbackCpu(
    core="Cortex-M4",
    cycles_per_mac=2.0,
    cycles_per_lut_elem=30.0,
    cycles_per_elementwise_op=5.0,
    cycles_per_handover=1000,
    engine_cycles_per_cpu_cycle=2.0,
)

MAC_ROWS = [
    # engine, plan, array cycles, hand
    ({}, DENSE, 16, "32/8 * 64/16"),
    ({"outputs_per_cycle": 5}, DENSE, 28, "ceil(32/5) * 64/16, the last row of tiles two fifths full"),
    ({}, {"activation_bits": 16}, 32, "two passes"),
    ({"weight_rates": [{"weight_bits": 4, "mac_rate_factor": 3.0}]}, {"weight_bits": 4}, 6, "ceil(16 / 3)"),
    ({}, BLOCKS, 4, "128 blocks, 32 left of 16 weights, 128 a cycle"),
    ({"granule": [3, 16]}, BLOCKS, 13, "44 granules of 3 blocks, 1 - 0.75**3 left = 25; 2 fit: ceil(25 / 2)"),
    ({"granule": [1, 64], "inputs_per_cycle": 16}, SINGLE, 16, "every granule of 64 survives: dense"),
    (ZERO_SKIP, SINGLE, 8, "fullest of 8 lanes: 16 + 1.4236 * sqrt(64/4*3/4) = 21: 2 cycles, 4 turns"),
    ({**ZERO_SKIP, "lanes": "shared"}, SINGLE, 4, "512 weights left, 128 a cycle"),
    (ZERO_SKIP, {"structure": "block", "sparsity_frac": 0.75, "block": (8, 16)}, 4,
     "8 outputs alike, no lane fuller than another: 16 weights left in a row, 1 cycle, 4 turns"),
    (ZERO_SKIP, TWO_FOUR, 8, "32 left in every row, no lane fuller: 2 cycles, 4 turns"),
    (SKIP_TWO_FOUR, TWO_FOUR, 8, "32/8 * 32/16"),
    (SKIP_TWO_FOUR, SINGLE, 16, "single zeros are multiplied"),
    ({"sparsity_mode": "compress_only", "formats": ["bitmap"]}, SINGLE, 16, "zeros are multiplied"),
]  # fmt: skip


def engine_with(**changes: Any) -> MicroNpu:
    fast = {"decoded_bytes_per_cycle": 4096.0}
    return MicroNpu.model_validate(BASE.engine.model_dump() | fast | changes)


def part_with(fallback_cpu: FallbackCpu | None = None, **changes: Any) -> HardwareProfile:
    memories = {
        name: region.model_copy(update={"bytes_per_cycle": 4096.0, "read_latency_cycles": 0})
        for name, region in BASE.memories.items()
    }
    update = {"engine": engine_with(**changes), "memories": memories, "fallback_cpu": fallback_cpu}
    return BASE.model_copy(update=update)


def costs_of(profile: HardwareProfile, network: Network, plan: CompressionPlan) -> EngineCosts:
    part = part_of(profile, network)
    return engine_costs(part, plan_shapes(part.tables, batch_plans([plan], network)))


@pytest.mark.parametrize(("engine", "plan", "expected", "hand"), MAC_ROWS)
def test_array_cycles_are_those_worked_out_by_hand(
    engine: dict[str, Any], plan: dict[str, Any], expected: int, hand: str
) -> None:
    costs = costs_of(part_with(**engine), dense_case(64, 32), first_layer_plan(**plan))

    assert costs.terms["mac"][0, 0] == expected, hand


OTHER_ROWS = [
    # engine, plan, term, cycles, hand
    ({"decoded_bytes_per_cycle": 16.0}, DENSE, "decode", 128, "2048 bytes / 16"),
    ({"decoded_bytes_per_cycle": 16.0}, {"weight_bits": 4}, "decode", 64, "1024 bytes / 16"),
    ({"decoded_bytes_per_cycle": None, "decoded_weights_per_cycle": 16.0}, {"weight_bits": 4}, "decode", 128,
     "2048 weights / 16"),
    ({"weight_rates": [{"weight_bits": 4, "decoded_weights_per_cycle": 8.0}]}, {"weight_bits": 4}, "decode",
     256, "2048 weights / 8"),
    ({"decoded_bytes_per_cycle": 16.0}, BLOCKS, "decode", 32, "32 blocks of 16 bytes / 16"),
    ({"decoded_bytes_per_cycle": 16.0, "cycles_per_index": 0.5}, BLOCKS, "decode", 48, "32 + 32 * 0.5"),
    ({**SKIP_TWO_FOUR, "decoded_bytes_per_cycle": 16.0}, TWO_FOUR, "decode", 64, "1024 bytes / 16"),
    ({"sparsity_mode": "compress_only", "formats": ["bitmap"], "decoded_bytes_per_cycle": 16.0}, SINGLE,
     "decode", 128, "zeros are handed out too"),
    ({}, DENSE, "overhead", 132, "100 + 8 * 32/8"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "plan", "term", "expected", "hand"), OTHER_ROWS)
def test_decode_and_overhead_are_those_worked_out_by_hand(
    engine: dict[str, Any], plan: dict[str, Any], term: str, expected: int, hand: str
) -> None:
    costs = costs_of(part_with(**engine), dense_case(64, 32), first_layer_plan(**plan))

    assert costs.terms[term][0, 0] == expected, hand


BYTE_ROWS = [
    # engine, plan, bytes, hand
    ({"formats": ["dense", "block_bitmap"]}, BLOCKS, 528, "128 bits of map + 32 * 16"),
    ({"formats": ["dense", "block_index"], "index_bits_per_stored_granule": 12}, BLOCKS, 624,
     "32 * (128 + 12) bits + 32 pointers of 16 bits"),
    (ZERO_SKIP, SINGLE, 768, "2048 bits of map + 512 bytes"),
    ({**ZERO_SKIP, "formats": ["csr_delta8"]}, SINGLE, 1088, "512 * 2 bytes + 32 pointers of 2 bytes"),
    (SKIP_TWO_FOUR, TWO_FOUR, 1280, "1024 * (8 + 2) bits"),
    ({"weight_bits": [3, 8]}, {"weight_bits": 3}, 768, "2048 * 3 bits"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "plan", "expected", "hand"), BYTE_ROWS)
def test_stored_bytes_are_those_worked_out_by_hand(
    engine: dict[str, Any], plan: dict[str, Any], expected: int, hand: str
) -> None:
    costs = costs_of(part_with(**engine), dense_case(64, 32), first_layer_plan(**plan))

    assert costs.weight_bytes[0, 0] == expected, hand


TRANSFER_ROWS = [
    # engine, cycles, hand (132 of overhead everywhere)
    ({}, 132 + 528, "2048 bytes / 4 + 16 hide the decoder's 128"),
    ({"weight_transfer": "before_use"}, 132 + 528 + 128, "one after the other"),
    ({"weight_transfer": "double_buffered", "weight_tile_bytes": 512}, 132 + 608,
     "4 tiles: 512 + 4 * 16 to read, and a quarter of 128 after the last"),
    ({"weight_transfer": "double_buffered", "weight_tile_bytes": 2048}, 132 + 528 + 128, "a single tile"),
    ({"weight_transfer": "double_buffered", "weight_tile_bytes": 512, "decoded_bytes_per_cycle": 1.0},
     132 + 2048 + 144, "a quarter of 576 to read before the decoder starts"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "expected", "hand"), TRANSFER_ROWS)
def test_reading_and_working_share_the_time_as_worked_out_by_hand(
    engine: dict[str, Any], expected: int, hand: str
) -> None:
    profile = BASE.model_copy(update={"engine": MicroNpu.model_validate(BASE.engine.model_dump() | engine)})

    assert costs_of(profile, dense_case(64, 32), CompressionPlan()).cycles[0, 0] == expected, hand


def test_a_convolution_decodes_once_and_multiplies_at_every_position() -> None:
    conv = {"kind": "conv1x1", "name": "first", "positions": 5, "output_channels": 32}
    costs = costs_of(
        part_with(positions_per_cycle=2, decoded_bytes_per_cycle=16.0),
        network_of(conv, bands=5 * 64),
        CompressionPlan(),
    )

    assert costs.terms["mac"][0, 0] == 3 * 16  # 2 + 2 + 1 positions
    assert costs.terms["decode"][0, 0] == 128
    assert costs.weight_bytes[0, 0] == 2048
    assert costs.executed_macs[0, 0] == 5 * 2048


def test_a_layer_that_the_engine_lacks_is_the_cpus_and_handed_over_where_sides_change() -> None:
    gru = {"kind": "gru", "name": "first", "hidden_units": 10}
    dense = {"kind": "dense", "name": "second", "output_features": 20, "activation": "relu"}
    network = network_of(dense | {"name": "before"}, gru, dense, bands=16)
    profile = part_with(CPU, runs=["dense", "relu", "sigmoid", "tanh"])

    costs = costs_of(profile, network, CompressionPlan())

    macs = 3 * 10 * (20 + 10)
    work = 2.0 * macs + 10 * (3 * 30.0 + 9 * 5.0) + 2 * 1000  # into the CPU and out of it
    assert costs.terms["cpu"][0].tolist() == [0, 2 * work, 0, 0]
    assert costs.terms["mac"][0, 1] == costs.terms["activation"][0, 1] == 0
    assert costs.executed_macs[0, 1] == costs.elementwise_ops[0, 1] == 0


def test_functions_that_the_engine_lacks_leave_the_products_with_it() -> None:
    lstm = {"kind": "lstm", "name": "first", "hidden_units": 8}
    profile = part_with(CPU, runs=["dense", "lstm", "relu", "sigmoid"])

    costs = costs_of(profile, network_of(lstm, bands=16), CompressionPlan())

    work = 8 * (5 * 30.0 + 8 * 5.0) + 2 * 1000
    assert costs.terms["cpu"][0].tolist() == [2 * work, 0]
    assert costs.terms["mac"][0, 0] == 4 * (1 + 1)
    assert costs.terms["activation"][0, 0] == 0


def test_an_estimate_says_what_falls_back_and_to_what() -> None:
    lstm = {"kind": "lstm", "name": "first", "hidden_units": 8}
    profile = part_with(CPU, runs=["dense", "sigmoid"])

    sentences = estimate(profile, network_of(lstm, bands=16), CompressionPlan()).assumptions

    assert any("the engine does not run lstm layers: the Cortex-M4 does" in each for each in sentences)


WATERFALL_ROWS = [
    # engine, flash bytes per cycle, plan, parts that are not nothing, hand
    ({"decoded_bytes_per_cycle": 16.0, "cycles_per_index": 0.5}, 4096.0, BLOCKS,
     {"useful_macs": 4, "index": 16, "decode": 28, "overhead": 132}, "decoder: 16 to look, 32 to hand out"),
    ({"cycles_per_index": 0.5}, 1.0, BLOCKS,
     {"useful_macs": 4, "index": 13, "memory_stall": 511, "overhead": 132},
     "decoder: 16 to look and 1 to hand out, 4 of them beside the array; 528 bytes to read"),
    ({"cycles_per_index": 0.125, "mac_passes_16bit_activations": 4}, 1.0, {**BLOCKS, "activation_bits": 16},
     {"useful_macs": 16, "memory_stall": 512, "overhead": 132}, "the array hides 4 + 1 of the decoder"),
    ({"outputs_per_cycle": 5}, 4096.0, DENSE, {"useful_macs": 26, "padding": 2, "overhead": 132},
     "2048 / 80, rounded, of 28"),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "rate", "plan", "expected", "hand"), WATERFALL_ROWS)
def test_cycles_go_where_worked_out_by_hand(
    engine: dict[str, Any], rate: float, plan: dict[str, Any], expected: dict[str, int], hand: str
) -> None:
    profile, network = part_with(**engine), dense_case(64, 32)
    flash = profile.memories["flash"].model_copy(update={"bytes_per_cycle": rate})
    profile = profile.model_copy(update={"memories": {**profile.memories, "flash": flash}})
    part = part_of(profile, network)
    shapes = plan_shapes(part.tables, batch_plans([first_layer_plan(**plan)], network))

    parts = waterfall(profile.engine, part.route, part.tables, shapes)

    assert {name: int(cycles[0, 0]) for name, cycles in parts.items() if cycles[0, 0]} == expected, hand
