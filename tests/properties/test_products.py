"""Products on a Cortex-M: what must hold of their cycles whatever the table says, and of the table itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalar_products import counted_product_cycles

from npuexplore.cost.cortex_m.product import product_cycles, product_parts
from npuexplore.hardware.kernels.product import ProductKernel, RowPhase, product_kernel, product_kernels

KERNELS = product_kernels()
SIZES = st.integers(1, 1100)
cycles = st.floats(0, 100).map(lambda value: round(value, 2))


@st.composite
def kernels(draw: st.DrawFn) -> ProductKernel:
    """Tables that no compiler would make."""
    phases = [
        RowPhase(
            rows=draw(st.sampled_from((1, 2, 4))),
            within=draw(st.sampled_from((0, 2, 4))),
            per_pass=draw(cycles),
            per_step=draw(cycles),
            tail=np.array(draw(st.lists(cycles, min_size=step, max_size=step))),
            short=np.array(draw(st.lists(cycles, max_size=40))),
            per_late_input=draw(cycles),
            once=draw(cycles),
        )
        for step in draw(st.lists(st.sampled_from((1, 4, 16, 32)), min_size=1, max_size=3))
    ]
    return ProductKernel(tuple(phases), per_call=draw(cycles), fast_inputs=draw(st.sampled_from((0, 8, 512))))


@given(kernels(), st.integers(0, 600), st.integers(0, 40))
def test_cycles_are_those_of_loops_counted_one_by_one(
    kernel: ProductKernel, inputs: int, outputs: int
) -> None:
    (ours,) = product_cycles(kernel, inputs=np.array([inputs]), outputs=np.array([outputs]))

    assert ours == pytest.approx(counted_product_cycles(kernel, inputs=inputs, outputs=outputs))


@given(st.sampled_from(KERNELS), SIZES, SIZES)
def test_shipped_kernels_take_the_cycles_of_their_loops(
    names: tuple[str, str, str], inputs: int, outputs: int
) -> None:
    kernel = product_kernel(*names)
    (ours,) = product_cycles(kernel, inputs=np.array([inputs]), outputs=np.array([outputs]))

    assert ours == pytest.approx(counted_product_cycles(kernel, inputs=inputs, outputs=outputs))
    assert ours > 0


@given(st.sampled_from(KERNELS), st.lists(SIZES, min_size=1, max_size=5), st.lists(SIZES, min_size=1))
def test_shapes_broadcast(names: tuple[str, str, str], inputs: list[int], outputs: list[int]) -> None:
    kernel, columns, rows = product_kernel(*names), np.array(inputs)[:, np.newaxis], np.array(outputs)

    together = product_cycles(kernel, inputs=columns, outputs=rows)

    each = [
        [product_cycles(kernel, inputs=columns[i], outputs=rows[j])[0] for j in range(rows.size)]
        for i in range(columns.size)
    ]
    np.testing.assert_allclose(together, np.array(each))


@given(st.sampled_from(KERNELS), st.integers(4, 2000), SIZES)
def test_a_whole_step_of_inputs_or_a_group_of_rows_never_makes_a_product_faster(
    names: tuple[str, str, str], inputs: int, outputs: int
) -> None:
    kernel = product_kernel(*names)
    step, rows = kernel.phases[0].tail.size, kernel.phases[0].rows

    small, wider, taller = product_cycles(
        kernel,
        inputs=np.array([inputs, inputs + step, inputs]),
        outputs=np.array([outputs, outputs, outputs + rows]),
    )

    assert small < wider
    assert small < taller


@given(st.sampled_from(KERNELS), SIZES, SIZES)
def test_parts_add_up(names: tuple[str, str, str], inputs: int, outputs: int) -> None:
    kernel, sizes = product_kernel(*names), {"inputs": np.array(inputs), "outputs": np.array(outputs)}

    loops, rest = product_parts(kernel, **sizes)

    assert loops >= 0
    assert loops + rest == pytest.approx(float(product_cycles(kernel, **sizes)))


@pytest.mark.parametrize("names", KERNELS, ids="-".join)
def test_a_product_without_rows_or_columns_takes_nothing(names: tuple[str, str, str]) -> None:
    kernel = product_kernel(*names)

    ours = product_cycles(kernel, inputs=np.array([0, 16, 0]), outputs=np.array([4, 0, 0]))

    assert ours.tolist() == [0, 0, 0]


@pytest.mark.parametrize("names", KERNELS, ids="-".join)
def test_left_over_inputs_take_what_the_loops_of_their_source_take(names: tuple[str, str, str]) -> None:
    """Fours and ones one by one; or masked vectors, whatever they hold."""
    core, _, name = names
    for phase in product_kernel(*names).phases:
        tail = phase.tail
        if core == "m55" and name != "fc_s4":
            lanes = 8 if name == "fc_s16" else 16
            for left in range(1, 16):
                assert tail[left] == pytest.approx(tail[min(-(-left // lanes) * lanes, 15)])
        elif core != "m55":
            for left in range(16):
                assert tail[left] == pytest.approx(tail[left // 4 * 4] + tail[left % 4], abs=1e-3)


@pytest.mark.parametrize("core", ["m4", "m7", "m33", "m55"])
def test_a_16_bit_product_takes_inputs_beyond_512_one_by_one(core: str) -> None:
    kernel = product_kernel(core, "clang22-O3", "fc_s16")

    short, full, beyond = product_cycles(
        kernel, inputs=np.array([496, 512, 528]), outputs=np.array([64, 64, 64])
    )

    assert beyond - full > 1.5 * (full - short)


@given(st.sampled_from(KERNELS), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1))
def test_many_products_take_to_the_bit_what_each_takes_alone(
    names: tuple[str, str, str], shapes: list[tuple[int, int]]
) -> None:
    kernel, (inputs, outputs) = product_kernel(*names), np.array(shapes).T

    many = product_cycles(kernel, inputs=np.tile(inputs, 64), outputs=np.tile(outputs, 64))

    alone = [float(product_cycles(kernel, inputs=inputs[i], outputs=outputs[i])) for i in range(len(shapes))]
    assert many.tolist() == alone * 64
