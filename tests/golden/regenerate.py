"""Rewrites the golden tables from the reference data: python tests/golden/regenerate.py REFERENCE_FOLDER."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
VELA = "Vela 5.2.0 (ethos-u-vela, core C++)"
CMSIS = "CMSIS-NN 99f736a6 under QEMU 7.2, cycles by llvm-mca"
CASE_COLUMNS = "case inputs outputs memory_mode structure sparsity_frac weight_bits"
VELA_COLUMNS = f"{CASE_COLUMNS} quantity expected tolerance_frac source"
CORTEX_COLUMNS = "toolchain kernel inputs outputs stored_blocks expected_cycles tolerance_frac source"
STRUCTURES = {"dense": "dense", "unstructured": "weight", "16x1": "block_16x1", "16x16": "block_16x16"}
MODES = ("Shared_Sram", "Sram_Only")
TOLERANCES_FRAC = {("fc", "Sram_Only"): 0.0, ("lstm", "Sram_Only"): 0.002, ("net", "Sram_Only"): 0.001}
"""Cycles with weights in SRAM do not depend on the coder; elsewhere its mean size stands for the real one."""
CODER_TOLERANCE_FRAC = 0.03
FC_CASES = [
    (64, 64, "dense", 0.0, 8),
    (128, 256, "dense", 0.0, 8),
    (256, 128, "dense", 0.0, 8),
    (256, 256, "dense", 0.0, 8),
    (512, 512, "dense", 0.0, 8),
    (40, 40, "dense", 0.0, 8),
    (256, 256, "unstructured", 0.5, 8),
    (256, 256, "unstructured", 0.9, 8),
    (256, 256, "dense", 0.0, 4),
    (256, 256, "16x16", 0.75, 8),
]
LSTM_CASES = [(64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (192, 192), (40, 100)]
SPARSE_CASES = {
    "csr_delta8": (5, 25),
    "bsr1x4": (5, 25),
    "bsr1x16": (5, 25),
    "bsr4x4": (10, 30),
    "bsr4x16": (15, 25),
}
NET_CASES = [
    ("dense", 0.0, 8),
    ("dense", 0.0, 4),
    ("unstructured", 0.5, 8),
    ("unstructured", 0.75, 8),
    ("unstructured", 0.9, 8),
    ("16x1", 0.75, 8),
]


def tolerance(case: str, mode: str) -> float:
    return TOLERANCES_FRAC.get((case, mode), CODER_TOLERANCE_FRAC)


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    return table.iloc[0]


def u55_128(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    return table[
        (table.accelerator == "ethos-u55-128") & (table.system_config == "Ethos_U55_High_End_Embedded")
    ]


def vela_rows(folder: Path) -> Iterable[tuple[object, ...]]:
    fc, lstm, net = (u55_128(folder / f"vela_{name}.csv") for name in ("fc", "lstm", "net"))
    for inputs, outputs, structure, sparsity, bits in FC_CASES:
        for mode in MODES:
            where = {"structure": structure, "sparsity": sparsity, "bits": bits, "memory_mode": mode}
            row = one(fc, in_features=inputs, out_features=outputs, **where)
            case = ("fc", inputs, outputs, mode, STRUCTURES[structure], sparsity, bits)
            yield (*case, "op_cycles", row.op_cycles, tolerance("fc", mode), VELA)
            if mode == "Shared_Sram":
                yield (*case, "weight_bytes", row.weight_bytes, CODER_TOLERANCE_FRAC, VELA)
    for inputs, hidden in LSTM_CASES:
        for mode in MODES:
            where = {"structure": "dense", "bits": 8, "time_steps": 1, "op_index": 0, "memory_mode": mode}
            row = one(lstm, in_features=inputs, hidden=hidden, **where)
            case = ("lstm", inputs, hidden, mode, "dense", 0.0, 8)
            yield (*case, "tot_cycles", row.tot_cycles, tolerance("lstm", mode), VELA)
    for structure, sparsity, bits in NET_CASES:
        for mode in MODES:
            where = {"structure": structure, "sparsity": sparsity, "bits": bits, "memory_mode": mode}
            row = one(net, network="speech2xlstm256", **where)
            case = ("net", 128, 256, mode, STRUCTURES[structure], sparsity, bits)
            yield (*case, "tot_cycles", row.tot_cycles, tolerance("net", mode), VELA)
            yield (*case, "enc_weight_bytes", row.enc_weight_bytes, CODER_TOLERANCE_FRAC, VELA)
            if structure == "dense" and bits == 8 and mode == "Shared_Sram":
                yield (*case, "sram_used_bytes", row.sram_used_bytes, 0.0, VELA)


def cortex_rows(folder: Path) -> Iterable[tuple[object, ...]]:
    fc, lstm = (pd.read_csv(folder / f"cortexm_{name}.csv") for name in ("fc", "lstm"))
    sparse = pd.read_csv(folder / "sparse_kernels.csv")
    for toolchain in ("gcc12.2-Ofast", "clang22-O3"):
        m7 = {"core": "m7", "toolchain": toolchain}
        for kernel in ("fc_s8", "fc_s4", "fc_s16"):
            for inputs, outputs in ((128, 256), (512, 256), (512, 32)):
                row = one(fc[fc["in"] == inputs], out=outputs, kernel=kernel, **m7)
                yield toolchain, kernel, inputs, outputs, "", row.est_cycles, 0.01, CMSIS
        for kernel, sizes in (
            ("lstm_s8", ((16, 64), (64, 96), (128, 128))),
            ("gru_s8", ((16, 64), (64, 96))),
        ):
            for inputs, hidden in sizes:
                row = one(lstm[lstm["in"] == inputs], kernel=kernel, hidden=hidden, T=1, stateful=1, **m7)
                yield toolchain, kernel, inputs, hidden, "", row.est_cycles, 0.01, CMSIS
        for kernel, densities in SPARSE_CASES.items():
            for density in densities:
                table = sparse[(sparse["in"] == 256) & (sparse["out"] == 256)]
                row = one(table, kernel=kernel, density_pct=density, **m7)
                yield toolchain, kernel, 256, 256, row.blocks, row.est_cycles, 0.06, CMSIS


def write(name: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    with (HERE / name).open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns.split())
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="folder with vela/ and cortexm/")
    folder = parser.parse_args().reference
    write("vela_u55_128.csv", VELA_COLUMNS, vela_rows(folder / "vela"))
    write("cortex_m7.csv", CORTEX_COLUMNS, cortex_rows(folder / "cortexm"))


if __name__ == "__main__":
    main()
