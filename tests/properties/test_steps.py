"""Recurrent steps and passes on a Cortex-M: what must hold of their cycles, and of the shipped tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scalar_steps import counted_pass_cycles, counted_sequence_cycles

from npuexplore.cost.cortex_m.elementwise import kernel_cycles, pass_cycles
from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.cortex_m.recurrent import (
    matvec_kernels,
    sequence_cycles,
    unit_cycles,
)
from npuexplore.errors import BadInput
from npuexplore.hardware.kernels.elementwise import PassKernel, PassLoop, pass_kernel, pass_kernels
from npuexplore.hardware.kernels.recurrent import GATES, step_kernel, step_kernels

STEPS, PASSES = step_kernels(), pass_kernels()
SIZES = st.integers(1, 600)
cycles = st.floats(0, 100).map(lambda value: round(value, 2))


@st.composite
def passes(draw: st.DrawFn) -> PassKernel:
    """Tables that no compiler would make."""
    widths = draw(st.sampled_from(((1,), (2,), (4,), (8, 2), (16, 4), (16, 1))))
    loops = [
        PassLoop(width, masked=draw(st.booleans()), per_group=draw(cycles), once=draw(cycles))
        for width in widths
    ]
    left = draw(st.lists(cycles, min_size=widths[-1], max_size=widths[-1]))
    return PassKernel(tuple(loops), left=np.array(left), per_call=draw(cycles))


@given(passes(), st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_a_pass_takes_the_cycles_of_its_groups_counted_one_by_one(
    kernel: PassKernel, elems: list[int]
) -> None:
    ours = kernel_cycles(kernel, elems=np.array(elems))

    np.testing.assert_allclose(ours, [counted_pass_cycles(kernel, each) for each in elems])


@given(st.sampled_from(PASSES), st.integers(0, 1500))
def test_shipped_passes_take_the_cycles_of_their_groups(names: tuple[str, str, str], elems: int) -> None:
    ours = float(pass_cycles(*names, elems=np.array(elems)))

    assert ours == pytest.approx(counted_pass_cycles(pass_kernel(*names), elems))
    assert ours > 0 or elems == 0


@given(st.sampled_from(PASSES), st.integers(1, 1500))
def test_sixteen_more_elements_never_make_a_pass_faster(names: tuple[str, str, str], elems: int) -> None:
    if elems < 16 and names[2].startswith("relu"):
        elems += 16  # a vector takes less than the single elements that it replaces

    small, large = pass_cycles(*names, elems=np.array([elems, elems + 16]))

    assert small < large


@given(st.sampled_from(STEPS), st.integers(0, 300), SIZES, st.integers(0, 6), st.booleans())
def test_a_sequence_takes_the_cycles_of_its_steps_counted_one_by_one(
    names: tuple[str, str, str], inputs: int, units: int, steps: int, stateful: bool
) -> None:
    kernel = step_kernel(*names)
    case = {"inputs": inputs, "units": units, "steps": steps}

    ours = sequence_cycles(
        kernel, **{name: np.array(size) for name, size in case.items()}, stateful=np.array(stateful)
    )

    assert float(ours) == pytest.approx(counted_sequence_cycles(kernel, **case, stateful=stateful))


@given(st.sampled_from(STEPS), SIZES, SIZES)
def test_a_stateful_step_is_its_products_and_what_comes_with_its_units(
    names: tuple[str, str, str], inputs: int, units: int
) -> None:
    product, columns, rows = matvec_kernels(*names), np.array(inputs), np.array(units)

    whole = sequence_cycles(
        step_kernel(*names), inputs=columns, units=rows, steps=np.array(1), stateful=np.array(True)
    )

    products = product_cycles(product, inputs=columns, outputs=rows) + product_cycles(
        product, inputs=rows, outputs=rows
    )
    activation, rest = unit_cycles(*names, units=rows)
    assert float(whole) == pytest.approx(float(GATES[names[2]] * products + activation + rest))
    assert activation > 0
    assert rest > 0


@given(st.sampled_from(STEPS), SIZES, SIZES, st.integers(1, 20))
def test_a_first_step_without_a_state_saves_time_and_further_steps_take_equally_long(
    names: tuple[str, str, str], inputs: int, units: int, steps: int
) -> None:
    lengths = np.array([[steps], [steps + 1], [steps + 2]])

    short, longer, longest = sequence_cycles(
        step_kernel(*names),
        inputs=np.array(inputs),
        units=np.array(units),
        steps=lengths,
        stateful=np.array([False, True]),
    )

    assert short[0] < short[1]
    np.testing.assert_allclose(longest - longer, longer - short)


@given(st.sampled_from(STEPS), st.integers(4, 600), st.integers(4, 600))
def test_four_more_inputs_or_eight_more_units_never_make_a_step_faster(
    names: tuple[str, str, str], inputs: int, units: int
) -> None:
    small, wider, larger = sequence_cycles(
        step_kernel(*names),
        inputs=np.array([inputs, inputs + 4, inputs]),
        units=np.array([units, units, units + 8]),
        steps=np.array(1),
        stateful=np.array(True),
    )

    assert small <= wider
    assert small < larger


@pytest.mark.parametrize("names", STEPS, ids="-".join)
def test_a_further_left_over_input_takes_less_than_a_step_of_inputs(names: tuple[str, str, str]) -> None:
    for phase in matvec_kernels(*names).phases:
        taken = phase.tail.tolist()

        assert taken == sorted(taken)
        assert max(np.diff(taken)[1:]) < phase.per_step


@pytest.mark.parametrize("kernel", [step_kernel, pass_kernel])
@pytest.mark.parametrize(
    "names",
    [("m9", "gcc12.2-Ofast", "lstm_s8"), ("m4", "armcc", "ew_add_s8"), ("m4", "clang22-O3", "matvec")],
)
def test_a_kernel_that_was_not_counted_is_refused(kernel: object, names: tuple[str, str, str]) -> None:
    assert callable(kernel)

    with pytest.raises(BadInput, match="it has"):
        kernel(*names)
