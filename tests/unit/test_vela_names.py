"""Networks of reference files: by name, by description, or passed over with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from npuexplore.errors import BadInput
from npuexplore.pipeline.verify import replay_folder
from npuexplore.pipeline.verify.vela_names import network_shapes

HEADER = "network,accelerator,system_config,memory_mode,structure,sparsity,bits,tot_macs,npu_ops\n"
PLACE = "ethos-u55-128,Ethos_U55_High_End_Embedded,Sram_Only,dense,0.0,8"
DESCRIPTION = """\
schema: npuexplore.network/1
name: tiny
frame_clock: {window_samples: 64, hop_samples: 32}
bands: 8
layers:
  - {kind: dense, name: one, output_features: 24}
  - {kind: dense, name: two, output_features: 8, activation: sigmoid}
"""


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("speech2xlstm256", "lstm 128-256, lstm 256-256, dense 256-128, dense 128-128"),
        ("lstm128x2", "lstm 64-128, lstm 128-128, dense 128-64"),
        ("lstm48", "lstm 24-48, dense 48-24"),
        ("fc_mlp512", "dense 128-512, dense 512-512, dense 512-512, dense 512-128"),
        ("fc_mlp64x1", "dense 128-64, dense 64-128"),
    ],
)
def test_names_say_the_layers(name: str, layers: str, tmp_path: Path) -> None:
    shapes = network_shapes(name, tmp_path)

    assert shapes is not None
    assert ", ".join(f"{shape.kind} {shape.inputs}-{shape.outputs}" for shape in shapes) == layers


@pytest.mark.parametrize("name", ["resnet50", "lstm0", "lstm128x99", "../lstm128", "fc_mlp99999", ""])
def test_other_names_say_nothing(name: str, tmp_path: Path) -> None:
    assert network_shapes(name, tmp_path) is None


def test_a_description_beside_the_file_explains_a_name(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(DESCRIPTION)
    (tmp_path / "vela_net.csv").write_text(f"{HEADER}tiny,{PLACE},{8 * 24 * 2},2\n")

    document = replay_folder(tmp_path)

    quantities = document["files"]["vela_net"]["quantities"]
    assert {name: figures["exact_frac"] for name, figures in quantities.items()} == {
        "tot_macs": 1.0,
        "npu_ops": 1.0,
    }


def test_a_broken_description_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("bands: many\n")
    (tmp_path / "vela_net.csv").write_text(f"{HEADER}tiny,{PLACE},1,1\n")

    with pytest.raises(BadInput, match=r"tiny\.yaml"):
        replay_folder(tmp_path)


def test_rows_of_an_unknown_network_are_passed_over_with_a_sentence(tmp_path: Path) -> None:
    rows = f"{HEADER}fc_mlp8,{PLACE},1,4\nresnet50,{PLACE},1,1\n"
    (tmp_path / "vela_net.csv").write_text(rows)

    document = replay_folder(tmp_path)

    assert document["files"]["vela_net"]["rows"] == 1
    assert any("resnet50.yaml" in sentence for sentence in document["skipped"])
