from __future__ import annotations

import numpy as np
import pytest

from npuexplore.compression.mlw.order import MlwStream, streams
from npuexplore.compression.mlw.palette import section_of
from npuexplore.compression.mlw.rice import Parameter, weight_slices
from npuexplore.compression.mlw.size import (
    encoded_bytes,
    fast_bytes,
    run_bits,
    section_bits,
    stream_bytes,
    value_bits,
)

U55 = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32)
U65 = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32, cores=2)
U85 = MlwStream(generation="alternating", ofm_ublock_elems=8, ifm_block_elems=64)


def _int16(*values: int) -> np.ndarray:
    return np.array(values, np.int16)


def test_four_equal_weights_take_a_slice_header_a_palette_of_two_and_one_chunk() -> None:
    # 23 slice + 13 palette header + 2 entries of 2 bits + 12 unary slots for the quotients 0, 0, 0, 0
    assert section_bits(section_of(_int16(1, 1, 1, 1))) == 52


def test_a_lone_zero_is_coded_as_a_run() -> None:
    # 23 + 13 headers, value 1 in 12 slots with one second digit, runs 0 and 0 in 12 slots
    assert section_bits(section_of(_int16(0))) == 61


def test_zeros_are_coded_by_runs_where_they_are_frequent_and_lie_together() -> None:
    together = section_of(_int16(0, 0, 0, 0, 0, 0, 5, 0, 7))
    apart = section_of(_int16(0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0))

    assert together.runs is not None
    assert together.runs.tolist() == [6, 1, 0]
    assert apart.runs is None


def test_the_palette_holds_the_most_frequent_codes_larger_codes_first_among_equals() -> None:
    section = section_of(_int16(3, 3, 3, -1, -1, 2, 2))  # codes 6 three times, 3 and 4 twice

    assert section.values.tolist() == [0, 0, 0, 2, 2, 1, 1]
    assert (section.palette_entries, section.palette_bits, section.raw_bits) == (3, 3, 2)


def test_evenly_spread_weights_have_no_palette() -> None:
    section = section_of(np.arange(-127, 128, dtype=np.int16))

    assert (section.palette_entries, section.palette_bits, section.raw_bits) == (0, 8, 8)


def test_zero_outside_the_palette_is_coded_as_minus_zero() -> None:
    weights = np.concatenate([np.repeat(np.arange(1, 33), 3), [0]]).astype(np.int16)

    assert section_of(weights).values[-1] == 32 + 1


@pytest.mark.parametrize(
    ("parameter", "bits"),
    [
        (Parameter(0), 12 + (0 + 1 + 1 + 2 + 2)),  # slots 1 + 1 + 2 + 2 + 3, filled up to 12
        (Parameter(1), 12 + (0 + 0 + 1 + 1 + 1) + 5),
        (Parameter(3, "raw"), 15),
    ],
)
def test_values_cost_their_slots_second_digits_and_low_bits(parameter: Parameter, bits: int) -> None:
    assert value_bits(np.array([0, 1, 2, 3, 4], np.int32), parameter) == bits


def test_truncated_quotients_take_one_slot_each() -> None:
    assert value_bits(np.array([0, 1, 2] * 4, np.int32), Parameter(0, "truncated")) == 12 + 8


def test_runs_fill_chunks_of_twelve_or_of_eight_slots() -> None:
    runs = np.array([8, 0], np.int32)

    assert run_bits(runs, Parameter(2)) == 12 + 2 * 2
    assert run_bits(runs, Parameter(3)) == 8 + 2 * 3


def test_a_parameter_that_cannot_code_a_value_ends_a_slice() -> None:
    slices = weight_slices(np.repeat([0, 100], [90, 40]).astype(np.int32), raw_bits=0)

    assert [(s.parameter.divisor_bits, s.end) for s in slices] == [(0, 90), (4, 130)]


def test_a_slice_holds_at_most_32767_values() -> None:
    one, two = np.ones(32_767, np.int16), np.ones(32_768, np.int16)

    # one more value, its header, and one more chunk than 32767 + 1 slots need
    assert section_bits(section_of(two)) - section_bits(section_of(one)) == 23 + 12


def test_depth_slices_and_cores_are_streams_of_their_own() -> None:
    weights = np.random.default_rng([5]).integers(-20, 20, (64, 64)).astype(np.int8)

    halves = sum(encoded_bytes(part, stream=U55, ofm_block_depth=32) for part in (weights[:32], weights[32:]))
    cores = sum(encoded_bytes(weights[core::2], stream=U55, ofm_block_depth=32) for core in (0, 1))

    assert encoded_bytes(weights, stream=U55, ofm_block_depth=32, slices=[0, 32, 64]) == halves
    assert encoded_bytes(weights, stream=U65, ofm_block_depth=64) == cores


def test_u55_walks_an_input_block_before_the_next_and_pads_it() -> None:
    weights = np.arange(1, 8 * 33 + 1).reshape(8, 33)

    (one,) = streams(weights, U55, ofm_block_depth=8)

    assert one.size == 8 * 64
    assert one[:8].tolist() == weights[0, :8].tolist()
    assert one[8:16].tolist() == weights[1, :8].tolist()
    assert one[64:72].tolist() == weights[0, 8:16].tolist()
    assert one[256:264].tolist() == [33, 0, 0, 0, 0, 0, 0, 0]


def test_u85_walks_every_other_output_block_backwards() -> None:
    weights = np.arange(1, 16 * 128 + 1).reshape(16, 128)

    (one,) = streams(weights, U85, ofm_block_depth=8)

    assert one[0] == weights[0, 0]
    assert one[8 * 128] == weights[8, 64]
    assert one[8 * 128 + 8 * 64] == weights[8, 0]


def test_u85_deals_groups_of_four_outputs_to_its_cores() -> None:
    weights = np.arange(16).repeat(64).reshape(16, 64)
    two_cores = MlwStream(generation="alternating", ofm_ublock_elems=16, ifm_block_elems=64, cores=2)

    first, second = streams(weights, two_cores, ofm_block_depth=16)

    assert sorted(set(first.tolist())) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert sorted(set(second.tolist())) == [4, 5, 6, 7, 12, 13, 14, 15]


def test_part_kernel_blocks_are_filled_with_zeros_for_absent_kernel_elements() -> None:
    part = MlwStream(generation="alternating", ofm_ublock_elems=8, ifm_block_elems=16, kernel_steps=5)

    (one,) = streams(np.ones((16, 16), np.int8), part, ofm_block_depth=16)

    assert one.reshape(2, 5, 128).any(axis=2).tolist() == [[True, False, False, False, False]] * 2


@pytest.mark.parametrize(
    ("distinct", "two_four", "size"),
    [(4, False, 32 + 256), (16, False, 544), (17, False, 1056), (4, True, 1056)],
)
def test_the_fast_format_takes_two_four_or_eight_bits_a_weight(
    distinct: int, two_four: bool, size: int
) -> None:
    assert fast_bytes(np.arange(1024) % distinct, two_four=two_four) == size


def test_the_fast_format_has_one_header_for_all_cores() -> None:
    two_cores = MlwStream(generation="alternating", ofm_ublock_elems=16, ifm_block_elems=64, cores=2)
    weights = np.arange(64 * 64).reshape(64, 64) % 251

    assert encoded_bytes(weights, stream=two_cores, ofm_block_depth=64, weight_format="fast") == 32 + 4096


def test_streams_end_on_sixteen_bytes() -> None:
    assert stream_bytes(_int16(1)) == 16
