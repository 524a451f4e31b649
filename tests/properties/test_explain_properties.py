from __future__ import annotations

import numpy as np
from drawn_cases import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from npuexplore.compression.plan import CompressionPlan, batch_plans
from npuexplore.compression.shapes import PlanShapes, plan_shapes
from npuexplore.cost.estimate import estimate
from npuexplore.cost.explain import explain, waterfall
from npuexplore.cost.part import Part, part_of
from npuexplore.cost.sensitivity import is_quick, sensitivities
from npuexplore.cost.waterfall import PARTS, allot
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.network import Network

Case = tuple[HardwareProfile, Network, CompressionPlan]


def inside(profile: HardwareProfile, network: Network, plan: CompressionPlan) -> tuple[Part, PlanShapes]:
    part = part_of(profile, network)
    return part, plan_shapes(part.tables, batch_plans([plan], network))


@settings(max_examples=25)
@given(cases())
def test_a_waterfall_adds_up_to_the_cycles_of_every_layer(case: Case) -> None:
    parts = waterfall(*inside(*case))

    assert tuple(parts) == PARTS
    assert all((cycles >= 0).all() and cycles.dtype == np.int64 for cycles in parts.values())
    assert np.array_equal(sum(parts.values()), estimate(*case).layers.cycles)


@settings(max_examples=25)
@given(cases())
def test_work_is_never_more_than_the_cycles_without_memory_stalls(case: Case) -> None:
    parts = waterfall(*inside(*case))

    assert (parts["useful_macs"][:, 0] == 0).all()
    assert (parts["useful_macs"] + parts["cpu"] <= estimate(*case).layers.compute_cycles).all()


@settings(max_examples=25)
@given(cases())
def test_the_arena_never_holds_less_than_any_step_s_tensors(case: Case) -> None:
    profile, network, plan = case

    live = dict(explain(estimate(*case), 0, which="none").arena)

    assert max(live.values()) == estimate(*case).sram_bytes[0]
    widths = [plan.of(layer.name).activation_bits // 8 for layer in network.layers]
    assert all(size >= profile.runtime.stack_bytes for size in live.values())
    assert live["analysis"] >= profile.runtime.stack_bytes + network.bands * widths[0]
    assert live["synthesis"] >= profile.runtime.stack_bytes + network.bands * widths[-1]
    for name, state in _state_bytes(network, plan).items():
        assert live[name] >= profile.runtime.stack_bytes + state


def _state_bytes(network: Network, plan: CompressionPlan) -> dict[str, int]:
    """Every layer's name and the least that the states of all layers take."""
    total = 0
    for layer in network.layers:
        if layer.kind in ("lstm", "gru"):
            choice = plan.of(layer.name)
            removed = choice.sparsity_frac if choice.structure == "unit" else 0.0
            units = max(round(layer.hidden_units * (1.0 - removed)) - 1, 1)
            total += units * (choice.activation_bits // 8 + 2 * (layer.kind == "lstm"))
    return dict.fromkeys((layer.name for layer in network.layers), total)


@settings(max_examples=25)
@given(cases().filter(lambda case: is_quick(case[0])))
def test_a_faster_part_is_never_slower_and_a_slower_one_never_faster(case: Case) -> None:
    result = estimate(*case)

    network_cycles = int(result.layers.cycles[0, 1:].sum())
    for each in sensitivities(*inside(*case), network_cycles=network_cycles):
        more_work = each.change.endswith(("latency", "cycles"))
        faster = each.change.startswith("twice") != more_work
        if faster:
            assert each.cycles <= result.cycles[0], each.change
        else:
            assert each.cycles >= result.cycles[0], each.change


@given(
    npst.arrays(np.int64, (3, 2), elements=st.integers(0, 10**9)),
    st.dictionaries(st.sampled_from(PARTS), st.floats(-1e10, 1e10), max_size=8),
    st.sampled_from(PARTS),
)
def test_shares_of_a_total_are_whole_and_add_up(
    total: np.ndarray, parts: dict[str, float], rest: str
) -> None:
    wanted = {name: np.full(total.shape, value) for name, value in parts.items()}

    shares = allot(total, wanted, rest=rest)

    assert np.array_equal(sum(shares.values()), total)
    assert all((share >= 0).all() for share in shares.values())
