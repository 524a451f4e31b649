"""Rewrites the golden tables from the reference data: python tests/golden/regenerate.py REFERENCE_FOLDER."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from vela_tables import write_vela_tables

HERE = Path(__file__).parent
CMSIS = "CMSIS-NN 99f736a6 under QEMU 7.2, cycles by llvm-mca"
CORTEX_COLUMNS = "toolchain kernel inputs outputs stored_blocks expected_cycles tolerance_frac source"
SPARSE_CASES = {
    "csr_delta8": (5, 25),
    "bsr1x4": (5, 25),
    "bsr1x16": (5, 25),
    "bsr4x4": (10, 30),
    "bsr4x16": (15, 25),
}


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    return table.iloc[0]


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
    write_vela_tables(folder / "vela", HERE / "vela")
    write("cortex_m7.csv", CORTEX_COLUMNS, cortex_rows(folder / "cortexm"))


if __name__ == "__main__":
    main()
