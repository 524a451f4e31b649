"""What does one row cost in the counted sparse kernels? Writes `hw_profiles/kernels/sparse.json`.

python benchmarks/kernel_fits/sparse.py REFERENCE_FOLDER

`sparse_kernels.csv` counts matrices whose rows of blocks all store equally many blocks, so that the cycles
of one row follow from matrices of different heights: cycles = per_call + rows * row(blocks stored in it).
Compilers take `AT_ONCE` blocks in one pass of the loop (unrolled, or as lanes of a vector); what is left of
a row takes a time of its own, and so do the first passes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from npuexplore.documents.atomic import write_json

Rows = dict[int, float]
"""Cycles of a row by the blocks that it stores."""

SCHEMA = "npuexplore.sparse_kernels/1"
SOURCE = (
    "Plain C sparse matrix-vector kernels in int8, built like CMSIS-NN 99f736a6: instructions counted under "
    "QEMU 7.2 (mps2-an386, an500, an505, mps3-an547), cycles by llvm-mca over the executed basic blocks with "
    "zero-wait memory (plus 2 per taken branch on M4 and M33); equal numbers of blocks in all rows"
)
ASSUMED = (
    "Not counted, taken from their neighbours: rows that store nothing, but for 1x16 and 4x16; rows of 1 and "
    "2 weights in loops of 4. Assumed: 16 bits a row for the count of its blocks."
)
FORMATS: Mapping[str, tuple[str, tuple[int, int], int, int | None]] = {
    "csr_delta8": ("csr_delta8", (1, 1), 8, None),
    "csr_abs8": ("csr_abs8", (1, 1), 8, 256),
    "block_index_1x4": ("bsr1x4", (1, 4), 8, 1024),
    "block_index_1x16": ("bsr1x16", (1, 16), 8, 4096),
    "block_index_4x4": ("bsr4x4", (4, 4), 8, 1024),
    "block_index_4x16": ("bsr4x16", (4, 16), 8, 4096),
}
"""By format: the reference's kernel, its block, bits of a block's index, inputs that those reach."""
ROW_BITS = 16
VECTOR_BLOCKS = {"csr_abs8": 16, "bsr1x4": 4}
"""Blocks in one vector of an M55's gathering loads; what is left of a row is a masked vector."""
UNROLLED_BLOCKS = 4
"""Weights in one pass of the unrolled loops of single weights."""
EMPTY_LIKE = {"bsr1x4": "bsr1x16", "csr_delta8": "bsr1x16", "csr_abs8": "bsr1x16", "bsr4x4": "bsr4x16"}
"""Kernels whose counted empty rows stand for those of another: the same work follows after the loop."""


def main(arguments: list[str]) -> int:
    """Fits every kernel and writes the table."""
    table = pd.read_csv(Path(arguments[0]) / "sparse_kernels.csv")
    target = Path(__file__).parents[2] / "hw_profiles" / "kernels" / "sparse.json"
    write_json(target, document(table))
    return 0


def document(table: pd.DataFrame) -> dict[str, Any]:
    """The table as it lies on disk."""
    formats = {
        name: {"block": list(block), "index_bits": bits, "row_bits": ROW_BITS, "columns_limit": reach}
        for name, (_, block, bits, reach) in FORMATS.items()
    }
    kernels: dict[str, dict[str, Any]] = {}
    for (core, toolchain), counted in table.groupby(["core", "toolchain"]):
        kernels.setdefault(core, {})[toolchain] = _kernels(counted, str(core))
    return {
        "schema": SCHEMA,
        "source": SOURCE,
        "assumed": ASSUMED,
        "formats": formats,
        "kernels": kernels,
    }


def _kernels(counted: pd.DataFrame, core: str) -> dict[str, Any]:
    separate = {kernel: _rows(counted[counted["kernel"] == kernel]) for kernel, *_ in FORMATS.values()}
    found = {}
    for name, (kernel, *_) in FORMATS.items():
        per_call, rows = separate[kernel]
        empty = separate[EMPTY_LIKE[kernel]][1].get(0) if kernel in EMPTY_LIKE else None
        loop = row_loop(rows, at_once=_at_once(kernel, core), masked=_masked(kernel, core), empty=empty)
        found[name] = {"per_call": _six(per_call), **loop}
    return found


def _masked(kernel: str, core: str) -> bool:
    return core == "m55" and kernel in VECTOR_BLOCKS


def _at_once(kernel: str, core: str) -> int:
    if _masked(kernel, core):
        return VECTOR_BLOCKS[kernel]
    return UNROLLED_BLOCKS if kernel.startswith("csr") else 1


def _rows(counted: pd.DataFrame) -> tuple[float, Rows]:
    """Cycles of a call, and of one row by the blocks that it stores."""
    height = 4 if counted["kernel"].iloc[0].startswith("bsr4") else 1
    rows = counted["out"] // height
    by_count = counted.assign(rows=rows, stored=counted["blocks"] // rows).groupby("stored")
    calls = [
        np.polyfit(each["rows"], each["est_cycles"], 1)[1]
        for _, each in by_count
        if each["rows"].nunique() > 1
    ]
    per_call = float(np.median(calls))
    return per_call, {
        int(stored): float(((each["est_cycles"] - per_call) / each["rows"]).mean())
        for stored, each in by_count
    }


def row_loop(rows: Rows, *, at_once: int, masked: bool, empty: float | None) -> dict[str, Any]:
    """`remainders[n % at_once] + per_pass * (n // at_once)` cycles for n blocks; `few[n]` in short rows."""
    per_pass, remainders = _masked_passes(rows, at_once) if masked else _passes(rows, at_once)
    counts = np.arange(2 * at_once)
    few = np.array(remainders)[counts % at_once] + per_pass * (counts // at_once)
    for first in [range(1, at_once + 1)] if masked else [range(1, at_once), range(at_once, 2 * at_once)]:
        beyond = [rows[n] - few[n] for n in first if n in rows]
        if beyond:
            few[first] += np.mean(beyond)
    few[0] = rows.get(0, min(few[0] if at_once == 1 else few[1], np.inf if empty is None else empty))
    return {
        "few": [_six(value) for value in few],
        "per_pass": _six(per_pass),
        "remainders": [_six(value) for value in remainders],
    }


def _masked_passes(rows: Rows, at_once: int) -> tuple[float, list[float]]:
    """Passes of whole vectors; one that is not full takes as long."""
    long = {n: cycles for n, cycles in rows.items() if n > at_once}
    passes = [-(-n // at_once) for n in long]
    per_pass, start = np.polyfit(passes, list(long.values()), 1)
    return float(per_pass), [float(start + per_pass * (left > 0)) for left in range(at_once)]


def _passes(rows: Rows, at_once: int) -> tuple[float, list[float]]:
    """Whole passes, and what is left of a row by how many blocks that is; unseen ones between seen ones."""
    long = {n: cycles for n, cycles in rows.items() if n >= 2 * at_once}
    left = sorted({n % at_once for n in long})
    features = np.array([[n // at_once, *(n % at_once == each for each in left)] for n in long], float)
    per_pass, *seen = np.linalg.lstsq(features, np.array(list(long.values())), rcond=None)[0]
    return float(per_pass), [float(value) for value in np.interp(range(at_once), left, seen)]


def _six(value: float) -> float:
    return float(f"{value:.6g}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
