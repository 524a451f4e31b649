from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from npuexplore.compression.mlw.expected import expected_bytes
from npuexplore.compression.mlw.levels import draw_levels, rounded_frac, survivor_fracs
from npuexplore.compression.mlw.order import MlwStream, streams
from npuexplore.compression.mlw.runs import LINE, STEPS, block_runs, repeat_frac
from npuexplore.compression.mlw.sampling import CODED_COUNTS, TABLE_FILE, mean_bits
from npuexplore.compression.mlw.size import encoded_bytes
from npuexplore.compression.mlw.two_four import two_four_chance

U55 = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32)
U65 = MlwStream(generation="depth_first", ofm_ublock_elems=8, ifm_block_elems=32, cores=2)
U85 = MlwStream(generation="alternating", ofm_ublock_elems=32, ifm_block_elems=64, cores=4)
ORDERS = st.sampled_from([U55, U65, U85])
WIDTHS = st.sampled_from([2, 3, 4, 6, 8])
BLOCKS = st.sampled_from([(1, 1), (1, 4), (16, 1), (16, 16), (4, 4), (3, 5), (1, 256)])
SIZES = st.integers(16, 512)
SHARES = st.floats(0.0, 0.999)


def _weights(
    rng: np.random.Generator, *, block: tuple[int, int], zeros_frac: float, bits: int, size: tuple[int, int]
) -> np.ndarray:
    """A matrix on other random numbers than the sampled table; blocks are zero independently."""
    levels = draw_levels(size[0] * size[1], bits=bits, kept="random", pruned_frac=0.0, rng=rng).reshape(size)
    shape = tuple(-(-length // side) for length, side in zip(size, block, strict=True))
    mask = np.kron(rng.random(shape) >= zeros_frac, np.ones(block, bool))[: size[0], : size[1]]
    return levels * mask


@pytest.mark.parametrize("order", [U55, U65, U85], ids=["u55", "u65", "u85"])
@pytest.mark.parametrize(
    ("block", "zeros_frac", "bits"),
    [
        ((1, 1), 0.0, 8),
        ((1, 1), 0.0, 6),
        ((1, 1), 0.0, 4),
        ((1, 1), 0.0, 2),
        ((1, 1), 0.5, 8),
        ((1, 1), 0.8, 4),
        ((1, 1), 0.9, 8),
        ((1, 1), 0.9, 2),
        ((16, 1), 0.75, 8),
        ((1, 16), 0.75, 3),
        ((3, 5), 0.6, 8),
        ((1, 192), 0.5, 8),
    ],
)
def test_real_weights_average_to_the_expected_size(
    order: MlwStream, block: tuple[int, int], zeros_frac: float, bits: int
) -> None:
    rng, size = np.random.default_rng([bits]), (192, 192)
    draws = [_weights(rng, block=block, zeros_frac=zeros_frac, bits=bits, size=size) for _ in range(6)]
    sizes = [encoded_bytes(one, stream=order, ofm_block_depth=192) for one in draws]

    # The zeros found stand for the zeros asked for: six draws of large blocks scatter widely.
    dense = 1.0 - rounded_frac("random", bits=bits)
    found = 1.0 - np.mean([np.count_nonzero(one) for one in draws]) / (dense * size[0] * size[1])
    expected = expected_bytes(
        stream=order,
        rows=192,
        columns=192,
        zeros_frac=np.array(np.clip(found, 0.0, 1.0)) if zeros_frac else np.array(0.0),
        weight_bits=bits,
        block_rows=block[0],
        block_columns=block[1],
    )

    assert float(expected) == pytest.approx(np.mean(sizes), rel=0.015)


@given(ORDERS, WIDTHS, BLOCKS, SIZES, SIZES)
@example(U55, 8, (1, 1), 256, 256)
def test_more_zeros_never_take_more_expected_bytes(
    order: MlwStream, bits: int, block: tuple[int, int], rows: int, columns: int
) -> None:
    size = expected_bytes(
        stream=order,
        rows=rows,
        columns=columns,
        zeros_frac=np.linspace(0.0, 0.999, 200),
        weight_bits=bits,
        block_rows=block[0],
        block_columns=block[1],
    )

    assert (size <= np.minimum.accumulate(size) * 1.001 + 2.0).all()


@given(ORDERS, BLOCKS, SIZES, SIZES, SHARES)
def test_coarser_grids_never_take_more_expected_bytes(
    order: MlwStream, block: tuple[int, int], rows: int, columns: int, zeros_frac: float
) -> None:
    size = expected_bytes(
        stream=order,
        rows=rows,
        columns=columns,
        zeros_frac=np.full(5, zeros_frac),
        weight_bits=np.array([2, 3, 4, 6, 8]),
        block_rows=block[0],
        block_columns=block[1],
    )

    assert (np.diff(size) >= -0.02 * size[:-1] - 16).all()


@given(ORDERS, WIDTHS, SIZES, SIZES, SHARES)
def test_plans_together_expect_what_they_expect_apart(
    order: MlwStream, bits: int, rows: int, columns: int, zeros_frac: float
) -> None:
    together = expected_bytes(
        stream=order,
        rows=np.array([rows, 100]),
        columns=columns,
        zeros_frac=np.array([zeros_frac, 0.3]),
        weight_bits=np.array([bits, 8]),
        block_rows=np.array([1, 16]),
    )
    alone = expected_bytes(
        stream=order, rows=rows, columns=columns, zeros_frac=np.array([zeros_frac]), weight_bits=bits
    )

    assert together[0] == alone[0]


@given(ORDERS, WIDTHS, SIZES, SIZES)
def test_no_expected_size_is_below_the_information_of_the_levels(
    order: MlwStream, bits: int, rows: int, columns: int
) -> None:
    sizes = survivor_fracs("random", bits=bits, pruned_frac=0.0)
    fracs = np.concatenate([sizes[:1], sizes[1:] / 2, sizes[1:] / 2])

    expected = expected_bytes(
        stream=order, rows=rows, columns=columns, zeros_frac=np.array(0.0), weight_bits=bits
    )

    assert expected * 8 >= -(fracs * np.log2(fracs)).sum() * rows * columns


@pytest.mark.parametrize("order", [U55, U85], ids=["u55", "u85"])
@pytest.mark.parametrize("block", [(1, 1), (1, 4), (8, 1), (16, 16), (2, 3), (1, 12)])
def test_runs_of_random_masks_are_those_expected(order: MlwStream, block: tuple[int, int]) -> None:
    rng = np.random.default_rng([block[0], block[1]])
    shape = tuple(-(-768 // side) for side in block)
    mask = np.kron(rng.random(shape) >= 0.5, np.ones(block, np.int8))[:768, :768]
    mask &= rng.random((768, 768)) >= 0.1

    (stream, *_) = streams(mask, order, ofm_block_depth=256)
    runs = np.diff(np.flatnonzero(stream), prepend=-1, append=stream.size) - 1
    expected = block_runs(
        block_columns=block[1], repeat_frac=repeat_frac(order, block[0]), rounded_frac=0.1, shares=3
    )

    lines = stream.size / LINE
    for index, step in enumerate(STEPS):
        assert (runs // step).sum() / lines == pytest.approx(expected.steps[index, 1], rel=0.08, abs=0.005)
    assert (runs == 1).sum() / lines == pytest.approx(expected.lone[1], rel=0.08, abs=0.005)


@pytest.mark.parametrize(
    ("bits", "kept", "share", "by_runs", "count"),
    [(8, "random", 0, True, 64), (4, "random", 3, False, 512), (2, "two_four", 0, False, 128)],
)
def test_the_sampled_table_is_what_the_coder_gives(
    bits: int, kept: str, share: int, by_runs: bool, count: int
) -> None:
    part = json.loads(TABLE_FILE.read_text())["by_runs" if by_runs else "one_by_one"][kept]
    column = CODED_COUNTS.index(count)

    again = mean_bits(count, bits=bits, kept=kept, pruned_frac=part["pruned_shares"][share], by_runs=by_runs)

    assert part["bits_per_weight"][str(bits)][share][column] == round(again / count, 4)


@pytest.mark.parametrize(
    ("zeros_frac", "bits", "block"), [(0.9, 4, (1, 1)), (0.8, 2, (1, 1)), (0.75, 8, (16, 1))]
)
def test_random_zeros_fit_the_two_four_format_as_often_as_expected(
    zeros_frac: float, bits: int, block: tuple[int, int]
) -> None:
    rng = np.random.default_rng([bits])
    draws = [_weights(rng, block=block, zeros_frac=zeros_frac, bits=bits, size=(32, 32)) for _ in range(400)]
    fit = np.mean([(np.count_nonzero(w.reshape(32, 8, 4), axis=2) <= 2).all() for w in draws])

    chance = two_four_chance(
        rows=32,
        columns=32,
        zeros_frac=np.array(zeros_frac),
        weight_bits=bits,
        block_rows=block[0],
        block_columns=block[1],
    )

    assert fit == pytest.approx(float(chance), abs=0.08)
