"""`based_on`: what is merged, what wins, and whose line an error names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from npuexplore.documents.layers import laid_over
from npuexplore.documents.shipped import shipped_folder
from npuexplore.documents.strict_yaml import locate_yaml
from npuexplore.errors import BadInput
from npuexplore.hardware.compose import fragments
from npuexplore.hardware.load import compose_profile, load_located, load_profile
from npuexplore.hardware.profile import source_of

Write = Callable[..., Path]
HEAD = "schema: npuexplore.profile/1\nname: mine\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writer(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return writer


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as caught:
        load_profile(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_mappings_merge_lists_are_replaced_and_joined_lists_follow_each_other() -> None:
    lower = locate_yaml("a: {x: 1, y: [1, 2]}\nsources: [one]\nkept: 5\n", where="lower")
    upper = locate_yaml("new: 7\na: {y: [3], z: 4}\nsources: [two]\n", where="upper")

    both = laid_over(lower, upper, joined=["sources"])

    assert both.data == {"a": {"x": 1, "y": [3], "z": 4}, "sources": ["one", "two"], "kept": 5, "new": 7}
    assert both.places["a", "x"] == ("lower", 1)
    assert both.places["a", "y", 0] == ("upper", 2)
    assert ("a", "y", 1) not in both.places
    assert both.places["sources", 0] == ("lower", 2)
    assert both.places["sources", 1] == ("upper", 3)


def test_a_list_inside_is_not_joined() -> None:
    lower = locate_yaml("a: {sources: [1]}", where="lower")
    upper = locate_yaml("a: {sources: [2]}", where="upper")

    assert laid_over(lower, upper, joined=["sources"]).data == {"a": {"sources": [2]}}


def test_a_profile_on_another_changes_only_what_it_says(write: Write) -> None:
    path = write(HEAD + "based_on: [stm32f746]\nenergy: {active_power_mw: 100.0}\nsources:\n"
                 "  - {of: [energy.active_power_mw], source: measured, cite: my board}\n")  # fmt: skip

    mine, shipped = load_profile(path), load_profile("stm32f746")

    assert mine.engine == shipped.engine
    assert mine.description == ""
    assert (mine.name, mine.energy.active_power_mw) == ("mine", 100.0)
    entry = source_of(mine, "energy.active_power_mw")
    assert entry is not None
    assert entry.source == "measured"


def test_of_two_sources_as_close_the_upper_one_counts(write: Write) -> None:
    path = write(HEAD + "based_on: [stm32f746]\nclock_hz: 100000000\nsources:\n"
                 "  - {of: [clock_hz], source: measured, cite: my board}\n")  # fmt: skip

    entry = source_of(load_profile(path), "clock_hz")

    assert entry is not None
    assert (entry.source, entry.cite) == ("measured", "my board")


def test_later_bases_lie_over_earlier_ones_and_the_file_over_all(write: Write) -> None:
    write("clock_hz: 1000000\nruntime: {code_bytes: 1, stack_bytes: 2}\n", "low.yaml")
    write("clock_hz: 2000000\nruntime: {code_bytes: 3}\n", "high.yaml")
    path = write(HEAD + "based_on: [stm32f746, low.yaml, high.yaml]\nruntime: {lut_bytes: 9}\n")

    mine = load_profile(path)

    assert mine.clock_hz == 2_000_000
    assert (mine.runtime.code_bytes, mine.runtime.stack_bytes, mine.runtime.lut_bytes) == (3, 2, 9)


def test_a_path_is_seen_from_the_file_that_names_it(write: Write) -> None:
    write("based_on: [deeper/clock.yaml]\n", "below/base.yaml")
    write("clock_hz: 3000000\n", "below/deeper/clock.yaml")
    path = write(HEAD + "based_on: [stm32f746, below/base.yaml]\n")

    located = load_located(path)

    assert located.profile.clock_hz == 3_000_000
    assert located.located.places["clock_hz",] == (str(path.parent / "below/deeper/clock.yaml"), 1)


def test_an_error_names_the_file_and_line_that_the_key_came_from(write: Write) -> None:
    base = write("# memories of my board\nmemories:\n  sram:\n    capacity_bytes: -5\n", "board.yaml")
    path = write(HEAD + "based_on: [stm32f746, board.yaml]\nclock_hz: 1.5\n")

    sentence = refusal(path)

    assert sentence.startswith(f"{path}:4: clock_hz: got 1.5")
    assert f"; also {base}:4: memories.sram.capacity_bytes: got -5" in sentence


def test_a_rule_across_keys_names_the_line_of_the_key_too(write: Write) -> None:
    base = write(
        "memory_modes:\n  odd:\n    weights: rom\n    activations: sram\n    storage: flash\n", "b.yaml"
    )

    assert refusal(write(HEAD + "based_on: [stm32f746, b.yaml]\n")).startswith(
        f"{base}:3: memory_modes.odd.weights: got 'rom'"
    )


def test_a_name_and_a_schema_are_not_inherited(write: Write) -> None:
    assert re.search(r":1: schema: missing.*name: missing", refusal(write("based_on: [stm32f746]\n")))


@pytest.mark.parametrize(
    ("based_on", "problem"),
    [
        ("[stm32f764]", "based_on.0: got 'stm32f764'; there is stm32f746, "),
        ("[stm32f746, nowhere.yaml]", "based_on.1: "),
        ("stm32f746", "based_on: write a list of names"),
        ("[3]", "based_on: write a list of names"),
        ("['']", "based_on: write a list of names"),
        ("[mine]", "there is "),
        ("[mine.yaml]", "goes round in a circle"),
        ("[./mine.yaml]", "goes round in a circle"),
        ("[other.yaml]", "other.yaml:1: based_on.0: goes round in a circle"),
        ("[broken.yaml]", "broken.yaml:2: clock_hz: the key is given twice"),
        ("[list.yaml]", "got a list"),
        ("[ethos-u55-128]", "which means profiles/ethos-u55-128 and parts/ethos-u55-128"),
    ],
)
def test_a_base_that_cannot_be_had_is_refused_with_its_line(
    write: Write, based_on: str, problem: str
) -> None:
    write("based_on: [mine.yaml]\n", "other.yaml")
    write("clock_hz: 1\nclock_hz: 2\n", "broken.yaml")
    write("- 1\n", "list.yaml")
    path = write(HEAD + f"based_on: {based_on}\n")

    sentence = refusal(path)

    assert problem in sentence
    assert sentence.startswith((f"{path}:3: based_on", f"{path.parent}/other.yaml:1: based_on"))
    assert len(sentence) < 700


def test_more_and_more_bases_are_refused_before_they_fill_the_memory(write: Write) -> None:
    write("clock_hz: 1000000\n", "0.yaml")
    for level in range(1, 12):
        write(f"based_on: [{level - 1}.yaml, {level - 1}.yaml]\n", f"{level}.yaml")

    assert "more than 64 documents" in refusal(write(HEAD + "based_on: [11.yaml]\n"))


def test_a_part_and_a_system_make_a_profile() -> None:
    profile = compose_profile("ethos-u55-64", "ethos_u55_deep_embedded", name="u55-64-slow")

    assert (profile.name, profile.clock_hz) == ("u55-64-slow", 200_000_000)
    assert profile.engine.family == "ethos_u"
    assert profile.engine.macs_per_cycle == 64


def test_an_unknown_part_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadInput, match=r"got 'parts/ethos-u55-63'; there is parts/ethos-u55-") as caught:
        compose_profile("ethos-u55-63", "ethos_u55_deep_embedded")

    assert "\n" not in str(caught.value)


def test_fragments_go_into_the_wheel_with_the_profiles() -> None:
    import tomllib

    pyproject = shipped_folder("hw_profiles").parent / "pyproject.toml"
    included = tomllib.loads(pyproject.read_text())["tool"]["hatch"]["build"]["targets"]["wheel"][
        "force-include"
    ]

    assert included["hw_profiles"] == "npuexplore/shipped/hw_profiles"
    assert {"parts/cortex-m55-host", "parts/ethos-u85-256", "systems/ethos_u55_deep_embedded"} <= set(
        fragments()
    )
