"""Rewrites the kept rows of products and SVDF: python tests/golden/record_products.py REFERENCE_FOLDER.

Kept are, by core, toolchain and kernel, shapes whose inputs and outputs fill neither vectors nor groups of
rows: one of few inputs and one of many; of SVDF, one of one filter a unit and one of several.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

TARGET = Path(__file__).parent / "cortexm_fc.csv"
SOURCE = "CMSIS-NN 99f736a6 under QEMU 7.2, cycles by llvm-mca"
COLUMNS = ["core", "toolchain", "kernel", "in", "out", "hidden", "T", "est_cycles"]
ODD_INPUTS = (13, 17, 18, 19, 33, 129, 250, 257)
ODD_OUTPUTS = (3, 5, 7, 10, 17, 33, 65, 129)
MANY_INPUTS = 100
BRANCHES_ON_DATA = {
    ("m4", "gcc12.2-Ofast", "fc_s8"),
    ("m4", "gcc12.2-Ofast", "fc_s4"),
    ("m33", "gcc12.2-Ofast", "fc_s8"),
    ("m33", "gcc12.2-Ofast", "fc_s4"),
    ("m7", "gcc12.2-Ofast", "fc_s8"),
    ("m7", "gcc12.2-Ofast", "fc_s8_perch"),
    ("m7", "gcc12.2-Ofast", "fc_s4"),
}
"""Kernels that GCC gives branches which depend on the values that are multiplied."""


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """Two rows of one kernel."""
    if (rows["hidden"] > 0).all():
        return pd.concat([rows[rows["hidden"] == 1].tail(1), rows[rows["hidden"] > 1].head(1)])
    odd = rows[rows["in"].isin(ODD_INPUTS) & rows["out"].isin(ODD_OUTPUTS)]
    few = odd["in"] < MANY_INPUTS
    return pd.concat([odd[few].sort_values(["out", "in"]).head(7).tail(1), odd[~few].tail(1)])


def tolerance(row: pd.Series) -> float:
    """Share by which our cycles may differ."""
    return 0.02 if (row["core"], row["toolchain"], row["kernel"]) in BRANCHES_ON_DATA else 0.002


def main(arguments: list[str]) -> int:
    table = pd.read_csv(Path(arguments[0]) / "cortexm_fc.csv")
    groups = table.groupby(["core", "toolchain", "kernel"], sort=True)
    rows = pd.concat([kept(group) for _, group in groups])[COLUMNS]
    rows["tolerance_frac"] = [tolerance(row) for _, row in rows.iterrows()]
    rows.assign(source=SOURCE).to_csv(TARGET, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
