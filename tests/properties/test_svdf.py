"""SVDF layers on a Cortex-M: what must hold of their cycles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.cortex_m.svdf import svdf_cycles
from npuexplore.errors import BadInput
from npuexplore.hardware.kernels.product import product_kernels
from npuexplore.hardware.kernels.svdf import svdf_kernel

PLACES = sorted({(core, toolchain) for core, toolchain, _ in product_kernels()})
SIZES = st.fixed_dictionaries(
    {
        "inputs": st.integers(1, 300),
        "units": st.integers(1, 300),
        "rank": st.integers(1, 8),
        "memory_steps": st.integers(1, 40),
    }
)


def one(place: tuple[str, str], sizes: dict[str, int]) -> float:
    arrays = {name: np.array([size]) for name, size in sizes.items()}
    return float(svdf_cycles(svdf_kernel(*place), **arrays)[0])


@given(st.sampled_from(PLACES), SIZES)
def test_a_layer_takes_more_than_its_product(place: tuple[str, str], sizes: dict[str, int]) -> None:
    product = product_cycles(
        svdf_kernel(*place).product,
        inputs=np.array([sizes["inputs"]]),
        outputs=np.array([sizes["units"] * sizes["rank"]]),
    )

    assert one(place, sizes) > product[0]


@given(st.sampled_from(PLACES), SIZES)
def test_four_more_steps_of_memory_cost_every_feature_the_same(
    place: tuple[str, str], sizes: dict[str, int]
) -> None:
    steps = sizes["memory_steps"]
    longer = [one(place, {**sizes, "memory_steps": steps + more}) for more in (0, 32, 64)]

    assert longer[0] < longer[1]
    assert longer[2] - longer[1] == pytest.approx(longer[1] - longer[0])


@given(st.sampled_from(PLACES), SIZES, SIZES)
def test_layers_together_take_what_they_take_apart(
    place: tuple[str, str], one_layer: dict[str, int], other: dict[str, int]
) -> None:
    arrays = {name: np.array([one_layer[name], other[name]]) for name in one_layer}

    together = svdf_cycles(svdf_kernel(*place), **arrays)

    assert together.tolist() == pytest.approx([one(place, one_layer), one(place, other)])


def test_a_layer_without_units_takes_nothing() -> None:
    assert one(("m4", "clang22-O3"), {"inputs": 40, "units": 0, "rank": 1, "memory_steps": 8}) == 0


def test_an_unknown_core_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="m99 under clang22-O3"):
        svdf_kernel("m99", "clang22-O3")
