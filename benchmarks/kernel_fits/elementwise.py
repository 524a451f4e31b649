"""What do CMSIS-NN's passes over vectors take? Writes `hw_profiles/kernels/elementwise.json`.

python benchmarks/kernel_fits/elementwise.py REFERENCE_FOLDER [--left-out]

`cortexm_elementwise.csv` gives cycles by the number of elements: sums over the basic blocks that ran, so a
constant, so much per group of elements, so much where a loop runs at all, and so much for what no group
takes. `LOOPS` and `loops_of` say which groups there are: by the source, but that clang unrolls the table
look-ups and relu, and that both compilers vectorise relu6 for Helium. `--left-out` prints how well sizes are
predicted that the fit has not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.elementwise import kernel_cycles
from npuexplore.documents.atomic import write_json
from npuexplore.hardware.kernels.elementwise import pass_kernel_of

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

SCHEMA = "npuexplore.pass_kernels/1"
SOURCE = (
    "CMSIS-NN 99f736a6 (2026-07-15): arm_elementwise_add_s8, _mul_s8, _mul_s16, _mul_s16_s8, _mul_acc_s16, "
    "arm_nn_activation_s16, arm_softmax_s8, arm_relu_q7, arm_relu6_s8. Instructions counted under QEMU 7.2 "
    "(mps2-an386, an500, an505, mps3-an547), cycles by llvm-mca over the executed basic blocks, zero-wait "
    "memory (plus 2 per taken branch on M4 and M33)"
)
SPREAD = (
    "Cycles depend on the data by up to 4 % (tanh) and 7 % (softmax); these are means over the data counted."
)


@dataclass(frozen=True)
class Loops:
    """Groups of a kernel's loops, widest first; what the last leaves is looked up in a table."""

    elems: tuple[int, ...]
    masked: bool = False


SINGLE, PAIRS, FOURS = Loops((1,)), Loops((2,)), Loops((4,))
MASKED_FOURS = Loops((4,), masked=True)
SIXTEENS = Loops((16, 1))
UNROLLED_FOURS = Loops((16, 4))
LOOPS = {
    "ew_add_s8": FOURS,
    "ew_mul_s8": FOURS,
    "ew_mul_s16": PAIRS,
    "ew_mul_s16_s8": PAIRS,
    "ew_mulacc_s16": PAIRS,
    "relu_s8": FOURS,
}
"""Loops of the source with DSP instructions; one element at a time where it is not listed."""
LOOPS_OF: Mapping[tuple[str, str], Mapping[str, Loops]] = {
    ("dsp", "gcc"): {},
    ("dsp", "clang"): {"relu_s8": UNROLLED_FOURS, "relu6_s8": FOURS},
    ("m55", "gcc"): {"relu_s8": SINGLE, "relu6_s8": SIXTEENS},
    ("m55", "clang"): {"relu_s8": UNROLLED_FOURS, "relu6_s8": SIXTEENS, "softmax_s8": FOURS},
}
"""What compilers and Helium make of them."""


def loops_of(core: str, toolchain: str, name: str) -> Loops:
    """The loops of a kernel."""
    compiler = "gcc" if toolchain.startswith("gcc") else "clang"
    if core == "m55" and name.startswith("ew_"):
        return MASKED_FOURS
    if compiler == "clang" and name.startswith("act_"):
        return FOURS
    own = LOOPS_OF["m55" if core == "m55" else "dsp", compiler]
    return own.get(name, LOOPS.get(name, SINGLE))


def design(loops: Loops, elems: Counts) -> dict[str, Values]:
    """Features of n sizes; `once` only where some sizes enter the loop and some do not."""
    columns, left = {"call": np.ones(elems.size)}, elems
    for width in loops.elems:
        groups = -(-left // width) if loops.masked else left // width
        left = np.maximum(left - groups * width, 0)
        columns[f"group {width}"] = groups * 1.0
        columns[f"once {width}"] = (groups > 0) * 1.0
    for count in range(1, loops.elems[-1]):
        columns[f"left {count}"] = (left == count) * 1.0
    return {name: values for name, values in columns.items() if np.ptp(values) > 0 or name == "call"}


def entry(loops: Loops, elems: Counts, cycles: Values) -> dict[str, Any]:
    """One kernel, by least squares of relative errors."""
    columns = design(loops, elems)
    matrix = np.column_stack(list(columns.values())) / cycles[:, None]
    found = dict(zip(columns, np.linalg.lstsq(matrix, np.ones(cycles.size), rcond=None)[0], strict=True))
    return {
        "per_call": rounded(found["call"]),
        "loops": [
            {
                "elems": width,
                "masked": loops.masked,
                "per_group": rounded(found[f"group {width}"]),
                "once": rounded(found.get(f"once {width}", 0.0)),
            }
            for width in loops.elems
        ],
        "left": [rounded(found.get(f"left {count}", 0.0)) for count in range(loops.elems[-1])],
    }


def left_out_errors(loops: Loops, elems: Counts, cycles: Values) -> tuple[Values, list[int]]:
    """Errors (per cent) of sizes that the fit has not seen, and sizes that alone show some feature."""
    errors, needed = [], []
    for index, size in enumerate(elems):
        seen = np.arange(elems.size) != index
        if _rank(loops, elems[seen]) < _rank(loops, elems):
            needed.append(int(size))
            continue
        kernel = pass_kernel_of(entry(loops, elems[seen], cycles[seen]))
        errors.append(errors_pct(kernel_cycles(kernel, elems=elems[~seen]), cycles[~seen]))
    return np.concatenate(errors), needed


def _rank(loops: Loops, elems: Counts) -> int:
    return int(np.linalg.matrix_rank(np.column_stack(list(design(loops, elems).values()))))


def errors_pct(ours: Values, cycles: Values) -> Values:
    """Errors against counted cycles."""
    return np.asarray(100 * np.abs(ours / cycles - 1))


def sizes_of(rows: pd.DataFrame) -> tuple[Counts, Values]:
    """Sizes, and their mean cycles over the data counted."""
    means = rows.groupby("n")["est_cycles"].mean().sort_index()
    return means.index.to_numpy(), means.to_numpy()


def rounded(value: float) -> float:
    """To 6 significant digits, and nothing below a thousandth of a cycle."""
    return float(f"{value:.6g}") if abs(value) >= 1e-3 else 0.0


def print_left_out(table: pd.DataFrame) -> None:
    """One line per kernel: errors of the fit, and with every size left out in turn."""
    print("core toolchain kernel: mean / worst error in %, fitted; sizes left out")
    for (core, toolchain, name), rows in table.groupby(["core", "toolchain", "kernel"]):
        loops, (elems, cycles) = loops_of(core, toolchain, name), sizes_of(rows)
        kernel = pass_kernel_of(entry(loops, elems, cycles))
        fitted = errors_pct(kernel_cycles(kernel, elems=elems), cycles)
        unseen, needed = left_out_errors(loops, elems, cycles)
        print(
            f"{core} {toolchain} {name}: {fitted.mean():.2f} / {fitted.max():.2f}; {unseen.mean():.2f} / "
            f"{unseen.max():.2f} (needs {needed})"
        )


def kernels_of(table: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """All kernels, by core, toolchain and name."""
    kernels: dict[str, dict[str, dict[str, Any]]] = {}
    for (core, toolchain, name), rows in table.groupby(["core", "toolchain", "kernel"]):
        named = kernels.setdefault(core, {}).setdefault(toolchain, {})
        named[name] = entry(loops_of(core, toolchain, name), *sizes_of(rows))
    return kernels


def main(arguments: Sequence[str]) -> int:
    """Writes the table, or prints how well it predicts what it has not seen."""
    table = pd.read_csv(Path(arguments[0]) / "cortexm_elementwise.csv")
    if "--left-out" in arguments:
        print_left_out(table)
        return 0
    target = Path(__file__).parents[2] / "hw_profiles" / "kernels" / "elementwise.json"
    document = {"schema": SCHEMA, "source": SOURCE, "spread": SPREAD, "kernels": kernels_of(table)}
    write_json(target, document)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
