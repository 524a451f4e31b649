from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case
from numpy.typing import NDArray

from npuexplore.compression.matrix_plan import MatrixPlan
from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.cortex_m.sparse import product_cycles_of, stored_of
from npuexplore.cost.part import part_of
from npuexplore.cost.real_cycles import cycles_of_real_weights
from npuexplore.hardware.kernels.sparse import sparse_kernels
from npuexplore.hardware.load import load_profile
from npuexplore.workload.network import Network

M7 = load_profile("stm32f746")
CSR, *_ = sparse_kernels("m7", M7.engine.toolchain) if M7.engine.family == "cortex_m" else ()


def row_of(weight_format: str, *, compute: int = 500_000, memory: int = 0) -> dict[str, Any]:
    return {
        "name": "first",
        "weight_format": weight_format,
        "compute_cycles": compute,
        "memory_cycles": {"sram": memory},
    }


def real(
    network: Network, plan: CompressionPlan, row: Mapping[str, Any], **matrices: NDArray[Any]
) -> dict[str, int]:
    return cycles_of_real_weights(part_of(M7, network), plan, {"first": matrices}, [row])


def scattered(rows: int, columns: int, kept: int, *, seed: int) -> NDArray[np.int8]:
    weights = np.zeros(rows * columns, np.int8)
    weights[np.random.default_rng(seed).permutation(weights.size)[:kept]] = 1
    return weights.reshape(rows, columns)


def test_weights_that_lie_unevenly_take_what_their_rows_take() -> None:
    network, plan = dense_case(64, 32), first_layer_plan(structure="weight", sparsity_frac=0.75)
    lopsided = np.zeros((32, 64), np.int8)
    lopsided[:8] = 1
    even = scattered(32, 64, 512, seed=3)

    found = [real(network, plan, row_of("csr_delta8"), w=weights)["first"] for weights in (lopsided, even)]
    walked = [product_cycles_of(CSR, stored_of(CSR, weights)) for weights in (lopsided, even)]
    assert found[0] - found[1] == pytest.approx(walked[0] - walked[1], abs=1)


def test_random_weights_take_on_average_what_was_expected() -> None:
    network, plan = recurrent_case("lstm", 48, 40), first_layer_plan(structure="weight", sparsity_frac=0.9)
    kept = round(160 * (48 + 40) * 0.1)
    found = []
    for seed in range(10):
        both = scattered(160, 88, kept, seed=seed)
        found.append(
            real(network, plan, row_of("csr_abs8"), w_ih=both[:, :48].copy(), w_hh=both[:, 48:].copy())[
                "first"
            ]
        )

    assert np.mean(found) == pytest.approx(500_000, rel=0.002)


def test_only_the_matrix_that_is_stored_sparsely_counts() -> None:
    network = recurrent_case("lstm", 48, 40)
    sparse = MatrixPlan(structure="weight", sparsity_frac=0.8)
    plan = first_layer_plan(w_h=sparse)
    state = scattered(160, 40, round(160 * 40 * 0.2), seed=1)
    other = [scattered(160, 48, kept, seed=2) for kept in (160 * 48, 500)]

    found = [real(network, plan, row_of("dense + csr_delta8"), w_ih=w, w_hh=state)["first"] for w in other]
    assert found[0] == found[1] != 500_000


def test_a_layer_bound_by_memory_stays_so() -> None:
    network, plan = dense_case(64, 32), first_layer_plan(structure="weight", sparsity_frac=0.75)
    row = row_of("csr_delta8", compute=10_000, memory=900_000)

    assert real(network, plan, row, w=scattered(32, 64, 512, seed=0)) == {"first": 900_000}


def test_dense_weights_and_other_engines_have_no_cycles_of_their_own() -> None:
    network, weights = dense_case(64, 32), np.ones((32, 64), np.int8)
    micronpu = part_of(load_profile("micronpu-block16"), network)

    assert real(network, CompressionPlan(), row_of("dense"), w=weights) == {}
    assert (
        cycles_of_real_weights(micronpu, CompressionPlan(), {"first": {"w": weights}}, [row_of("dense")])
        == {}
    )
