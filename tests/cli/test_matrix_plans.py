"""Plans in YAML that name the two matrices of a recurrent layer."""

import json
from pathlib import Path

import pytest
from command_line import ESTIMATE

LAYER = "structure: weight, sparsity_frac: 0.5"
BLOCK = "{structure: block, block: [1, 16], sparsity_frac: 0.8, weight_bits: 4}"


def estimate_of(cli, own, *flags, layer="lstm_1"):
    Path("plan.yaml").write_text(f"layers:\n  {layer}: {{{own}}}\n")
    return cli(*ESTIMATE, "--plan", "plan.yaml", *flags)


@pytest.mark.parametrize("profile", ["micronpu-block16", "stm32f746", "ethos-u55-128", "ethos-u85-256"])
def test_a_matrix_of_its_own_makes_its_layer_smaller_and_the_plan_is_printed_back(cli, inside, profile):
    flags = ("--json", "--profile", profile)
    plain = json.loads(estimate_of(cli, LAYER, *flags).out)
    own = json.loads(estimate_of(cli, f"{LAYER}, w_h: {BLOCK}", *flags).out)
    assert own["plan"]["layers"]["lstm_1"]["w_h"] == {
        "structure": "block", "block": [1, 16], "sparsity_frac": 0.8, "weight_bits": 4,
    }  # fmt: skip
    assert "w_h" not in plain["plan"]["layers"]["lstm_1"]
    before, after = (document["layers"][1] for document in (plain, own))
    assert after["weight_bytes"] < 0.75 * before["weight_bytes"]
    assert after["cycles"] < before["cycles"]
    assert plain["layers"][2:] == own["layers"][2:]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("w_h: {structure: unit}", "layers.lstm_1.w_h.structure: got 'unit' (text); allowed: 'dense', "),
        ("w_h: {}", "layers.lstm_1.w_h: got nothing; give structure, sparsity_frac, block or weight_bits"),
        (f"{LAYER}, w_h: {{structure: block}}", "layers.lstm_1.w_h: got structure block and block none;"),
        (f"{LAYER}, w_x: {{block: [1, 16]}}", "layers.lstm_1.w_x: got structure weight and block [1, 16];"),
        ("w_x: {structure: weight}", "layers.lstm_1.w_x: structure weight: how sparse? the layer is dense;"),
        ("w_x: {sparsity_frac: 0.5}", "layers.lstm_1.w_x: structure dense has sparsity_frac 0, got 0.5;"),
        ("w_x: {structure: two_four, sparsity_frac: 0.7}", "has sparsity_frac 0.5, got 0.7; leave it out"),
        ("w_x: {sparsity_frac: 1.5}", "layers.lstm_1.w_x.sparsity_frac: got 1.5; allowed: less than 1"),
        ("w_x: {weight_bit: 4}", "layers.lstm_1.w_x.weight_bit: unknown key; did you mean 'weight_bits'?"),
        ("w_x: {activation_bits: 8}", "layers.lstm_1.w_x.activation_bits: unknown key"),
        ("w_x: {weight_bits: 5}", "layers.lstm_1.w_x.weight_bits: got 5; allowed: 2, 3, 4, 6, 8 or 16"),
        ("w_x: 3", "layers.lstm_1.w_x: got 3; allowed: "),
        (
            "structure: unit, sparsity_frac: 0.5, w_x: {structure: weight}",
            "layers.lstm_1.w_x: structure unit takes whole units out of both matrices; give only weight_bits",
        ),
    ],
)
def test_a_bad_matrix_is_one_sentence_with_its_place(cli, inside, own, words):
    outcome = estimate_of(cli, own)
    assert outcome.code == 3
    assert outcome.sentence.startswith("plan.yaml:2: ")
    assert words in outcome.sentence
    assert outcome.out == ""


def test_what_a_part_cannot_store_is_refused_by_the_name_of_the_matrix(cli, inside):
    outcome = estimate_of(cli, "w_h: {weight_bits: 4}", "--profile", "nrf54lm20b")
    assert outcome.code == 3
    assert "layers.lstm_1.w_h.weight_bits: got 4; nrf54lm20b allows 8" in outcome.sentence


def test_a_layer_with_one_matrix_is_refused_by_name(cli, inside):
    outcome = estimate_of(cli, "w_h: {weight_bits: 4}", layer="fc_1")
    assert outcome.code == 3
    assert "layers.fc_1.w_h: a dense layer has one matrix; leave w_h out" in outcome.sentence
