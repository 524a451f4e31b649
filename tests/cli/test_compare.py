"""`npuexplore compare-structures`: its document, its tables, and what it refuses."""

import json

import pytest
from command_line import COMPARE

POINT = {
    "wanted_zeros_frac", "zeros_frac", "sparsity_frac", "cycles", "latency_ms", "weight_bytes", "speed_up",
    "size_ratio",
}  # fmt: skip


@pytest.mark.parametrize("profile", ["micronpu-block16", "ethos-u55-128", "stm32f746"])
def test_the_document_compares_structures_on_the_network_and_each_layer(cli, profile):
    outcome = cli("compare-structures", "--profile", profile, "--network", "tinylstm", "--json")

    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    document = json.loads(outcome.out)
    assert document["schema"] == "npuexplore.compare-structures/1"
    assert {"weight", "block", "unit"} <= {each["structure"] for each in document["structures"]}
    assert [layer["name"] for layer in document["layers"]] == ["lstm_1", "lstm_2", "fc_1", "fc_2"]
    for compared in (document, *document["layers"]):
        assert set(compared["dense"]) == {"cycles", "latency_ms", "weight_bytes"}
        for each in compared["structures"]:
            assert set(each["break_even"]) == {"cycles_zeros_frac", "weight_bytes_zeros_frac"}
            assert all(set(point) == POINT for point in each["points"])


def test_the_tables_say_from_where_each_structure_pays(cli):
    outcome = cli(*COMPARE)

    assert outcome.code == 0
    for words in (
        "block 1x16",
        "pays from",
        "times faster than dense",
        "weight bytes in % of dense",
        "index x 2",
    ):
        assert words in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "unit: removing a share u" in outcome.err


def test_half_the_index_cost_on_request_only(cli):
    document = json.loads(
        cli(*COMPARE, "--what-if", "index=0.5", "--what-if", "decode=2,index=2", "--json").out
    )

    assert [each["cost_factors"] for each in document["what_if"]] == [
        {"index": 0.5},
        {"decode": 2.0, "index": 2.0},
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--profile", "no-part"), 3, "no-part"),
        (("--network", "no-net"), 3, "no-net"),
        (("--weight-bits", "2"), 3, "layers.lstm_1.weight_bits: got 2; micronpu-block16 allows 4 and 8"),
        (("--profile", "stm32f746", "--what-if", "decode=2"), 2, "stm32f746 has no figures that this would"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(cli, arguments, code, sentence):
    outcome = cli(*COMPARE, *arguments)

    assert outcome.code == code
    assert sentence in outcome.sentence
    assert outcome.out == ""
