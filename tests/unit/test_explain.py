from __future__ import annotations

import json

import numpy as np
import pytest
from cost_cases import dense_case, first_layer_plan, recurrent_case

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.cost.document import estimate_document
from npuexplore.cost.estimate import estimate
from npuexplore.cost.explain import explain
from npuexplore.cost.front_end import front_end_costs
from npuexplore.cost.sensitivity import Knob, turned
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.kernels.product import product_kernel
from npuexplore.hardware.kernels.sparse import sparse_kernels
from npuexplore.hardware.load import load_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Network

TINYLSTM = load_network("tinylstm")
MICRONPU = load_profile("micronpu-block16")
M7 = load_profile("stm32f746")
DENSE = CompressionPlan()


def waiting(ratio: float) -> HardwareProfile:
    """The Cortex-M7 with slower memory."""
    return M7.model_copy(update={"engine": M7.engine.model_copy(update={"memory_wait_ratio": ratio})})


def first_waterfall(
    profile: HardwareProfile, network: Network, plan: CompressionPlan = DENSE
) -> dict[str, int]:
    """The cycles of the layer `first` by purpose, those without any left out."""
    waterfall = explain(estimate(profile, network, plan), 0).waterfall
    return {name: int(cycles[0, 1]) for name, cycles in waterfall.items() if cycles[0, 1]}


FC_S8, FC_S4 = (product_kernel("m7", "gcc12.2-Ofast", name) for name in ("fc_s8", "fc_s4"))


def test_a_dense_layer_on_a_cortex_m_is_its_macs_and_its_rows() -> None:
    macs = round(64 * 16 * FC_S8.cycles_per_mac)
    cycles = float(product_cycles(FC_S8, inputs=np.array(64), outputs=np.array(16)))

    assert first_waterfall(M7, dense_case(64, 16)) == {"useful_macs": macs, "overhead": round(cycles) - macs}


def test_unpacking_four_bits_on_a_cortex_m_is_decode() -> None:
    parts = first_waterfall(M7, dense_case(64, 16), first_layer_plan(weight_bits=4))

    assert parts["useful_macs"] == round(64 * 16 * FC_S8.cycles_per_mac)
    assert parts["decode"] == round(64 * 16 * (FC_S4.cycles_per_mac - FC_S8.cycles_per_mac))


def test_a_sparse_kernel_on_a_cortex_m_pays_for_its_index() -> None:
    plan = first_layer_plan(structure="block", sparsity_frac=0.75, block=(4, 4))
    kernel = next(each for each in sparse_kernels("m7", "gcc12.2-Ofast") if each.block == (4, 4))

    parts = first_waterfall(M7, dense_case(64, 64), plan)

    macs, blocks = 64 * 64 // 4, 64 * 64 // 4 // 16
    assert parts["useful_macs"] == round(macs * FC_S8.cycles_per_mac)
    assert parts["index"] == pytest.approx(blocks * kernel.cycles_per_block - parts["useful_macs"], abs=1)
    assert parts["overhead"] > 16 * kernel.few_cycles[0]
    assert "padding" not in parts


def test_zeros_that_a_dense_kernel_multiplies_are_padding() -> None:
    parts = first_waterfall(M7, dense_case(64, 16), first_layer_plan(structure="weight", sparsity_frac=0.25))

    assert parts["padding"] == pytest.approx(64 * 16 / 4 * FC_S8.cycles_per_mac, abs=1)
    assert parts["useful_macs"] == pytest.approx(3 * parts["padding"], abs=3)


def test_waiting_for_memory_is_a_stall_and_changes_no_other_part() -> None:
    network = recurrent_case("lstm", 32, 32)
    at_once, late = first_waterfall(M7, network), first_waterfall(waiting(3.0), network)

    assert "memory_stall" not in at_once
    assert late.pop("memory_stall") == pytest.approx(2 * sum(at_once.values()), abs=3)
    assert late == pytest.approx(at_once, abs=2)


def test_the_front_end_is_the_work_of_a_cpu() -> None:
    waterfall = explain(estimate(MICRONPU, TINYLSTM, DENSE), 0).waterfall

    front_end = front_end_costs(TINYLSTM, MICRONPU.front_end)
    assert waterfall["cpu"][0, 0] == front_end.engine_cycles
    assert sum(int(cycles[0, 0]) for cycles in waterfall.values()) == front_end.engine_cycles


def test_sram_over_time_follows_from_the_tensors_that_are_alive() -> None:
    network = recurrent_case("gru", 40, 24)
    front_end = front_end_costs(network, M7.front_end)
    always = (
        M7.runtime.stack_bytes + front_end.resident_bytes + front_end.spectrum_bytes + 32
    )  # the state: 24 bytes on whole 16
    bands, mask, hidden = 48, 48, 32

    arena = dict(explain(estimate(M7, network, DENSE), 0).arena)

    assert arena == {
        "analysis": always + front_end.work_bytes + bands,
        "first": always + bands + hidden + 6 * 32,  # gate values
        "mask": always + hidden + mask,
        "synthesis": always + front_end.work_bytes + mask,
    }


def test_an_explanation_names_the_step_at_which_sram_is_fullest() -> None:
    result = estimate(MICRONPU, TINYLSTM, DENSE)

    why = explain(result, 0)

    assert why.peak_step == "lstm_2"
    assert dict(why.arena)["lstm_2"] == result.sram_bytes[0] == max(dict(why.arena).values())


def test_twice_the_bandwidth_halves_the_stream_of_a_layer_that_is_bound_by_it() -> None:
    result = estimate(MICRONPU, dense_case(160, 80), DENSE)
    changes = {each.change: each for each in explain(result, 0).sensitivities or ()}
    streams = 160 * 80 // 4 + 80 * 160 // 4

    faster, slower = changes["twice the flash bandwidth"], changes["half the flash bandwidth"]

    assert faster.cycles == result.cycles[0] - streams // 2
    assert slower.cycles == result.cycles[0] + streams
    assert slower.cycles_change_pct == pytest.approx(100.0 * streams / result.cycles[0])
    assert slower.latency_ms == pytest.approx(slower.cycles / MICRONPU.clock_hz * 1e3)


def test_twice_the_front_end_adds_its_cycles_once_more() -> None:
    result = estimate(M7, TINYLSTM, DENSE)
    changes = {each.change: each for each in explain(result, 0).sensitivities or ()}

    front_end = int(result.layers.cycles[0, 0])
    assert changes["twice the front-end cycles"].cycles == result.cycles[0] + front_end


def test_an_ethos_u_that_waits_for_its_flash_feels_twice_and_half_of_it() -> None:
    result = estimate(load_profile("ethos-u55-128"), load_network("lstm64x2"), DENSE)
    changes = {each.change: each for each in explain(result, 0).sensitivities or ()}

    assert result.bound_names[result.layers.bound_by[0, 1]] == "memory:flash"
    assert changes["twice the flash bandwidth"].cycles < 0.75 * result.cycles[0]
    assert changes["half the flash bandwidth"].cycles > 1.5 * result.cycles[0]


def test_the_clock_is_no_knob_and_memories_that_nothing_touches_are_none() -> None:
    changes = [
        each.change
        for each in explain(
            estimate(MICRONPU, TINYLSTM, DENSE, memory_mode="weights_in_sram"), 0
        ).sensitivities
    ]

    assert "twice the sram bandwidth" in changes
    assert not [change for change in changes if "clock" in change or "flash" in change]


def test_turning_a_knob_leaves_the_profile_as_it_was() -> None:
    before = M7.model_dump()

    faster = turned(M7, Knob("MAC rate", costs=("engine.ratios.product",)), "twice")

    assert M7.model_dump() == before
    assert faster is not None
    assert isinstance(faster.engine, CortexM)
    assert isinstance(M7.engine, CortexM)
    assert faster.engine.ratios.product == M7.engine.ratios.product / 2
    assert faster.engine.ratios.elementwise == M7.engine.ratios.elementwise


def test_a_change_that_the_profile_refuses_or_does_not_feel_is_left_out() -> None:
    assert turned(M7, Knob("nothing", rates=("engine.no_such_figure",)), "twice") is None
    assert turned(M7, Knob("latency", rates=("memories.sram.*_latency_cycles",)), "twice") is None
    assert turned(M7, Knob("clock", rates=("energy.*",)), "half") is None
    at_the_limit = M7.memories["sram"].model_copy(update={"bytes_per_cycle": 1e6})
    fastest = M7.model_copy(update={"memories": {"sram": at_the_limit}})
    assert turned(fastest, Knob("bandwidth", rates=("memories.sram.bytes_per_cycle",)), "twice") is None


def test_the_document_explains_in_plain_json() -> None:
    result = estimate(MICRONPU, TINYLSTM, DENSE)

    document = json.loads(json.dumps(estimate_document(result, 0), allow_nan=False))

    for layer in document["layers"]:
        assert list(layer["waterfall"]) == [
            "useful_macs", "padding", "decode", "index", "activation", "overhead", "memory_stall", "cpu",
        ]  # fmt: skip
        assert sum(layer["waterfall"].values()) == layer["cycles"]
    assert [step["step"] for step in document["arena"]] == [
        "analysis", "lstm_1", "lstm_2", "fc_1", "fc_2", "synthesis",
    ]  # fmt: skip
    assert max(step["live_bytes"] for step in document["arena"]) == document["totals"]["sram_bytes"]
    assert document["peak_step"] == "lstm_2"
    effects = [abs(each["cycles_change_pct"]) for each in document["sensitivities"]]
    assert effects == sorted(effects, reverse=True)
    assert effects[0] > 10.0
    assert set(document["sensitivities"][0]) == {"change", "cycles", "cycles_change_pct", "latency_ms"}
    assert document["battery_hours"]["zinc-air-312"] == pytest.approx(
        180.0 * 1.2 / document["totals"]["average_power_mw"]
    )
