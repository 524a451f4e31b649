"""Help of every verb, and the documents that --json prints."""

import json

import pytest
import yaml

from npuexplore.documents.shipped import shipped_names

VERBS = [
    (), ("study",), ("study", "run"), ("study", "resume"), ("study", "status"), ("study", "worker"),
    ("study", "repair"), ("estimate",),
    ("compare-structures",), ("profile",), ("profile", "list"), ("profile", "show"), ("profile", "check"),
    ("profile", "schema"), ("profile", "new"), ("search",), ("train",), ("retrain",), ("report",),
    ("verify",), ("calibrate",), ("evaluate",), ("enhance",), ("data",),
    ("data", "inspect"), ("data", "synth"), ("data", "fetch"),
]  # fmt: skip
TOTALS = {
    "macs", "kept_macs", "cycles", "latency_ms", "mean_latency_ms", "flash_bytes", "sram_bytes",
    "weight_bytes", "energy_uj", "average_power_mw", "real_time_factor",
    "cycles_interval", "latency_ms_interval",
}  # fmt: skip
LAYER = {
    "name", "kind", "macs", "kept_macs", "compute_cycles", "memory_cycles", "cycles", "bound_by",
    "weight_bytes", "waterfall",
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(cli, verb):
    outcome = cli(*verb, "--help")
    assert outcome.code == 0
    assert "Usage: npuexplore" in outcome.out
    assert outcome.err == ""


def test_the_list_of_verbs_above_is_complete(cli):
    from typer.main import get_command

    from npuexplore.cli.app import VERBS as ALL
    from npuexplore.cli.app import app_of

    def verbs_of(command, path):
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from verbs_of(child, (*path, name))

    assert set(verbs_of(get_command(app_of(ALL)), ())) == set(VERBS)


def test_the_version_is_printed(cli):
    from npuexplore import __version__

    assert cli("--version").out == f"npuexplore {__version__}\n"


@pytest.mark.parametrize("profile", shipped_names("hw_profiles"))
@pytest.mark.parametrize("network", shipped_names("networks"))
def test_an_estimate_has_the_documented_keys(cli, profile, network):
    outcome = cli("estimate", "--profile", profile, "--network", network, "--json")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    assert document["schema"] == "npuexplore.estimate/1"
    assert set(document["totals"]) == TOTALS
    assert set(document["fits"]) == {"flash", "sram", "deadline"}
    assert document["assumptions"]
    assert {"sensitivities", "arena", "peak_step", "battery_hours", "limits"} <= set(document)
    for layer in document["layers"]:
        assert set(layer) >= LAYER
        assert sum(layer["waterfall"].values()) == layer["cycles"]
    assert sum(layer["macs"] for layer in document["layers"]) == document["totals"]["macs"]
    assert sum(layer["cycles"] for layer in document["layers"]) == document["totals"]["cycles"]


@pytest.mark.parametrize(
    "flags",
    [
        "--structure weight --sparsity 0.7",
        "--structure block --sparsity 0.7 --block 4x4 --weight-bits 4",
        "--structure unit --sparsity 0.5 --activation-bits 16",
        "--skip-rate 0.6 --structure dense",
        "--structure block --sparsity 0.999",
        "--structure weight --sparsity 1e-9",
        "--memory-mode weights_in_flash",
    ],
)
def test_every_flag_of_estimate_is_taken(cli, flags):
    base = ("estimate", "--profile", "micronpu-block16", "--network", "tinylstm")
    outcome = cli(*base, *flags.split(), "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["totals"]["cycles"] > 0
    assert cli(*base, *flags.split()).code == 0


@pytest.mark.parametrize("profile", shipped_names("hw_profiles"))
def test_an_estimate_for_people_fits_80_columns_and_says_why(cli, profile, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = cli("estimate", "--profile", profile, "--network", "tinylstm", "--sensitivities")
    assert outcome.code == 0
    assert max(len(line) for line in outcome.out.splitlines()) <= 80
    for words in ("time, worst", "SRAM fullest at", "bound by", "where the cycles go", "front-end cycles"):
        assert words in outcome.out
    assert "Assumed: memory mode" in outcome.err


def test_where_all_changes_take_long_those_of_what_binds_a_layer_are_shown(cli):
    def changes(*flags):
        outcome = cli("estimate", "-p", "ethos-u55-128", "-n", "lstm64x2", "--json", *flags)
        return {each["change"] for each in json.loads(outcome.out)["sensitivities"]}

    assert changes() == {"twice the flash bandwidth", "twice the front-end cycles"}
    assert "twice the weight-decode rate" not in changes()
    assert "twice the weight-decode rate" in changes("--sensitivities")
    assert changes("--no-sensitivities") == set()


def test_a_plan_file_costs_what_the_same_flags_cost(cli, inside):
    layers = ("lstm_1", "lstm_2", "fc_1", "fc_2")
    plan = {"layers": {name: {"structure": "weight", "sparsity_frac": 0.5} for name in layers}}
    (inside / "plan.yaml").write_text(yaml.safe_dump(plan))
    base = ("estimate", "--profile", "stm32f746", "--network", "tinylstm", "--json")
    by_file = json.loads(cli(*base, "--plan", "plan.yaml").out)
    by_flags = json.loads(cli(*base, "--structure", "weight", "--sparsity", "0.5").out)
    assert by_file == by_flags


def test_profiles_are_listed_shown_and_checked(cli):
    listed = json.loads(cli("profile", "list", "--json").out)
    assert listed["schema"] == "npuexplore.profiles/1"
    assert [profile["name"] for profile in listed["profiles"]] == shipped_names("hw_profiles")
    for name in ("stm32f746", "micronpu-block16", "gap9", "ethos-u85-256", "renesas-ra8p1"):
        assert json.loads(cli("profile", "show", name, "--json").out)["name"] == name
        assert cli("profile", "show", name).code == 0
        checked = cli("profile", "check", name, "--json")
        assert checked.code == 0
        assert json.loads(checked.out) == {
            "schema": "npuexplore.profile-check/1", "profile": name, "findings": []
        }  # fmt: skip


def test_a_folder_of_sound_is_described(cli, recordings):
    document = json.loads(cli("data", "inspect", recordings, "--json").out)
    assert set(document["splits"]) == {"train", "validation", "test"}
    assert sum(document["splits"][name]["speech"]["files"] for name in document["splits"]) == 8
    assert cli("data", "inspect", recordings).code == 0


def test_python_does_in_three_lines_what_estimate_does(cli):
    from npuexplore import CompressionPlan, estimate, load_network, load_profile

    result = estimate(load_profile("stm32f746"), load_network("tinylstm"), CompressionPlan())
    document = json.loads(cli("estimate", "-p", "stm32f746", "-n", "tinylstm", "--json").out)
    assert document["totals"]["cycles"] == int(result.cycles[0])
    assert document["totals"]["flash_bytes"] == int(result.flash_bytes[0])
