"""What do CMSIS-NN's recurrent steps take? Writes `hw_profiles/kernels/recurrent.json`.

python benchmarks/kernel_fits/recurrent.py REFERENCE_FOLDER [--left-out]

`cortexm_lstm.csv` gives cycles of whole layers by inputs, units, steps and whether the first has a state.
They are sums over the basic blocks that ran, so they are linear in how often each loop runs, and the source
says how often that is. One fit per core and toolchain takes the products of LSTM and GRU (they call the same
kernel) together with what each kind does per unit. A layer that is not stateful leaves out its first products
with the state, which tells products from the rest; `hot_loops.csv` has the inner loop of a product by itself,
which tells it from table look-ups that get shorter as gates saturate. `--left-out` prints how well sizes are
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

from npuexplore.cost.cortex_m.recurrent import sequence_cycles
from npuexplore.documents.atomic import write_json
from npuexplore.hardware.kernels.product import product_kernel_of
from npuexplore.hardware.kernels.recurrent import CLEARED_UNITS, GATES, VECTOR_UNITS, step_kernel_of

Values = NDArray[np.float64]
Counts = NDArray[np.int64]
Columns = dict[str, Values]

SCHEMA = "npuexplore.recurrent_kernels/1"
SOURCE = (
    "CMSIS-NN 99f736a6 (2026-07-15): arm_lstm_unidirectional_s8, and a reset-after GRU step composed of its "
    "parts. Instructions counted under QEMU 7.2 (mps2-an386, an500, an505, mps3-an547), cycles by llvm-mca "
    "over the executed basic blocks with zero-wait memory (plus 2 per taken branch on M4 and M33)"
)
ASSUMED = (
    "Two and three inputs left of fours, and two and three rows left of fours on an M55, were not counted. "
    "Loops of the same form, written anew, were compiled and their blocks priced with llvm-mca 19. With GCC "
    "12.2.1 this meets the one left input that was counted. Clang lays these blocks out otherwise than was "
    "counted, so its figures were chosen between builds with clang 19.1.7 and 22.1.8 and what fc_s8 was "
    "counted with, and may be 2 cycles off per pair of rows. Entering single rows on an M55 is from builds "
    "with GCC 12.2.1 and clang 19.1.7. A clear takes what the code of newlib 3.3.0's memset suggests; pairs "
    "left of it are estimated. Keeping the state and clearing it are taken to cost the same but for their "
    "loops. This divides the cycles of a call between products and the rest, and leaves their sum as it is. "
    "Table look-ups take what they were counted with alone, and the rest of a step is what is left. A GRU is "
    "taken to clear four buffers. Of it only single stateful steps were counted; a first step without state "
    "is taken to leave out its products, as an LSTM's does."
)
LOOK_UPS = {
    "lstm_s8": {"act_sigmoid_s16_small": 3, "act_tanh_s16_small": 2},
    "gru_s8": {"act_sigmoid_s16_small": 2, "act_tanh_s16_small": 1},
}
"""Passes of table look-ups in a step."""
CLEARS = {"lstm_s8": 4, "gru_s8": 4}
"""Buffers of 16-bit gates that a step clears; a reset-after GRU keeps the candidate's two products apart."""
CLEARED = {"m4": 9 / 8, "m33": 9 / 8, "m7": 7 / 8, "m55": 2 / 8}
"""Cycles per unit of newlib's memset, whose loop stores 16 bytes: 8 units."""
CLEARED_LEFT = {"m4": (-3, 5), "m33": (-3, 5), "m7": (2, 4), "m55": (3, 2)}
"""Its cycles where pairs of units are left, and for each of them; estimated."""
MORE_SINGLES = {
    ("m4", "gcc"): ((10, 10), (7, 7)),
    ("m33", "gcc"): ((10, 10), (7, 7)),
    ("m7", "gcc"): ((10, 10), (6, 6)),
    ("m4", "clang"): ((13, 7), (8, 3)),
    ("m33", "clang"): ((13, 7), (8, 3)),
    ("m7", "clang"): ((6, 3), (6, 1.5)),
}
"""Cycles of a second and a third single input, of a pair of rows and of a single row; see `ASSUMED`."""
INNER_LOOP = {False: "pair quads", True: "four vectors"}
"""Features of the inner loop, by whether a core has Helium."""
TAKEN_BRANCH = {"m4": 2, "m33": 2}
"""Cycles of a taken branch, where llvm-mca does not count them."""
ROWS_ONCE = {"gcc": 8, "clang": 0}
"""Cycles of entering the loop over single rows on an M55."""


def compiler_of(toolchain: str) -> str:
    """Of a toolchain's name."""
    return "gcc" if toolchain.startswith("gcc") else "clang"


def pair_columns(inputs: Counts, rows: Counts) -> Columns:
    """Features of a product with DSP instructions: rows in pairs and ones; inputs in fours and ones."""
    columns = {}
    for name, passes in (("pair", rows // 2), ("row", rows % 2)):
        columns[name] = passes
        columns[f"{name} quads"] = passes * (inputs // 4)
        columns[f"{name} single"] = passes * (inputs % 4 > 0)
    return columns


def four_columns(inputs: Counts, rows: Counts) -> Columns:
    """The same with Helium: fours of rows and single ones; inputs in masked vectors of 16."""
    columns = {}
    for name, passes in (("four", rows // 4), ("row", rows % 4)):
        columns[name] = passes
        columns[f"{name} vectors"] = passes * -(-inputs // 16)
    return columns


def design(core: str, rows: pd.DataFrame) -> Columns:
    """All features of n rows of the table."""
    products = four_columns if core == "m55" else pair_columns
    inputs, units, steps = (rows[name].to_numpy() for name in ("in", "hidden", "T"))
    gates = rows["kernel"].map(GATES).to_numpy()
    columns: Columns = {"call": np.zeros(len(rows))}
    for width, times in ((inputs, gates * steps), (units, gates * recurrent_steps(rows))):
        columns["call"] = columns["call"] + times
        for name, values in products(width, units).items():
            columns[name] = columns.get(name, 0.0) + times * values
    for name in GATES:
        here = (rows["kernel"] == name).to_numpy() * steps
        columns[f"{name} unit"] = here * units
        columns[f"{name} odd"] = here * (units % 2)
        columns[f"{name} step"] = here
    lstm, stateful = (rows["kernel"] == "lstm_s8").to_numpy(), rows["stateful"].to_numpy()
    columns["copied unit"] = lstm * stateful * units
    columns["layer call"] = lstm * 1.0
    return columns


def known_cycles(core: str, toolchain: str, rows: pd.DataFrame) -> Values:
    """Cycles of n rows of the table that are not fitted: clears, `MORE_SINGLES` and `ROWS_ONCE`."""
    units, steps = rows["hidden"].to_numpy(), rows["T"].to_numpy()
    gates = rows["kernel"].map(GATES).to_numpy()
    lstm = (rows["kernel"] == "lstm_s8").to_numpy()
    known = lstm * (1 - rows["stateful"].to_numpy()) * units * CLEARED[core]
    left, (once, each_left) = units % CLEARED_UNITS // 2, CLEARED_LEFT[core]
    known = known + steps * rows["kernel"].map(CLEARS).to_numpy() * ((left > 0) * once + left * each_left)
    for width, times in ((rows["in"].to_numpy(), steps), (units, recurrent_steps(rows))):
        if core == "m55":
            each = ROWS_ONCE[compiler_of(toolchain)] * (units % 4 > 0)
        else:
            of_pair, of_row = (more_singles(core, toolchain, rows=each)[width % 4] for each in (2, 1))
            each = (units // 2) * of_pair + (units % 2) * of_row
        known = known + gates * times * each
    return np.asarray(known)


def more_singles(core: str, toolchain: str, *, rows: int) -> Values:
    """(4,) cycles of single inputs beyond the first, by how many there are."""
    second, third = MORE_SINGLES[core, compiler_of(toolchain)][2 - rows]
    return np.array([0.0, 0.0, second, second + third])


def recurrent_steps(rows: pd.DataFrame) -> Counts:
    """Steps that have a state."""
    return np.asarray(rows["T"] - 1 + rows["stateful"])


def fit(core: str, toolchain: str, rows: pd.DataFrame, *, inner_loop: float) -> dict[str, float]:
    """Coefficients by least squares of relative errors, the inner loop of a product given."""
    cycles, columns = rows["est_cycles"].to_numpy(), design(core, rows)
    inner = columns.pop(INNER_LOOP[core == "m55"])
    matrix = np.column_stack(list(columns.values())) / cycles[:, None]
    wanted = 1 - (known_cycles(core, toolchain, rows) + inner_loop * inner) / cycles
    found = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    return {INNER_LOOP[core == "m55"]: inner_loop, **dict(zip(columns, found.tolist(), strict=True))}


def inner_loop_cycles(hot_loops: pd.DataFrame, core: str) -> float:
    """Of one pass of a product's inner loop, by itself, with the branch that closes it."""
    row = hot_loops[hot_loops["kernel"] == "lstm_s8"].iloc[0]
    return float(row["mca_cycles_per_iter"]) + TAKEN_BRANCH.get(core, 0)


def matvec_entry(core: str, toolchain: str, found: Mapping[str, float]) -> dict[str, Any]:
    """The product, in the form of `product.json`."""
    first = "four" if core == "m55" else "pair"
    many = VECTOR_UNITS if core == "m55" else 2
    phases = []
    for name, rows, within in ((first, many, 0), ("row", 1, many)):
        if core == "m55":
            per_step = found[f"{name} vectors"]
            tail = [0.0, *[per_step] * 15]
            once = ROWS_ONCE[compiler_of(toolchain)] * (rows == 1)
        else:
            per_step, once = found[f"{name} quads"], 0
            tail = [0.0, *(found[f"{name} single"] + more_singles(core, toolchain, rows=rows)[1:])]
        phases.append(
            {
                "rows": rows,
                "within": within,
                "per_pass": rounded(found[name]),
                "per_step": rounded(per_step),
                "tail": [rounded(value) for value in tail],
                "once": once,
            }
        )
    return {"per_call": rounded(found["call"]), "phases": phases}


def step_entry(
    core: str, name: str, found: Mapping[str, float], look_ups: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """A kind of step: its table look-ups as they were counted alone, and what is left.

    With Helium what is left per unit is taken by masked vectors, but for clears of buffers.
    """
    passes = LOOK_UPS[name]
    per_step = sum(count * look_ups[each][0] for each, count in passes.items())
    per_unit = sum(count * look_ups[each][1] for each, count in passes.items())
    left, odd, per_vector = found[f"{name} unit"] - per_unit, found[f"{name} odd"], 0.0
    if core == "m55":
        cleared = CLEARS[name] * CLEARED[core]
        per_vector = VECTOR_UNITS * (left - cleared)
        left, odd = cleared, odd - (VECTOR_UNITS - 1) * (left - cleared)
    lstm = name == "lstm_s8"
    return {
        "activation": {"per_step": rounded(per_step), "per_unit": rounded(per_unit)},
        "rest": {
            "per_step": rounded(found[f"{name} step"] - per_step),
            "per_unit": rounded(left),
            "per_vector": rounded(per_vector),
            "per_odd": rounded(odd),
            "left_pairs_once": CLEARS[name] * CLEARED_LEFT[core][0],
            "per_left_pair": CLEARS[name] * CLEARED_LEFT[core][1],
        },
        "layer": {
            "per_call": rounded(found["layer call"]) if lstm else 0.0,
            "per_copied_unit": rounded(found["copied unit"]) if lstm else 0.0,
            "per_cleared_unit": CLEARED[core] if lstm else 0.0,
        },
    }


@dataclass(frozen=True)
class Counted:
    """What was counted of one core and toolchain: tables of the reference folder."""

    core: str
    toolchain: str
    layers: pd.DataFrame
    elementwise: pd.DataFrame
    hot_loops: pd.DataFrame


def entry(counted: Counted, rows: pd.DataFrame) -> dict[str, Any]:
    """All of one core and toolchain, from some rows of its layers."""
    core, toolchain = counted.core, counted.toolchain
    found = fit(core, toolchain, rows, inner_loop=inner_loop_cycles(counted.hot_loops, core))
    look_ups = look_ups_of(counted.elementwise)
    steps = {name: step_entry(core, name, found, look_ups) for name in GATES}
    return {"matvec": matvec_entry(core, toolchain, found), **steps}


def look_ups_of(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Cycles per call and per element of table look-ups, by kernel: a line through the counted sizes."""
    lines = {}
    for name, sizes in rows[rows["kernel"].str.startswith("act_")].groupby("kernel"):
        slope, constant = np.polyfit(sizes["n"], sizes["est_cycles"], 1, w=1 / sizes["est_cycles"])
        lines[str(name)] = (float(constant), float(slope))
    return lines


def errors_pct(one: Mapping[str, Any], rows: pd.DataFrame) -> Values:
    """(n,) errors of our cycles against counted ones."""
    errors, product = np.zeros(len(rows)), product_kernel_of(one["matvec"])
    for name in GATES:
        here = (rows["kernel"] == name).to_numpy()
        chosen = rows[here]
        ours = sequence_cycles(
            step_kernel_of(name, one[name], product),
            inputs=chosen["in"].to_numpy(),
            units=chosen["hidden"].to_numpy(),
            steps=chosen["T"].to_numpy(),
            stateful=chosen["stateful"].to_numpy() == 1,
        )
        errors[here] = 100 * np.abs(ours / chosen["est_cycles"].to_numpy() - 1)
    return errors


def left_out_errors(counted: Counted, *, column: str) -> tuple[Values, list[int]]:
    """Errors (per cent) of rows with inputs, units or steps the fit has not seen, and sizes that it needs."""
    errors, needed, rows = [], [], counted.layers
    for size in sorted(rows[column].unique()):
        unseen = (rows[column] == size).to_numpy()
        if _rank(counted.core, rows[~unseen]) < _rank(counted.core, rows):
            needed.append(int(size))
            continue
        errors.append(errors_pct(entry(counted, rows[~unseen]), rows[unseen]))
    return np.concatenate(errors), needed


def _rank(core: str, rows: pd.DataFrame) -> int:
    matrix = np.column_stack(list(design(core, rows).values()))
    return int(np.linalg.matrix_rank(matrix / rows[["est_cycles"]].to_numpy()))


def rounded(value: float) -> float:
    """To 6 significant digits, and nothing below a thousandth of a cycle."""
    return float(f"{value:.6g}") if abs(value) >= 1e-3 else 0.0


def print_left_out(tables: Sequence[Counted]) -> None:
    """One line per core and toolchain: errors of the fit, and with every size left out in turn."""
    print("core toolchain: mean / worst error in %, fitted LSTM, GRU; inputs, units, steps left out")
    for counted in tables:
        errors = errors_pct(entry(counted, counted.layers), counted.layers)
        texts = [f"{counted.core} {counted.toolchain}:"]
        for name in GATES:
            here = errors[(counted.layers["kernel"] == name).to_numpy()]
            texts.append(f"{here.mean():.3f} / {here.max():.3f};")
        for column in ("in", "hidden", "T"):
            unseen, needed = left_out_errors(counted, column=column)
            texts.append(f"{unseen.mean():.3f} / {unseen.max():.3f} (needs {needed});")
        print(*texts, flush=True)


def tables_of(folder: Path) -> list[Counted]:
    """What a reference folder has, by core and toolchain."""
    names = ("cortexm_lstm.csv", "cortexm_elementwise.csv", "hot_loops.csv")
    keys = ["core", "toolchain"]
    layers, elementwise, hot_loops = (dict(list(pd.read_csv(folder / name).groupby(keys))) for name in names)
    return [
        Counted(*key, layers=layers[key], elementwise=elementwise[key], hot_loops=hot_loops[key])
        for key in sorted(layers)
    ]


def main(arguments: Sequence[str]) -> int:
    """Writes the table, or prints how well it predicts what it has not seen."""
    tables = tables_of(Path(arguments[0]))
    if "--left-out" in arguments:
        print_left_out(tables)
        return 0
    kernels: dict[str, dict[str, Any]] = {}
    for counted in tables:
        kernels.setdefault(counted.core, {})[counted.toolchain] = entry(counted, counted.layers)
    target = Path(__file__).parents[2] / "hw_profiles" / "kernels" / "recurrent.json"
    write_json(target, {"schema": SCHEMA, "source": SOURCE, "assumed": ASSUMED, "kernels": kernels})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
