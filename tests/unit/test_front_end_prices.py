"""How an estimate says what the front end takes and how that was priced."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.document import estimate_document
from npuexplore.cost.estimate import estimate
from npuexplore.cost.front_end import STAGES, front_end_costs, front_end_sentence
from npuexplore.errors import BadInput
from npuexplore.hardware.kernels.dsp import dsp_kernel
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.hardware.profile import FrontEndCpu
from npuexplore.workload.load import load_network

TINYLSTM = load_network("tinylstm")


@pytest.mark.parametrize("name", ["ethos-u55-128", "micronpu-block16", "renesas-ra8p1", "gap9"])
def test_the_document_lists_the_stages_behind_the_front_end_s_row(name: str) -> None:
    profile = load_profile(name)
    document = estimate_document(estimate(profile, TINYLSTM, CompressionPlan()), 0, which="none")

    front_end, row = document["front_end"], document["layers"][0]
    assert [stage["name"] for stage in front_end["stages"]] == list(STAGES)
    assert sum(stage["cpu_cycles"] for stage in front_end["stages"]) == front_end["cpu_cycles"]
    ratio = profile.front_end.engine_cycles_per_cpu_cycle
    assert row["cycles"] == math.ceil(front_end["cpu_cycles"] * ratio)
    assert front_end_sentence(TINYLSTM, profile.front_end) in document["assumptions"]


@pytest.mark.parametrize("name", list_profiles())
def test_a_shipped_part_s_front_end_has_kernels_or_a_figure(name: str) -> None:
    cpu = load_profile(name).front_end

    assert (cpu.kernel_core is None) == (cpu.cycles_per_op is not None)


def test_element_wise_stages_take_their_instructions() -> None:
    """By hand: 512 samples, 256 of them new, 257 bins, 128 bands; bins and bands look up addresses."""
    kernel = dsp_kernel("m55", "float32")
    streamed, gathered = kernel.streamed_cycles_per_op, kernel.gathered_cycles_per_op
    by_hand = {
        "window": (4 * 512 + 3 * 256) * streamed,
        "power": 5 * 257 * streamed,
        "bands": 10 * 257 * gathered,
        "log": 128 * kernel.log_cycles + 12 * 128 * streamed,
        "mask": 8 * 257 * gathered + (7 * 257 + 3 * 128) * streamed,
        "overlap_add": (5 * 512 + 4 * 256) * streamed,
    }

    stages = front_end_costs(TINYLSTM, FrontEndCpu(core="Cortex-M55")).stages

    assert {name: stages[name] for name in by_hand} == pytest.approx(by_hand, abs=0.5)


def test_the_sentence_says_what_was_published_and_what_was_assumed() -> None:
    m7, m33 = (front_end_sentence(TINYLSTM, FrontEndCpu(core=f"Cortex-M{core}")) for core in (7, 33))

    assert "float32 on a Cortex-M7" in m7
    assert "512 samples as 256 = 4 x 8 x 8 complex points; its cycles are published" in m7
    assert "its cycles are assumed" in m33


def test_a_window_that_is_no_power_of_two_is_pointed_out() -> None:
    clock = TINYLSTM.frame_clock.model_copy(update={"window_samples": 400, "hop_samples": 200})
    network = TINYLSTM.model_copy(update={"frame_clock": clock})

    sentence = front_end_sentence(network, FrontEndCpu(core="Cortex-M4"))

    assert "400 samples as 200 = 5 x 5 x 8 complex points, a length that CMSIS-DSP itself has no" in sentence
    assert "no transform" not in front_end_sentence(TINYLSTM, FrontEndCpu(core="Cortex-M4"))


def test_a_core_without_fpu_works_in_32_bit_integers_unless_told_otherwise() -> None:
    assert FrontEndCpu(core="Cortex-M0+").works_in == "q31"
    assert FrontEndCpu(core="Cortex-M0+", arithmetic="float32").works_in == "float32"
    assert FrontEndCpu(core="Cortex-M33").works_in == "float32"


@pytest.mark.parametrize(
    ("front_end", "sentence"),
    [
        ("{core: C28x}", "core: got 'C28x'; allowed: Cortex-M0+, Cortex-M3"),
        ("{core: Cortex-M7, arithmetic: q15}", "arithmetic: got 'q15'; a Cortex-M7 has kernels in float32"),
        ("{core: Cortex-M7, arithmetic: q7}", "front_end.arithmetic: got 'q7'"),
        ("{core: Cortex-M7, memory_wait_ratio: 0.0}", "front_end.memory_wait_ratio: got 0.0"),
    ],
)
def test_a_front_end_without_a_price_is_refused(tmp_path: Path, front_end: str, sentence: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "schema: npuexplore.profile/1\nname: mine\nbased_on: [micronpu-block16]\n"
        f"front_end: {front_end}\nsources: []\n"
    )

    with pytest.raises(BadInput) as refused:
        load_profile(path)
    assert sentence in str(refused.value)
    assert "mine.yaml:4" in str(refused.value)
