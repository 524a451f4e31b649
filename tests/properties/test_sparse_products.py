"""Expected costs of sparse products against rows that are walked one by one."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from npuexplore.compression.plan import LayerPlan, batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost.cortex_m.patterns import Pattern
from npuexplore.cost.cortex_m.rows import expected_row_cycles, row_cycles
from npuexplore.cost.cortex_m.sparse import (
    SparseProduct,
    product_cycles_of,
    sparse_products,
    stored_bits,
    stored_of,
)
from npuexplore.hardware.kernels.sparse import SparseKernel, sparse_kernels
from npuexplore.workload.counts import NetworkTables, network_tables
from npuexplore.workload.network import Network

BUILDS = [(core, tool) for core in ("m4", "m7", "m33", "m55") for tool in ("gcc12.2-Ofast", "clang22-O3")]
KERNELS = [kernel for build in BUILDS for kernel in sparse_kernels(*build)]


def case(network: Network, *plans: LayerPlan) -> tuple[NetworkTables, PlanShapes]:
    tables = network_tables(network)
    chosen = [first_layer_plan(**plan.model_dump(exclude_unset=True)) for plan in plans]
    return tables, plan_shapes(tables, batch_plans(chosen, network))


def pattern_of(blocks: int, share: float, together: int = 1) -> Pattern:
    def one(value: float, dtype: type) -> NDArray[np.generic]:
        return np.full((1, 1), value, dtype)

    return Pattern(
        rows=one(8, np.int64),
        blocks=one(blocks, np.int64),
        share=one(share, np.float64),
        together=one(together, np.int64),
        regular=one(False, np.bool_),
    )


def walked_cycles(kernel: SparseKernel, stored: int) -> float:
    """A row, pass by pass."""
    if stored < len(kernel.few_cycles):
        return float(kernel.few_cycles[stored])
    passes, left = 0, stored
    while left >= kernel.blocks_per_pass:
        passes, left = passes + 1, left - kernel.blocks_per_pass
    return float(passes * kernel.cycles_per_pass + kernel.remainder_cycles[left])


def summed_cycles(kernel: SparseKernel, blocks: int, share: float, together: int) -> float:
    """The mean over every number of groups that a row may store, and over its last, smaller one."""
    groups, left = divmod(blocks, together)
    total = 0.0
    for stored in range(groups + 1):
        chance = comb(groups, stored) * share**stored * (1.0 - share) ** (groups - stored)
        for last, of_last in ((left, share), (0, 1.0 - share)):
            total += chance * of_last * walked_cycles(kernel, stored * together + last)
    return total


@given(
    kernel=st.sampled_from(KERNELS),
    blocks=st.integers(1, 90),
    share=st.floats(0.0, 1.0),
    together=st.sampled_from([1, 2, 4, 16]),
)
@settings(max_examples=150, deadline=None)
def test_expected_rows_cost_the_mean_of_all_rows(
    kernel: SparseKernel, blocks: int, share: float, together: int
) -> None:
    ours = expected_row_cycles(kernel, pattern_of(blocks, share, together))[0, 0]

    assert ours == pytest.approx(summed_cycles(kernel, blocks, share, together), rel=1e-4)


@given(kernel=st.sampled_from(KERNELS), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_real_rows_cost_what_a_walk_over_them_costs(kernel: SparseKernel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 40), rng.integers(1, 600)
    weights = (rng.random((height, width)) < rng.random() ** 3).astype(np.int8)
    rows, columns = kernel.block
    total, stored_blocks = kernel.cycles_per_call, 0
    for top in range(0, int(height), rows):
        stored, last = 0, -1
        for left in range(0, int(width), columns):
            if weights[top : top + rows, left : left + columns].any():
                stored += 1 + ((left - last - 1) // 255 if kernel.format == "csr_delta8" else 0)
                last = left
        total, stored_blocks = total + walked_cycles(kernel, stored), stored_blocks + stored

    found = stored_of(kernel, weights)
    assert product_cycles_of(kernel, found) == pytest.approx(total)
    assert found.sum() == stored_blocks


@pytest.mark.parametrize(
    "plan",
    [
        LayerPlan(structure="weight", sparsity_frac=0.8),
        LayerPlan(structure="block", sparsity_frac=0.6, block=(1, 16)),
        LayerPlan(structure="block", sparsity_frac=0.7, block=(4, 4)),
    ],
)
@pytest.mark.parametrize("sides", [(64, 128), (50, 77)])
def test_expected_products_cost_the_mean_of_random_masks(plan: LayerPlan, sides: tuple[int, int]) -> None:
    outputs, inputs = sides
    tables, shapes = case(dense_case(inputs, outputs), plan)
    masks = [random_mask(sides, plan, np.random.default_rng(seed)) for seed in range(12)]

    for product in sparse_products("m7", "gcc12.2-Ofast", tables, shapes):
        stored = [stored_of(product.kernel, mask) for mask in masks]
        cycles = np.mean([product_cycles_of(product.kernel, each) for each in stored])
        bits = np.mean(
            [stored_bits(product.kernel, stored=int(each.sum()), rows=each.size) for each in stored]
        )
        assert product.cycles[0, 0] == pytest.approx(cycles, rel=0.02), product.format
        assert product.stored_bits[0, 0] == pytest.approx(bits, rel=0.03), product.format


def random_mask(sides: tuple[int, int], plan: LayerPlan, rng: np.random.Generator) -> NDArray[np.bool_]:
    """As many zero groups as the plan says, anywhere."""
    block = plan.block or (1, 1)
    down, across = (-(-side // part) for side, part in zip(sides, block, strict=True))
    kept = np.ones(down * across, np.bool_)
    kept[rng.permutation(kept.size)[: round(plan.sparsity_frac * kept.size)]] = False
    return np.kron(kept.reshape(down, across), np.ones(block, np.bool_))[: sides[0], : sides[1]]


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.format)
def test_a_whole_pass_more_never_takes_less(kernel: SparseKernel) -> None:
    counts = np.arange(1, 300)

    assert (row_cycles(kernel, counts + kernel.blocks_per_pass) > row_cycles(kernel, counts)).all()


@pytest.mark.parametrize("kernel", [each for each in KERNELS if each.block != (1, 1)], ids=lambda k: k.format)
def test_a_block_more_never_takes_less(kernel: SparseKernel) -> None:
    """Not so of single weights: what is left of a row beside its unrolled passes costs more than one pass."""
    counts = np.arange(300)

    assert (np.diff(row_cycles(kernel, counts)) >= -1e-4).all()


@given(core=st.sampled_from(BUILDS), share=st.floats(0.05, 0.9), more=st.floats(0.02, 0.1))
@settings(max_examples=30, deadline=None)
def test_more_zeros_never_take_longer_in_blocks(core: tuple[str, str], share: float, more: float) -> None:
    plans = [LayerPlan(structure="weight", sparsity_frac=zeros) for zeros in (share, share + more)]
    tables, shapes = case(recurrent_case("gru", 48, 40), *plans)

    for product in sparse_products(*core, tables, shapes):
        if product.kernel.block != (1, 1):
            assert (product.cycles[1] <= product.cycles[0] * (1.0 + 1e-9)).all(), product.format
        assert (product.stored_bits[1] <= product.stored_bits[0]).all(), product.format


def test_plans_together_cost_what_they_cost_apart() -> None:
    plans = [
        LayerPlan(),
        LayerPlan(structure="weight", sparsity_frac=0.9),
        LayerPlan(structure="block", sparsity_frac=0.5, block=(1, 16)),
        LayerPlan(structure="two_four"),
    ]
    network = recurrent_case("lstm", 37, 45)
    tables, shapes = case(network, *plans)
    together = sparse_products("m55", "clang22-O3", tables, shapes)

    for index, plan in enumerate(plans):
        for ours, alone in zip(
            together, sparse_products("m55", "clang22-O3", *case(network, plan)), strict=True
        ):
            assert ours.cycles[index].tolist() == alone.cycles[0].tolist()
            assert ours.stored_bits[index].tolist() == alone.stored_bits[0].tolist()


def test_dense_weights_store_every_block_of_every_row() -> None:
    tables, shapes = case(dense_case(100, 30), LayerPlan())

    for product in sparse_products("m4", "clang22-O3", tables, shapes):
        everywhere = stored_of(product.kernel, np.ones((30, 100), np.int8))
        assert product.cycles[0, 0] == pytest.approx(product_cycles_of(product.kernel, everywhere), rel=1e-6)


def test_distances_that_do_not_fit_cost_a_stored_zero_each() -> None:
    rare = LayerPlan(structure="weight", sparsity_frac=0.99)
    tables, shapes = case(dense_case(700, 64), rare)
    mask = [random_mask((64, 700), rare, np.random.default_rng(seed)) for seed in range(20)]

    csr = named("csr_delta8", sparse_products("m7", "gcc12.2-Ofast", tables, shapes))
    stored = [stored_of(csr.kernel, each) for each in mask]
    assert np.mean([each.sum() for each in stored]) > 1.05 * shapes.kept_elems[0, 0]
    assert csr.cycles[0, 0] == pytest.approx(
        np.mean([product_cycles_of(csr.kernel, each) for each in stored]), rel=0.01
    )
    assert csr.executed_macs[0, 0] == pytest.approx(np.mean([each.sum() for each in stored]), rel=0.01)


def test_a_byte_of_distance_reaches_255_inputs_on() -> None:
    csr = named("csr_delta8", sparse_products("m7", "gcc12.2-Ofast", *case(dense_case(8, 8), LayerPlan())))
    weights = np.zeros((2, 300), np.int8)
    weights[[0, 1], [254, 255]] = 1

    assert stored_of(csr.kernel, weights).tolist() == [1, 2]


def test_two_of_four_store_the_same_in_every_row() -> None:
    tables, shapes = case(dense_case(64, 32), LayerPlan(structure="two_four"))

    csr = named("csr_delta8", sparse_products("m7", "clang22-O3", tables, shapes))
    assert csr.cycles[0, 0] == pytest.approx(product_cycles_of(csr.kernel, np.full(32, 32)))
    assert csr.executed_macs[0, 0] == 32 * 32


def test_a_byte_of_absolute_index_reaches_256_inputs() -> None:
    sparse = LayerPlan(structure="weight", sparsity_frac=0.9)

    for inputs, reached in ((256, True), (257, False)):
        found = sparse_products("m7", "gcc12.2-Ofast", *case(dense_case(inputs, 16), sparse))
        assert named("csr_abs8", found).usable[0, 0] == reached
        assert named("csr_delta8", found).usable[0, 0]
        assert named("block_index_1x4", found).usable[0, 0]


def test_stored_bits_are_values_indices_and_counts_of_rows() -> None:
    half = LayerPlan(structure="block", sparsity_frac=0.5, block=(4, 4))
    found = sparse_products("m4", "gcc12.2-Ofast", *case(dense_case(32, 16), half))

    assert named("block_index_4x4", found).stored_bits[0, 0] == 16 * (16 * 8 + 8) + 4 * 16
    assert named("csr_abs8", found).stored_bits[0, 0] == 256 * (8 + 8) + 16 * 16


def named(name: str, products: list[SparseProduct]) -> SparseProduct:
    return next(product for product in products if product.format == name)
