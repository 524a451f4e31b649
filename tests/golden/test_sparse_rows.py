"""Sparse kernels of Cortex-M cores against what was counted of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from npuexplore.errors import BadInput
from npuexplore.pipeline.verify.sparse_breakeven_best import REPLAY as BREAK_EVEN
from npuexplore.pipeline.verify.sparse_kernels import REPLAY, evenly_stored, sparse_kernel

PATH = Path(__file__).parent / "sparse_kernels.csv"
ROWS = pd.read_csv(PATH)


def test_every_kernel_costs_what_was_counted() -> None:
    ours = REPLAY.run(ROWS, PATH)["est_cycles"]

    misses = np.abs(ours / ROWS["est_cycles"] - 1.0)
    assert (misses <= ROWS["tolerance_frac"]).all(), ROWS[misses > ROWS["tolerance_frac"]]


def test_every_pattern_stores_what_was_counted() -> None:
    assert (REPLAY.run(ROWS, PATH)["blocks"] == ROWS["blocks"]).all()


@pytest.mark.parametrize(
    ("core", "kernel", "inputs", "density_pct", "speed_up"),
    [
        ("m4", "csr_delta8", 256, 36.7, 0.76),
        ("m4", "bsr4x4", 64, 100.0, 2.21),
        ("m7", "bsr1x4", 256, 51.2, 1.02),
        ("m7", "bsr1x16", 128, 69.6, 1.33),
        ("m33", "csr_abs8", 64, 51.5, 1.04),
        ("m55", "csr_delta8", 256, 0.0, 0.07),
        ("m55", "bsr4x16", 256, 71.6, 1.25),
    ],
)
def test_sparse_kernels_begin_to_pay_where_the_counted_ones_do(
    core: str, kernel: str, inputs: int, density_pct: float, speed_up: float
) -> None:
    """Rows of sparse_breakeven_best.csv, made from the same counts."""
    row = pd.DataFrame({"core": [core], "kernel": [kernel], "in": [inputs], "out": [inputs]})

    ours = BREAK_EVEN.run(row, PATH)
    assert ours["breakeven_density_pct"][0] == pytest.approx(density_pct, abs=0.25)
    assert ours["speedup_at_50pct_density"][0] == pytest.approx(speed_up, abs=0.0101)


def test_a_density_stores_the_nearest_number_of_blocks_in_every_row() -> None:
    stored = evenly_stored(
        sparse_kernel("m4", "gcc12.2-Ofast", "bsr4x16"), inputs=64, outputs=8, density_pct=60
    )

    assert stored.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("density_pct", 120.0, r"sparse_kernels.csv:3: density_pct: got 120; give 0 to 100"),
        ("kernel", "bsr2x2", r"sparse_kernels.csv:3: kernel: got 'bsr2x2'; allowed: bsr1x16, "),
        ("core", "m85", r"sparse_kernels.csv:3: core: got 'm85'; allowed: m33, m4, m55, m7"),
        ("toolchain", "icc", r"sparse_kernels.csv:3: toolchain: got 'icc'; allowed: clang22-O3"),
        ("in", 0, r"sparse_kernels.csv:3: in: got 0; give 1 to 65536"),
    ],
)
def test_a_case_that_cannot_be_is_named_with_its_line(column: str, value: object, sentence: str) -> None:
    table = ROWS.astype({column: object})
    table.loc[1, column] = value

    with pytest.raises(BadInput, match=sentence):
        REPLAY.run(table.astype({column: type(value)}), PATH)
