"""Rewrites networks/vela_net.csv with Vela's own figures: python tests/golden/record_networks.py.

Needs the bench extra.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from vela_cases import network_of, vela_networks, weights_of  # noqa: E402

from npuexplore.pipeline.verify.vela_names import network_shapes  # noqa: E402

PLACES = (
    ("ethos-u55-32", "Ethos_U55_High_End_Embedded", "Sram_Only"),
    ("ethos-u55-64", "Ethos_U55_Deep_Embedded", "Shared_Sram"),
    ("ethos-u55-256", "Ethos_U55_High_End_Embedded", "Shared_Sram"),
    ("ethos-u65-256", "Ethos_U65_High_End", "Dedicated_Sram_384KB"),
    ("ethos-u65-512", "Ethos_U65_Mid_End", "Dedicated_Sram_256KB"),
    ("ethos-u85-128", "Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
    ("ethos-u85-256", "Ethos_U85_SYS_DRAM_High", "Sram_Only"),
    ("ethos-u85-512", "Ethos_U85_SYS_Flash_Low", "Shared_Sram"),
    ("ethos-u85-2048", "Ethos_U85_SYS_DRAM_Low", "Dedicated_Sram"),
)
PLANS = (
    ("lstm48x2", "dense", 0.0, 8),
    ("lstm100", "unstructured", 0.9, 8),
    ("speech1xlstm64", "16x1", 0.75, 4),
    ("fc_mlp96", "unstructured", 0.97, 8),
    ("fc_mlp160x2", "nm24", 0.5, 8),
)
FIGURES = (
    "tot_cycles",
    "tot_npu_cycles",
    "sram_used_bytes",
    "dram_used_bytes",
    "offchipflash_used_bytes",
    "enc_weight_bytes",
    "tot_macs",
    "npu_ops",
    "sram_tot_access_cycles",
    "dram_tot_access_cycles",
    "offchipflash_tot_access_cycles",
)
SOURCE = "Vela 5.2.0 (ethos-u-vela, core C++), benchmarks/vela_networks.py"


def rows() -> Iterator[dict[str, object]]:
    vela = vela_networks()
    for number, (name, structure, sparsity, bits) in enumerate(PLANS):
        shapes = network_shapes(name, HERE)
        assert shapes is not None
        plan = {"structure": structure, "sparsity": sparsity, "bits": bits}
        tflite = vela.tflite_bytes(network_of(shapes), weights_of(shapes, plan), activations=False)
        # Every other place, in turn: few rows, and every part under plans of every kind.
        for accelerator, system, mode in PLACES[number % 2 :: 2]:
            found = vela.vela_estimate(tflite, accelerator, system, mode, operators=False)
            case = {"network": name, **plan, "accelerator": accelerator}
            case |= {"system_config": system, "memory_mode": mode}
            yield {**case, **{figure: found.get(figure, 0) for figure in FIGURES}, "source": SOURCE}


def main() -> None:
    table = list(rows())
    target = HERE / "networks" / "vela_net.csv"
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
