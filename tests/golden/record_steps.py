"""Rewrites the kept rows of recurrent layers and element-wise passes.

python tests/golden/record_steps.py REFERENCE_FOLDER

Kept are, by core, toolchain and kernel, sizes that fill neither vectors nor groups of rows, as far as they
were counted: of recurrent layers small and large ones, and sequences with and without a state.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent
SOURCE = "CMSIS-NN 99f736a6 under QEMU 7.2, cycles by llvm-mca"
KEYS = ["core", "toolchain", "kernel"]
LAYERS = {
    "lstm_s8": ((33, 17, 1, 1), (33, 17, 10, 1), (33, 33, 3, 0), (257, 17, 1, 1), (100, 200, 1, 0)),
    "gru_s8": ((33, 17, 1, 1), (33, 33, 1, 1), (257, 100, 1, 1)),
}
"""Inputs, units, steps, and whether there is a state."""
ODD_SIZES = (7, 10, 31, 33, 65, 129, 257)
LAYER_TOLERANCES = {"m55": 0.007}
"""Table look-ups, which depend on the data, are most of a step with Helium."""
TOLERANCES = {"act_tanh_s16": 0.04, "softmax_s8": 0.07, "relu_s8": 0.04, "relu6_s8": 0.03}
"""Of passes that depend on the data, or that compilers gave several loops."""


def layers(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of recurrent layers."""
    sizes = list(table[["in", "hidden", "T", "stateful"]].itertuples(index=False, name=None))
    here = [size in LAYERS[kernel] for size, kernel in zip(sizes, table["kernel"], strict=True)]
    kept = table[here].sort_values([*KEYS, "in", "hidden", "T"])
    tolerances = [LAYER_TOLERANCES.get(core, 0.003) for core in kept["core"]]
    return kept[[*KEYS, "in", "hidden", "T", "stateful", "est_cycles"]].assign(tolerance_frac=tolerances)


def passes(table: pd.DataFrame) -> pd.DataFrame:
    """The smallest and the largest odd size of every pass."""
    odd = table[table["n"].isin(ODD_SIZES) & (table["data_seed"] == 1)].sort_values([*KEYS, "n"])
    kept = pd.concat([group.iloc[[0, -1]] for _, group in odd.groupby(KEYS)])
    tolerances = [TOLERANCES.get(kernel, 0.01) for kernel in kept["kernel"]]
    return kept[[*KEYS, "n", "est_cycles"]].assign(tolerance_frac=tolerances)


def main(arguments: list[str]) -> int:
    for name, kept in (("cortexm_lstm.csv", layers), ("cortexm_elementwise.csv", passes)):
        rows = kept(pd.read_csv(Path(arguments[0]) / name))
        rows.assign(source=SOURCE).to_csv(FOLDER / name, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
