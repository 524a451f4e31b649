"""Schedules of whole networks on Ethos-U: order, staged weights, formats, bytes alive."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from npuexplore.compression.mlw.order import MlwStream
from npuexplore.cost.ethos_u.formats import FORMATS, Candidates, Coded, choose_format
from npuexplore.cost.ethos_u.lowering import Command
from npuexplore.cost.ethos_u.pricing import Sizes
from npuexplore.cost.ethos_u.real_weights import run_zeros, two_four_possible
from npuexplore.cost.ethos_u.schedule import Layer, Schedule, Storage, Stored, network_steps, schedule
from npuexplore.cost.ethos_u.slices import SliceBytes
from npuexplore.cost.traffic import Route, route_of
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.load import compose_profile

BYTES_PER_WEIGHT = np.array([0.05, 0.15, 0.4, 0.9])
"""Plans that read in place, in slices and in one slice on the way to the staging memory."""


def part(name: str, system: str, mode: str) -> tuple[EthosU, Route]:
    profile = compose_profile(name, system)
    assert isinstance(profile.engine, EthosU)
    return profile.engine, route_of(profile, mode)


def layers_of(*shapes: tuple[str, int, int], plans: int) -> list[Layer]:
    return [
        Layer(
            kind,
            Sizes(
                inputs=np.full(plans, inputs),
                units=np.full(plans, units),
                activation_bytes=np.ones(plans, np.int64),
                two_four=np.zeros(plans, np.bool_),
            ),
        )
        for kind, inputs, units in shapes
    ]


def even_storage(layers: list[Layer], bytes_per_weight: np.ndarray) -> Storage:
    """Weights whose bytes spread evenly over the outputs."""

    def stored(layer: int, command: Command) -> Stored:
        sizes = layers[layer].sizes
        columns = sizes.units if command.from_state else sizes.inputs

        def slice_bytes(_index: np.ndarray) -> SliceBytes:
            def of(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
                exact = (ends - starts) * (columns * bytes_per_weight)[:, None]
                return -(-exact // 16).astype(np.int64) * 16

            return of

        return Stored(None, slice_bytes, key=(command.gate, command.from_state))

    return stored


def dedicated_lstm(bytes_per_weight: np.ndarray) -> Schedule:
    engine, route = part("ethos-u65-256", "ethos_u65_high_end", "Dedicated_Sram_384KB")
    layers = layers_of(("lstm", 64, 128), ("dense", 128, 64), plans=bytes_per_weight.size)
    return schedule(engine, route, layers, even_storage(layers, bytes_per_weight))


def test_plans_scheduled_together_cost_what_they_cost_apart() -> None:
    together = dedicated_lstm(BYTES_PER_WEIGHT)

    for plan in range(BYTES_PER_WEIGHT.size):
        apart = dedicated_lstm(BYTES_PER_WEIGHT[plan : plan + 1])
        for both, alone in zip(together.costs, apart.costs, strict=True):
            assert both.op_cycles[plan] == alone.op_cycles[0]
            assert both.npu_cycles[plan] == alone.npu_cycles[0]
        assert together.alive_bytes["sram"][plan] == apart.alive_bytes["sram"][0]


def test_some_plans_stage_their_weights_and_some_read_them_in_place() -> None:
    costs = dedicated_lstm(BYTES_PER_WEIGHT).costs

    staged = np.array([cost.staged.chosen for cost in costs if cost.staged is not None])

    assert 0 < staged.sum() < staged.size
    assert len(np.unique(staged.sum(axis=0))) > 1


def test_depth_slices_rise_in_whole_steps_to_the_last_output() -> None:
    for cost in dedicated_lstm(BYTES_PER_WEIGHT).costs:
        if cost.staged is None:
            continue
        bounds, outputs = cost.staged.bounds, cost.staged.bounds[:, -1]

        assert (np.diff(bounds, axis=1) >= 0).all()
        assert (bounds[:, 0] == 0).all()
        assert ((bounds % 16 == 0) | (bounds == outputs[:, None])).all()


def test_weights_are_never_staged_where_they_already_lie_beside_the_tensors() -> None:
    engine, route = part("ethos-u55-128", "ethos_u55_high_end_embedded", "Sram_Only")
    layers = layers_of(("lstm", 64, 128), plans=BYTES_PER_WEIGHT.size)

    costs = schedule(engine, route, layers, even_storage(layers, BYTES_PER_WEIGHT)).costs

    assert not any(cost.staged.chosen.any() for cost in costs if cost.staged is not None)


def test_recurrent_layers_take_up_their_states_from_the_last_one_on() -> None:
    engine, route = part("ethos-u55-128", "ethos_u55_high_end_embedded", "Sram_Only")
    layers = layers_of(("lstm", 16, 32), ("lstm", 32, 48), ("dense", 48, 16), plans=1)

    order = [step.layer for step in network_steps(engine, layers, route)]

    assert order[:4] == [1, 1, 0, 0]
    assert order[4:] == sorted(order[4:])


@pytest.mark.parametrize(
    ("name", "system", "values"),
    [("ethos-u55-128", "ethos_u55_high_end_embedded", 5), ("ethos-u85-256", "ethos_u85_sys_flash_high", 4)],
)
def test_an_lstm_keeps_its_states_its_input_and_so_many_gate_values(
    name: str, system: str, values: int
) -> None:
    units, inputs = 64, 16
    engine, route = part(name, system, "Shared_Sram")
    layers = layers_of(("lstm", inputs, units), plans=1)

    alive = schedule(engine, route, layers, even_storage(layers, np.array([0.9]))).alive_bytes["sram"]

    # h takes a byte per unit, c and each gate's value two. Without chains the input is gone at the fullest.
    input_bytes = inputs if values == 4 else 0
    assert alive[0] == units + 2 * units + values * 2 * units + input_bytes


def test_a_chain_on_the_networks_own_input_keeps_its_operand_out_of_the_small_memory() -> None:
    engine, route = part("ethos-u85-256", "ethos_u85_sys_dram_mid", "Dedicated_Sram_384KB")
    layers = layers_of(("lstm", 64, 128), plans=1)
    costs = schedule(engine, route, layers, even_storage(layers, np.array([0.9]))).costs

    state_product = next(cost for cost in costs if cost.step.command.from_state)

    assert set(state_product.memory_cycles) == {"dram"}


def coded(**changes: int) -> Coded:
    figures = {
        "default_bytes": 60_000,
        "fast_bytes": 65_568,
        "source_weights": 65_536,
        "run_zeros": 0,
        "distinct": 200,
    }
    return Coded(**{name: np.array([value]) for name, value in {**figures, **changes}.items()})


def chosen_format(plain: Coded, two_four: Coded | None, *, name: str, mode: str) -> str:
    engine, route = part(name, "ethos_u85_sys_dram_mid", mode)
    index = choose_format(
        engine,
        Candidates(plain, two_four, np.array([two_four is not None])),
        memory=route.weight_memory,
        plain_cycles=np.array([20_000]),
        two_four_cycles=np.array([5_000]),
    )
    return FORMATS[int(index[0])]


def test_two_of_four_is_stored_where_the_weights_allow_it() -> None:
    half = coded(default_bytes=40_000, run_zeros=30_000)

    assert chosen_format(coded(), half, name="ethos-u85-1024", mode="Sram_Only") == "Default|Sparse2_4"
    assert chosen_format(coded(), None, name="ethos-u85-1024", mode="Sram_Only") == "Default"


def test_one_slow_decoder_makes_the_fast_format_worth_its_bytes() -> None:
    assert chosen_format(coded(), None, name="ethos-u85-128", mode="Sram_Only") == "Fast"
    assert chosen_format(coded(), None, name="ethos-u85-128", mode="Dedicated_Sram") == "Default"


def test_an_older_part_knows_only_the_default_format() -> None:
    engine, route = part("ethos-u55-128", "ethos_u55_high_end_embedded", "Sram_Only")
    candidates = Candidates(coded(), None, np.array([False]))

    index = choose_format(
        engine,
        candidates,
        memory=route.weight_memory,
        plain_cycles=np.array([1]),
        two_four_cycles=None,
    )

    assert index.tolist() == [0]


@pytest.mark.parametrize(
    ("row", "possible"),
    [
        ([1, 0, 0, 2, 0, 3, 4, 0], True),
        ([1, 0, 5, 2, 0, 3, 4, 0], False),
        ([7, 7], True),
        ([-128, 0, 0, 0], False),
    ],
)
def test_two_of_four_needs_two_zeros_in_each_group_and_seven_bits(row: list[int], possible: bool) -> None:
    assert two_four_possible(np.array([row], np.int8)) is possible


def test_zeros_count_as_runs_only_where_runs_are_coded() -> None:
    order = MlwStream(generation="alternating", ofm_ublock_elems=8, ifm_block_elems=64)
    rng = np.random.default_rng([0])
    dense = rng.integers(1, 100, (16, 64)).astype(np.int8)
    sparse = dense * (rng.random((16, 64)) < 0.05)

    assert run_zeros(dense, order, ofm_block_depth=16) == 0
    assert run_zeros(sparse.astype(np.int8), order, ofm_block_depth=16) == int((sparse == 0).sum())


def test_a_schedule_says_what_is_only_read() -> None:
    found = dedicated_lstm(np.array([0.9]))

    weights = sum(int(cost.staged.weight_bytes[0]) for cost in found.costs if cost.staged is not None)
    scales = sum(int(cost.staged.scale_bytes[0]) for cost in found.costs if cost.staged is not None)

    assert int(found.constant_bytes[0]) == weights + scales
    assert dataclasses.is_dataclass(found)


def test_gates_whose_weights_differ_are_never_taken_for_each_other() -> None:
    engine, route = part("ethos-u65-256", "ethos_u65_high_end", "Dedicated_Sram_384KB")
    layers = layers_of(("lstm", 64, 128), plans=1)
    sizes = {"o": 0.9, "i": 0.7, "g": 0.4, "f": 0.2}

    def storage(layer: int, command: Command) -> Stored:
        return even_storage(layers, np.array([sizes[command.gate]]))(layer, command)

    costs = schedule(engine, route, layers, storage).costs

    found = {cost.step.command.gate: cost.staged for cost in costs if cost.step.command.from_state}
    weights = {gate: int(staged.weight_bytes[0]) for gate, staged in found.items() if staged is not None}
    assert weights == {gate: pytest.approx(128 * 128 * share, abs=32) for gate, share in sizes.items()}
