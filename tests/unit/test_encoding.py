from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npuexplore.compression.encoding import (
    bitmap_bits,
    block_bits,
    csr_bits,
    csr_fillers,
    csr_stored,
    dense_bits,
    groups_touched,
    nonzero_granules,
    surviving_frac,
)

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, st.integers(0, 100), st.integers(1, 8), st.integers(1, 20))
def test_granules_are_counted_as_a_loop_would(
    rows: int, columns: int, seed: int, high: int, wide: int
) -> None:
    weights = (np.random.default_rng([seed]).random((rows, columns)) < 0.1).astype(np.int8)

    counted = nonzero_granules(weights, granule=(high, wide))

    assert counted == sum(
        bool(weights[r : r + high, c : c + wide].any())
        for r in range(0, rows, high)
        for c in range(0, columns, wide)
    )


@given(SIZES, st.integers(1, 1200), st.integers(0, 100))
def test_csr_stores_a_zero_wherever_a_distance_does_not_fit(rows: int, columns: int, seed: int) -> None:
    weights = (np.random.default_rng([seed]).random((rows, columns)) < 0.004).astype(np.int8)

    stored = 0
    for row in weights:
        at = -1
        for column in np.flatnonzero(row):
            while column - at > 255:
                at += 255
                stored += 1
            stored += 1
            at = column

    assert csr_stored(weights) == stored


@pytest.mark.parametrize(("distance", "stored"), [(1, 1), (255, 1), (256, 2), (510, 2), (511, 3)])
def test_eight_bits_hold_distances_up_to_255(distance: int, stored: int) -> None:
    weights = np.zeros((1, 600), np.int8)
    weights[0, distance - 1] = 1

    assert csr_stored(weights) == stored


@given(st.integers(1, 32), st.integers(1, 32))
def test_groups_touched_are_counted_over_a_whole_period(granule: int, block: int) -> None:
    period = np.lcm(granule, block)
    starts = np.arange(0, period, granule)

    touched = ((starts + granule - 1) // block - starts // block + 1).mean()

    assert groups_touched(granule)[block] == pytest.approx(touched)


def test_random_zero_weights_clear_blocks_as_often_as_expected() -> None:
    rng = np.random.default_rng([3])
    weights = (rng.random((400, 640)) >= 0.9).astype(np.int8)

    expected = surviving_frac(
        zeros_frac=np.array([[0.9]]),
        granule=(1, 16),
        block_rows=np.array([[1]]),
        block_columns=np.array([[1]]),
    )[0, 0]

    assert nonzero_granules(weights, granule=(1, 16)) / (400 * 40) == pytest.approx(expected, rel=0.02)


def test_formats_cost_what_is_counted_by_hand() -> None:
    assert dense_bits(64 * 64, bits=4) == 16_384
    assert bitmap_bits(64 * 64, kept=400, bits=8) == 4_096 + 3_200
    assert csr_bits(400, rows=64, bits=8) == 400 * 16 + 64 * 16
    assert block_bits(30, blocks=256, block_elems=16, bits=8, map_bits=1) == 256 + 30 * 128


MASK_SHAPES = [(1, 1), (1, 4), (2, 16), (16, 1), (3, 5)]


def _masks(high: int, wide: int, *, zeros_frac: float, size: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng([high, wide])
    rows, columns = size
    shape = (-(-rows // high), -(-columns // wide))
    return [
        np.kron(rng.random(shape) >= zeros_frac, np.ones((high, wide), np.int8))[:rows, :columns]
        for _ in range(150)
    ]


def _agrees(counts: list[int], expected: float) -> bool:
    """Whether the mean of counts lies within four of its standard errors."""
    error = np.std(counts) / np.sqrt(len(counts))
    return bool(abs(np.mean(counts) - expected) <= 4 * error + 1e-9)


@pytest.mark.parametrize(("high", "wide"), MASK_SHAPES)
def test_exact_counts_of_random_masks_average_to_the_expected_ones(high: int, wide: int) -> None:
    masks = _masks(high, wide, zeros_frac=0.9, size=(32, 640))
    share = surviving_frac(
        zeros_frac=np.array([[0.9]]),
        granule=(2, 4),
        block_rows=np.array([[high]]),
        block_columns=np.array([[wide]]),
    )

    assert _agrees([int(mask.sum()) for mask in masks], 0.1 * 32 * 640)
    assert _agrees([nonzero_granules(mask, granule=(2, 4)) for mask in masks], 16 * 160 * share[0, 0])


@pytest.mark.parametrize(("wide", "zeros_frac"), [(1, 0.99), (4, 0.97), (16, 0.9), (255, 0.5), (256, 0.5)])
def test_stored_fillers_of_random_masks_average_to_the_expected_ones(wide: int, zeros_frac: float) -> None:
    masks = _masks(1, wide, zeros_frac=zeros_frac, size=(64, 900))
    expected = csr_fillers(rows=64, columns=900, zeros_frac=np.array(zeros_frac), block_columns=wide)

    assert _agrees([csr_stored(mask) - int(mask.sum()) for mask in masks], float(expected))


def test_rows_shorter_than_the_longest_distance_need_no_fillers() -> None:
    assert csr_fillers(rows=100, columns=255, zeros_frac=np.array(0.999)) == 0
