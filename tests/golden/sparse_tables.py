"""Rewrites `sparse_kernels.csv` here: python tests/golden/sparse_tables.py REFERENCE_FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

CMSIS = "plain C kernel built beside CMSIS-NN 99f736a6, under QEMU 7.2, cycles by llvm-mca"
COLUMNS = ["core", "toolchain", "kernel", "in", "out", "density_pct", "blocks", "est_cycles"]


def sparse_rows(folder: Path) -> pd.DataFrame:
    """Of each kernel of each core and toolchain the sparsest row, the densest and one between them."""
    table = pd.read_csv(folder / "sparse_kernels.csv")
    chosen = []
    for _, rows in table.groupby(["core", "toolchain", "kernel"]):
        ordered = rows.sort_values(["density_pct", "in"])
        chosen.append(ordered.iloc[[0, len(ordered) // 3, -1]])
    return pd.concat(chosen)[COLUMNS].assign(tolerance_frac=0.001, source=CMSIS)


if __name__ == "__main__":
    target = Path(__file__).parent / "sparse_kernels.csv"
    sparse_rows(Path(sys.argv[1])).to_csv(target, index=False, lineterminator="\n")
