"""What does SVDF take beside its product? Writes `hw_profiles/kernels/svdf.json`.

python benchmarks/kernel_fits/svdf.py REFERENCE_FOLDER

`cortexm_fc.csv` has ten SVDF shapes by core and toolchain (columns hidden: rank, T: steps of memory). What is
left of them after the product of `product.json` is linear in features, in their quads and singles of memory
(in steps on an M55), and in features and units where several features make a unit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.documents.atomic import write_json
from npuexplore.hardware.kernels.product import product_kernel

SCHEMA = "npuexplore.svdf_kernels/1"
SOURCE = (
    "CMSIS-NN 99f736a6 (2026-07-15): arm_svdf_s8, ten shapes. Instructions counted under QEMU 7.2 "
    "(mps2-an386, an500, an505, mps3-an547), cycles by llvm-mca over the executed basic blocks with "
    "zero-wait memory (plus 2 per taken branch on M4 and M33)"
)
ASSUMED = (
    "Memories of more than 10 steps were not counted; under clang an M55 takes 16 steps in a vector, and "
    "each further vector is taken to cost what one costs in a single row of fc_s8."
)
LANES = {("m55", "clang22-O3"): 16}
"""Where the compiler makes vectors of the sum over a memory."""


def main(arguments: list[str]) -> int:
    """Fits every core and toolchain and writes the table."""
    kernels = kernels_of(pd.read_csv(Path(arguments[0]) / "cortexm_fc.csv"))
    target = Path(__file__).parents[2] / "hw_profiles" / "kernels" / "svdf.json"
    write_json(target, {"schema": SCHEMA, "source": SOURCE, "assumed": ASSUMED, "kernels": kernels})
    return 0


def kernels_of(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """All kernels, by core and toolchain."""
    kernels: dict[str, dict[str, dict[str, float]]] = {}
    counted = table[table["kernel"] == "svdf_s8"]
    for (core, toolchain), rows in counted.groupby(["core", "toolchain"], sort=False):
        kernels.setdefault(core, {})[toolchain] = entry(core, toolchain, rows)
    return kernels


def entry(core: str, toolchain: str, rows: pd.DataFrame) -> dict[str, float]:
    """One core and toolchain of the table, by least squares of relative errors."""
    inputs, units, rank, steps = (rows[name].to_numpy() for name in ("in", "out", "hidden", "T"))
    cycles, features, product = (
        rows["est_cycles"].to_numpy(),
        units * rank,
        product_kernel(core, toolchain, "fc_s8"),
    )
    left = cycles - product_cycles(product, inputs=inputs, outputs=features)
    columns = {"per_call": np.ones(len(rows)), "per_feature": features, **_memory(core, features, steps)}
    columns |= {"per_ranked_feature": features * (rank > 1), "per_ranked_unit": units * (rank > 1)}
    matrix = np.column_stack(list(columns.values())) / cycles[:, np.newaxis]
    solved = np.linalg.lstsq(matrix, left / cycles, rcond=None)[0]
    found = {name: float(f"{value:.6g}") for name, value in zip(columns, solved.tolist(), strict=True)}
    lanes = LANES.get((core, toolchain), 0)
    return {
        **found,
        "per_quad": found.get("per_quad", 4 * found["per_single"]),
        "lanes": lanes,
        "per_further_vector": product.phases[1].per_step if lanes else 0.0,
    }


def _memory(core: str, features: Any, steps: Any) -> dict[str, Any]:
    """Fours and ones where SIMD takes four; on an M55, ones."""
    if core == "m55":
        return {"per_single": features * steps}
    return {"per_quad": features * (steps // 4), "per_single": features * (steps % 4)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
