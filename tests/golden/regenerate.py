"""Rewrites the golden tables from the reference data: python tests/golden/regenerate.py REFERENCE_FOLDER."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import pandas as pd
from vela_tables import write_vela_tables

HERE = Path(__file__).parent
CMSIS = "CMSIS-NN 99f736a6 under QEMU 7.2, cycles by llvm-mca"
CORTEX_COLUMNS = "core toolchain kernel inputs outputs expected_cycles tolerance_frac source"
CORES = ("m4", "m7", "m33", "m55")
STEPS = (
    ("lstm_s8", 128, 128),
    ("lstm_s8", 33, 17),
    ("lstm_s8", 100, 96),
    ("gru_s8", 33, 17),
    ("gru_s8", 64, 96),
)


def one(table: pd.DataFrame, **where: object) -> pd.Series:
    for column, value in where.items():
        table = table[table[column] == value]
    return table.iloc[0]


def cortex_rows(folder: Path) -> Iterable[tuple[object, ...]]:
    fc, lstm = (pd.read_csv(folder / f"cortexm_{name}.csv") for name in ("fc", "lstm"))
    for core, toolchain in product(CORES, ("gcc12.2-Ofast", "clang22-O3")):
        built = {"core": core, "toolchain": toolchain}
        for kernel in ("fc_s8", "fc_s4", "fc_s16"):
            for inputs, outputs in ((13, 33), (16, 128), (33, 3)):
                row = one(fc[fc["in"] == inputs], out=outputs, kernel=kernel, **built)
                yield core, toolchain, kernel, inputs, outputs, row.est_cycles, 0.02, CMSIS
        for kernel, inputs, hidden in STEPS:
            row = one(lstm[lstm["in"] == inputs], kernel=kernel, hidden=hidden, T=1, stateful=1, **built)
            yield core, toolchain, kernel, inputs, hidden, row.est_cycles, 0.01, CMSIS


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
    write("cortex_layers.csv", CORTEX_COLUMNS, cortex_rows(folder / "cortexm"))


if __name__ == "__main__":
    main()
