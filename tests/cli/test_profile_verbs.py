"""`npuexplore profile list / check / schema / new`: one's own profiles, where they lie, what is refused."""

import io
import json
import sys
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from npuexplore.documents.shipped import shipped_folder, shipped_names
from npuexplore.documents.strict_yaml import parse_yaml
from npuexplore.hardware.cortex_m import Core
from npuexplore.hardware.lint import check_located
from npuexplore.hardware.load import load_located, load_profile

HEAD = "schema: npuexplore.profile/1\n"
MICRONPU = (
    "--family micronpu --array 4x8 --sparsity-mode zero_skip --clock-mhz 100 --sram-kib 128 --flash-kib 512"
)
ETHOS = "--family ethos_u --part ethos-u55-32 --system ethos_u55_deep_embedded --clock-mhz 50 --sram-kib 256"
CORTEX = "--family cortex_m --core m7 --clock-mhz 400 --sram-kib 512 --flash-kib 1024"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder of profiles, which does not exist yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("NPUEXPLORE_PROFILES", raising=False)
    return tmp_path / "config" / "npuexplore" / "profiles"


@pytest.fixture
def typed(monkeypatch):
    """Makes a person of the standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def put(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


def listed(cli):
    outcome = cli("profile", "list", "--json")
    assert outcome.code == 0
    return json.loads(outcome.out)["profiles"]


def test_without_profiles_of_ones_own_the_shipped_ones_are_listed(cli, own):
    rows = listed(cli)
    assert [row["name"] for row in rows] == shipped_names("hw_profiles")
    assert {(row["origin"], row["shadowed_by"], row["problem"]) for row in rows} == {("shipped", None, None)}


def test_folders_of_the_variable_count_before_ones_own_and_that_before_the_shipped(
    cli, own, monkeypatch, tmp_path
):
    for folder, clock in ((own, 1), (tmp_path / "first", 2), (tmp_path / "second", 3)):
        put(folder, "stm32f746", HEAD + f"name: m{clock}\nbased_on: [stm32f746]\nclock_hz: {clock}000000\n")
    put(tmp_path / "second", "mine", HEAD + "name: mine\nbased_on: [stm32f746]\n")
    monkeypatch.setenv(
        "NPUEXPLORE_PROFILES", f"{tmp_path / 'first'}:{tmp_path / 'nowhere'}:{tmp_path / 'second'}"
    )

    rows = [row for row in listed(cli) if row["name"] == "stm32f746"]

    assert [row["origin"] for row in rows] == ["NPUEXPLORE_PROFILES", "NPUEXPLORE_PROFILES", "own", "shipped"]
    assert [row["clock_hz"] for row in rows] == [2_000_000, 3_000_000, 1_000_000, 216_000_000]
    assert [row["shadowed_by"] for row in rows] == [None, *[str(tmp_path / "first" / "stm32f746.yaml")] * 3]
    assert load_profile("stm32f746").clock_hz == 2_000_000
    assert load_profile("mine").clock_hz == 2_000_000
    remarks = cli("profile", "list").err
    assert "is shadowed by" in remarks
    assert f"NPUEXPLORE_PROFILES names {tmp_path / 'nowhere'}: no such folder" in remarks


def test_a_profile_of_ones_own_is_taken_by_its_name_everywhere(cli, own):
    put(own, "mine", HEAD + "name: mine\nbased_on: [micronpu-block16]\n")
    outcome = cli("estimate", "--profile", "mine", "--network", "tinylstm", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["profile"] == "mine"


def test_a_broken_profile_is_listed_as_broken_and_spoils_nothing(cli, own):
    put(own, "broken", HEAD + "name: broken\nclock_hz: 200e6\n")
    put(own, "fifo", "- 1\n")
    (own / "notes.txt").write_text("no profile")
    (own / "folder.yaml").mkdir()

    outcome = cli("profile", "list", "--json")

    broken = {row["name"]: row for row in json.loads(outcome.out)["profiles"] if row["problem"]}
    assert outcome.code == 0
    assert set(broken) == {"broken", "fifo"}
    assert broken["broken"]["problem"].startswith(
        f"{own / 'broken.yaml'}:3: clock_hz: got '200e6'; write 200000000"
    )
    assert "write 200000000" in cli("profile", "list").err
    assert cli("profile", "show", "broken").code == 3


def test_an_unknown_name_is_refused_with_the_nearest_names(cli, own):
    put(own, "my-part", HEAD + "name: my-part\nbased_on: [stm32f746]\n")
    sentence = cli("profile", "show", "my-prt").sentence
    assert "did you mean 'my-part'?" in sentence
    assert "one of the names: my-part, " in sentence


def test_findings_name_file_and_line_and_exit_1(cli, own):
    put(
        own,
        "odd",
        HEAD + "name: odd\nbased_on: [stm32f746]\nmemories:\n  flash:\n    bytes_per_cycle: 64.0\n",
    )
    outcome = cli("profile", "check", "odd", "--json")
    assert outcome.code == 1
    findings = json.loads(outcome.out)["findings"]
    place = {"file": str(own / "odd.yaml"), "line": 6, "key": "memories.flash.bytes_per_cycle"}
    assert findings[0] == place | {"problem": "flash at 64 is faster than the SRAM at 8"}
    assert f"{own / 'odd.yaml'}:6: memories.flash.bytes_per_cycle: flash at 64" in outcome.sentence
    people = cli("profile", "check", "odd")
    assert (people.code, len(people.out.splitlines())) == (1, len(findings))


def test_the_schema_takes_every_shipped_profile_and_refuses_what_the_reader_refuses(cli):
    schema = json.loads(cli("profile", "schema").out)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    texts = [path.read_text() for path in sorted(shipped_folder("hw_profiles").glob("*.yaml"))]
    for text in texts:
        assert [error.message for error in validator.iter_errors(parse_yaml(text, where="shipped"))] == []
    whole = parse_yaml((shipped_folder("hw_profiles") / "micronpu-block16.yaml").read_text(), where="shipped")
    based = {"schema": "npuexplore.profile/1", "name": "x", "based_on": ["stm32f746"]}
    assert validator.is_valid(based | {"engine": {"toolchain": "clang22-O3"}})
    for wrong in (
        {key: value for key, value in whole.items() if key != "clock_hz"},
        whole | {"clock_hz": "216 MHz"},
        whole | {"colour": "red"},
        based | {"clock_hz": -1},
        based | {"engine": {"tolchain": "clang22-O3"}},
        {"based_on": ["stm32f746"]},
    ):
        assert not validator.is_valid(wrong)


def test_the_schema_says_what_every_field_means(cli):
    schema = json.loads(cli("profile", "schema").out)
    for name in ("MemoryMode", "LaidOver.MemoryMode"):
        assert "read from" in schema["$defs"][name]["properties"]["weights"]["description"]
    assert "# yaml-language-server: $schema=" in schema["$comment"]


def test_the_schema_is_written_to_a_file_but_over_no_other_file(cli, inside):
    outcome = cli("profile", "schema", "--output", "profile.schema.json")
    assert outcome.code == 0
    assert "# yaml-language-server: $schema=profile.schema.json" in outcome.err
    assert cli("profile", "schema", "--output", "profile.schema.json").code == 0
    (inside / "other.json").write_text("{}")
    refused = cli("profile", "schema", "--output", "other.json")
    assert refused.code == 2
    assert "exists already" in refused.sentence
    assert (inside / "other.json").read_text() == "{}"
    assert cli("profile", "schema", "--output", "other.json", "--force").code == 0


@pytest.mark.parametrize("flags", [MICRONPU, ETHOS + " --flash-kib 1024", CORTEX])
def test_a_new_profile_loads_and_passes_the_check(cli, own, flags):
    outcome = cli("profile", "new", "mine", *flags.split(), "--description", "on: my desk")
    assert outcome.code == 0, outcome.err
    loaded = load_located("mine")
    assert [str(finding) for finding in check_located(loaded)] == []
    assert loaded.profile.name == "mine"
    assert loaded.profile.description == "on: my desk"
    assert f"{loaded.profile.clock_hz / 1e6:g}" in flags
    assert cli("estimate", "--profile", "mine", "--network", "tinylstm").code == 0


def test_what_is_not_given_is_asked(cli, own, typed):
    typed("cortex_m\nm7\n400\n512\n1024\n")
    outcome = cli("profile", "new", "mine")
    assert outcome.code == 0, outcome.err
    assert load_profile("mine").memories["flash"].capacity_bytes == 1_048_576
    typed("200\n")
    assert cli("profile", "new", "fast", *CORTEX.replace("--clock-mhz 400", "").split()).code == 0
    assert load_profile("fast").clock_hz == 200_000_000


def test_a_copy_keeps_comments_order_quotes_and_sources(cli, own):
    source = HEAD + (
        "# a part of mine\nname: mine   # short\ndescription: 'quoted'\nbased_on: [stm32f746]\n\n"
        "energy:\n  # measured in June\n  active_power_mw: 90.5\nsources:\n"
        '  # on my desk\n  - of: [energy]\n    source: measured\n    cite: "mine"  # calibrated\n'
    )
    put(own, "mine", source)
    assert cli("profile", "new", "other", "--from", "mine").code == 0
    assert (own / "other.yaml").read_text() == source.replace("name: mine ", "name: other")


def test_a_copy_takes_new_sizes_with_a_source_of_their_own(cli, own):
    assert (
        cli("profile", "new", "slow", "--from", "stm32f746", "--clock-mhz", "100", "--sram-kib", "64").code
        == 0
    )
    slow, shipped = load_profile("slow"), load_profile("stm32f746")
    assert (slow.clock_hz, slow.memories["sram"].capacity_bytes) == (100_000_000, 65_536)
    assert slow.sources[-1].of == ("clock_hz", "memories.sram.capacity_bytes")
    assert slow.sources[:-1] == shipped.sources
    assert check_located(load_located("slow")) == []


def test_a_copy_in_another_folder_still_finds_what_it_is_based_on(cli, own, inside):
    (inside / "deep").mkdir()
    (inside / "clock.yaml").write_text("clock_hz: 5000000\n")
    (inside / "part.yaml").write_text(HEAD + "name: part\nbased_on: [stm32f746, clock.yaml]\n")
    assert cli("profile", "new", "copy", "--from", "part.yaml", "--folder", "deep").code == 0
    assert "based_on: [stm32f746, ../clock.yaml]" in (inside / "deep" / "copy.yaml").read_text()
    assert load_profile("deep/copy.yaml").clock_hz == 5_000_000


def test_every_shipped_profile_can_be_copied(cli, own):
    for name in shipped_names("hw_profiles"):
        assert cli("profile", "new", f"my-{name}", "--from", name).code == 0
        copy, shipped = load_profile(f"my-{name}"), load_profile(name)
        assert copy.model_copy(update={"name": name}) == shipped


@pytest.mark.parametrize("core", get_args(Core))
def test_every_core_has_a_profile_to_start_from(cli, own, core):
    assert cli("profile", "new", "mine", *CORTEX.replace("m7", core).split()).code == 0
    assert load_profile("mine").engine.core == core


def test_a_schema_beside_the_new_profile_is_named_in_its_first_line(cli, own):
    assert cli("profile", "schema", "--output", own / "profile.schema.json").code == 0
    assert cli("profile", "new", "mine", *CORTEX.split()).code == 0
    first = (own / "mine.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=profile.schema.json"


def test_nothing_is_overwritten_without_force(cli, own):
    put(own, "mine", "# precious\n")
    refused = cli("profile", "new", "mine", *CORTEX.split())
    assert (refused.code, (own / "mine.yaml").read_text()) == (2, "# precious\n")
    assert "exists already; give another name, or --force" in refused.sentence
    assert cli("profile", "new", "mine", "--force", *CORTEX.split()).code == 0
    assert load_profile("mine").engine.family == "cortex_m"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("../up", "--from", "stm32f746"), "'../up': not a name"),
        (("x.yaml", "--from", "stm32f746"), "'x.yaml': not a name"),
        (("a", "--from", "stm32f746", "--family", "cortex_m"), "give one of the two"),
        (("a", "--from", "stm32f746", "--array", "4x4"), "--array: does not go with --from"),
        (("a", "--family", "cortex_m", "--array", "4x4"), "--array: does not go with --family cortex_m"),
        (("a", "--family", "fpga"), "--family 'fpga': allowed are micronpu, cortex_m, ethos_u"),
        (("a", *MICRONPU.replace("4x8", "4by8").split()), "--array '4by8': write outputs x inputs"),
        (("a", *MICRONPU.replace("zero_skip", "magic").split()), "--sparsity-mode 'magic': allowed are none"),
        (("a", *CORTEX.replace("m7", "m99").split()), "--core 'm99': allowed are "),
        (("a", *ETHOS.replace("u55-32", "u55-33").split()), "--part 'ethos-u55-33': allowed are "),
        (("a", *ETHOS.replace("u55_deep", "u85_deep").split()), "allowed are ethos_u55"),
        (("a", *CORTEX.replace("400", "0").split()), "--clock-mhz 0.0: allowed is a number above 0"),
        (("a", *CORTEX.replace("400", "nan").split()), "--clock-mhz nan: allowed is a number above 0"),
        (("a", *CORTEX.replace("400", "0.5").split()), "clock_hz: 500000 is outside 1 MHz"),
        (("a", *CORTEX.replace("512", "0.5").split()), "memories.sram.capacity_bytes: got 512; allowed"),
        (("a", *CORTEX.replace("512", "4").split()), "runtime.stack_bytes leaves nothing of sram"),
        (("a", "--family", "cortex_m", "--core", "m7"), "--clock-mhz: not given, and nobody answers"),
    ],
)  # fmt: skip
def test_what_makes_no_profile_writes_none(cli, own, typed, arguments, sentence):
    typed("")
    outcome = cli("profile", "new", *arguments)
    assert outcome.code == 2, outcome.err
    assert sentence in outcome.err.splitlines()[-1]
    assert not own.exists()


def test_a_copy_of_nothing_is_bad_input(cli, own):
    outcome = cli("profile", "new", "a", "--from", "nothing")
    assert outcome.code == 3
    assert outcome.sentence.startswith("hardware profile 'nothing'")
    assert not own.exists()
