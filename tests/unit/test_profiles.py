from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.estimate import block_shapes, estimate
from npuexplore.documents.shipped import shipped_folder
from npuexplore.errors import BadInput
from npuexplore.hardware.lint import check_located, profile_document
from npuexplore.hardware.load import list_profiles, load_located, load_profile
from npuexplore.hardware.profile import figures, source_of
from npuexplore.workload.load import load_network

SHIPPED = list_profiles()
Edit = Callable[[str, str, str], Path]


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """A shipped profile with one place of its text replaced."""

    def editor(name: str, old: str, new: str) -> Path:
        text = (shipped_folder("hw_profiles") / f"{name}.yaml").read_text()
        assert old in text
        path = tmp_path / f"{name}.yaml"
        path.write_text(text.replace(old, new, 1))
        return path

    return editor


def test_the_three_parts_are_shipped() -> None:
    assert {"ethos-u55-128", "stm32f746", "micronpu-block16"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_figure_has_a_source_and_every_profile_is_sound(name: str) -> None:
    profile = load_profile(name)

    assert profile.name == name
    assert all(source_of(profile, key) for key, _ in figures(profile))
    assert [str(finding) for finding in check_located(load_located(name))] == []


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_estimates_the_papers_network(name: str) -> None:
    result = estimate(load_profile(name), load_network("tinylstm"), CompressionPlan())

    assert int(result.macs[0]) == 966_656
    assert 0 < result.latency_ms[0] < 250
    assert int(result.flash_bytes[0]) > 966_656 // 2


def test_the_closest_source_counts() -> None:
    profile = load_profile("ethos-u55-128")

    bandwidth = source_of(profile, "memories.sram.bytes_per_cycle")
    capacity = source_of(profile, "memories.sram.capacity_bytes")

    assert bandwidth is not None
    assert capacity is not None
    assert (bandwidth.source, capacity.source) == ("vendor_tool", "assumed")


def test_the_closest_source_counts_wherever_it_stands() -> None:
    cpu_energy = source_of(load_profile("micronpu-block16"), "front_end.pj_per_cycle")

    assert cpu_energy is not None
    assert cpu_energy.source == "published"


def test_a_profile_document_says_where_each_figure_comes_from() -> None:
    document = profile_document(load_profile("stm32f746"))

    clock = next(row for row in document["figures"] if row["key"] == "clock_hz")
    assert clock == {**clock, "value": 216_000_000, "source": "datasheet"}
    assert document["schema"] == "npuexplore.profile/1"


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        (
            "stm32f746",
            "capacity_bytes: 327680",
            "capacity_bytes: -1",
            "got -1; allowed: greater than or equal",
        ),
        ("stm32f746", "capacity_bytes: 327680", "capacity_bytes: 9000000000000000", "less than or equal to"),
        ("stm32f746", "capacity_bytes: 327680", "capacity_bytes: 200e6", "write 200000000"),
        ("stm32f746", "clock_hz: 216000000", "clock_hz: '216000000'", "(text); allowed: a whole number"),
        ("stm32f746", "capacity_bytes: 327680", "capacty_bytes: 327680", "did you mean 'capacity_bytes'?"),
        ("stm32f746", "engine:\n", "engine:\n  family: cortex_a\n", "allowed: 'ethos_u"),
        (
            "stm32f746",
            "engine:\n",
            "engine:\n  toolchain: armcc\n",
            "toolchain: got 'armcc' (text); allowed: 'gcc12",
        ),
        (
            "stm32f746",
            "{weights: flash,",
            "{weights: rom,",
            "execute_in_place.weights: got 'rom'; allowed: sram",
        ),
        (
            "stm32f746",
            "default_memory_mode: exec",
            "default_memory_mode: Exec",
            "default_memory_mode: got 'Exec",
        ),
        ("stm32f746", "  - of: [clock_hz]", "  - of: [clock]", "sources: nothing covers clock_hz"),
        ("stm32f746", "source: datasheet", "source: rumour", "got 'rumour' (text); allowed: 'datasheet'"),
        (
            "micronpu-block16",
            "granule: [1, 16]",
            "granule: [1, 0]",
            "got 0; allowed: greater than or equal to 1",
        ),
        (
            "micronpu-block16",
            "bytes_per_cycle: 8.0",
            "bytes_per_cycle: 0.0",
            "allowed: greater than or equal to 0.001",
        ),
    ],
)
def test_a_bad_profile_is_refused_with_file_line_and_fix(
    edit: Edit, name: str, old: str, new: str, problem: str
) -> None:
    path = edit(name, old, new)

    with pytest.raises(BadInput) as caught:
        load_profile(path)

    sentence = str(caught.value)
    assert re.match(rf"{re.escape(str(path))}:\d+: ", sentence)
    assert problem in sentence
    assert "\n" not in sentence


def test_each_family_offers_blocks_that_suit_it() -> None:
    assert block_shapes(load_profile("micronpu-block16")) == [(1, 16)]
    assert block_shapes(load_profile("stm32f746")) == [(1, 4), (1, 16), (4, 4), (4, 16)]
    assert block_shapes(load_profile("ethos-u55-128")) == [(8, 8)]


def test_a_profile_may_be_given_by_path(edit: Edit) -> None:
    path = edit("stm32f746", "name: stm32f746", "name: mine")

    assert load_profile(path).name == "mine"
    assert load_profile(str(path)).name == "mine"
