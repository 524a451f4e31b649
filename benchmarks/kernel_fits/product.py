"""What do loops of CMSIS-NN's fully connected kernels take? Writes `hw_profiles/kernels/product.json`.

python benchmarks/kernel_fits/product.py REFERENCE_FOLDER [--left-out]

`cortexm_fc.csv` gives cycles by inputs and outputs. They are sums over the basic blocks that ran, so they are
linear in how often each loop runs, and the source says how often that is: rows in pairs and a single one
(in fours and up to three single ones on an M55 and for 4-bit weights); inputs in fours and ones, which GCC
unrolls to sixteen, or in masked vectors of 16, 8 or 32. `--left-out` prints instead how well sizes are
predicted that the fit has not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.cortex_m.product import product_cycles
from npuexplore.documents.atomic import write_json
from npuexplore.hardware.kernels.product import ProductKernel, product_kernel_of

Values = NDArray[Any]
Counts = NDArray[np.int64]
Columns = dict[str, Values]

SCHEMA = "npuexplore.product_kernels/1"
SOURCE = (
    "CMSIS-NN 99f736a6 (2026-07-15): arm_fully_connected_s8, _per_channel_s8, _s4, _s16. Instructions "
    "counted under QEMU 7.2 (mps2-an386, an500, an505, mps3-an547), cycles by llvm-mca over the executed "
    "basic blocks with zero-wait memory (plus 2 per taken branch on M4 and M33)"
)
ASSUMED = (
    "Fewer than 4 inputs were not counted: loops over inputs that are not entered are taken to cost nothing. "
    "fc_s16 takes inputs beyond 512 one by one: on M4, M7 and M33 at what a third left-over input was "
    "counted with; on an M55, where no such input was counted, at a row's share of that on an M33."
)
NAMES = ("fc_s8", "fc_s8_perch", "fc_s4", "fc_s16")
LATE_FROM = {"fc_s16": 512}
"""MAX_COL_COUNT of arm_nn_vec_mat_mult_t_s16: keeps its 32-bit accumulators from overflowing."""
LARGEST_SHORT = 96
"""Corrections for few inputs end before this many."""
STRONG = 6.0
"""Corrections weaker than this many standard errors are left out."""
SMALLEST_CYCLES = 0.1
"""So are smaller ones."""
WEAK = ("first", "once", "every second")
"""Features of these names are corrections: what is not entered, or entered once."""


@dataclass(frozen=True)
class Loops:
    """How a kernel runs over inputs: features of a number of inputs, and the step that repeats."""

    step: int
    features: Callable[[Counts], Columns]


@dataclass(frozen=True)
class Phase:
    """A loop over rows, as in `RowPhase`."""

    rows: int
    within: int
    loops: Loops
    once: bool
    name: str = ""


def fours(inputs: Counts) -> Columns:
    """A loop of four inputs and one of single ones."""
    quads = inputs // 4
    return {
        "quads": quads,
        **_singles(inputs),
        "first quad only": quads == 1,
        "first two quads only": quads == 2,
    }


def sixteens(inputs: Counts) -> Columns:
    """The same, the loop of four unrolled to sixteen: the quads that are left run in front of it."""
    quads = inputs // 4
    return {
        "sixteens": inputs // 16,
        **{f"quads {left}": quads % 4 == left for left in (1, 2, 3)},
        **_singles(inputs),
        "first sixteen not entered": (quads > 0) & (quads < 4),
        "first sixteen only": quads // 4 == 1,
    }


def _singles(inputs: Counts) -> Columns:
    return {f"single {left}": inputs % 4 == left for left in (1, 2, 3)}


def vectors(lanes: int) -> Callable[[Counts], Columns]:
    """Masked vectors."""

    def features(inputs: Counts) -> Columns:
        count = -(-inputs // lanes)
        return {"vectors": count, "first vector only": count == 1}

    return features


def nibble_vectors(inputs: Counts) -> Columns:
    """Pairs of rows of 4-bit weights: vectors of 32, one of 16, masked ones in both rows, a shared byte."""
    left = inputs % 16
    return {
        "thirty-twos": inputs // 32,
        "sixteen": (inputs & 16) > 0,
        "sixteen behind": (inputs & 16 > 0) & (inputs >= 32),
        "masked": left > 0,
        "masked again": left > 1,
        "odd": inputs % 2,
        "first thirty-two not entered": inputs < 32,
        "first thirty-two only": inputs // 32 == 1,
    }


def nibble_rows(inputs: Counts) -> Columns:
    """A single row of 4-bit weights: vectors of 32 and of 16, then loops of four and of one."""
    quads = inputs % 16 // 4
    return {
        "thirty-twos": inputs // 32,
        "sixteen": (inputs & 16) > 0,
        "sixteen behind": (inputs & 16 > 0) & (inputs >= 32),
        **{f"quads {left}": quads == left for left in (1, 2, 3)},
        "pair": (inputs & 2) > 0,
        "odd": inputs % 2,
        "first thirty-two not entered": inputs < 32,
        "first thirty-two only": inputs // 32 == 1,
    }


def leftovers(inputs: Counts) -> Columns:
    """What every second single row of 4-bit weights does without: the byte shared with the row before."""
    return {"every second odd": inputs % 2}


FOURS, SIXTEENS = Loops(16, fours), Loops(16, sixteens)
UNROLLED = ("fc_s8", "fc_s8_perch")
"""Kernels whose source asks GCC to unroll loops."""
ALONE = Loops(16, lambda inputs: {})


def phases_of(core: str, toolchain: str, name: str) -> tuple[Phase, ...]:
    """The loops over rows of a kernel."""
    if core == "m55":
        return _four_rows(
            {
                "fc_s4": (Loops(32, nibble_vectors), Loops(32, nibble_rows)),
                "fc_s16": (Loops(16, vectors(8)),) * 2,
            }.get(name, (Loops(16, vectors(16)),) * 2),
            every_second=Loops(16, leftovers) if name == "fc_s4" else ALONE,
        )
    if name == "fc_s4":
        return _four_rows((FOURS, FOURS), every_second=Loops(16, leftovers))
    loops = SIXTEENS if toolchain.startswith("gcc") and name in UNROLLED else FOURS
    return (Phase(2, 0, loops, once=True), Phase(1, 2, loops, once=False))


def _four_rows(loops: tuple[Loops, Loops], *, every_second: Loops) -> tuple[Phase, ...]:
    return (
        Phase(4, 0, loops[0], once=True),
        Phase(1, 4, loops[1], once=True),
        Phase(2, 4, every_second, once=False, name="every second"),
    )


def design(phases: tuple[Phase, ...], inputs: Counts, outputs: Counts) -> Columns:
    """All features of n rows of the table, by (phase, feature)."""
    columns: Columns = {"call": np.ones(inputs.size)}
    for index, phase in enumerate(phases):
        left = outputs % phase.within if phase.within else outputs
        passes = left // phase.rows
        columns[f"{index}:{phase.name or 'pass'}"] = passes * 1.0
        if phase.once:
            columns[f"{index}:once"] = (passes > 0) * 1.0
        for name, values in phase.loops.features(inputs).items():
            columns[f"{index}:{name}"] = passes * np.asarray(values, np.float64)
    return columns


def fit(phases: tuple[Phase, ...], rows: pd.DataFrame) -> dict[str, float]:
    """Coefficients by least squares of relative errors; weak corrections are dropped one at a time."""
    inputs, outputs = rows["in"].to_numpy(), rows["out"].to_numpy()
    cycles = rows["est_cycles"].to_numpy()
    columns = {name: values / cycles for name, values in design(phases, inputs, outputs).items()}
    columns = {name: values for name, values in columns.items() if values.any()}
    while True:
        matrix = np.column_stack(list(columns.values()))
        inverse = np.linalg.pinv(matrix.T @ matrix, hermitian=True)
        found = inverse @ matrix.sum(axis=0)
        spread = np.sqrt(np.mean((matrix @ found - 1) ** 2) * np.diag(inverse))
        strength = {
            name: abs(value) / error if abs(value) >= SMALLEST_CYCLES else 0.0
            for name, value, error in zip(columns, found, spread, strict=True)
            if any(word in name for word in WEAK)
        }
        if not strength or min(strength.values()) >= STRONG:
            return dict(zip(columns, found.tolist(), strict=True))
        del columns[min(strength, key=strength.__getitem__)]


def entry(core: str, toolchain: str, name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """One kernel of the table, but for `per_late_input`."""
    phases = phases_of(core, toolchain, name)
    found = fit(phases, rows)
    return {
        "per_call": rounded(found["call"]),
        "phases": [_phase_entry(phase, f"{index}:", found) for index, phase in enumerate(phases)],
    }


def _phase_entry(phase: Phase, prefix: str, found: Mapping[str, float]) -> dict[str, Any]:
    """Coefficients as tables by the number of inputs."""
    step, far = phase.loops.step, LARGEST_SHORT
    near = np.arange(far + 2 * step)
    cycles = np.zeros(near.size)
    for name, values in phase.loops.features(near).items():
        cycles += found.get(prefix + name, 0.0) * np.asarray(values, np.float64)
    per_step = (cycles[far + step] - cycles[far]).item()
    origin = (cycles[far] - per_step * (far // step)).item()
    tail = cycles[far : far + step] - cycles[far]
    short = (cycles - origin - per_step * (near // step) - tail[near % step])[:far]
    return {
        "rows": phase.rows,
        "within": phase.within,
        "per_pass": rounded(found.get(prefix + (phase.name or "pass"), 0.0) + origin),
        "per_step": rounded(per_step),
        "tail": [rounded(value) for value in tail],
        "short": trimmed([rounded(value) for value in short]),
        "once": rounded(found.get(prefix + "once", 0.0)),
    }


def kernels_of(table: pd.DataFrame) -> dict[str, dict[str, dict[str, Any]]]:
    """All kernels, by core, toolchain and name."""
    kernels: dict[str, dict[str, dict[str, Any]]] = {}
    for core, toolchain in table[["core", "toolchain"]].drop_duplicates().itertuples(index=False):
        named = kernels.setdefault(core, {}).setdefault(toolchain, {})
        for name in NAMES:
            named[name] = entry(core, toolchain, name, rows_of(table, core, toolchain, name))
    for core, toolchain, name in ((c, t, n) for c in kernels for t in kernels[c] for n in LATE_FROM):
        alike = kernels["m33" if core == "m55" else core][toolchain][name]
        kernels[core][toolchain][name] = with_late_inputs(kernels[core][toolchain][name], alike, name)
    return kernels


def with_late_inputs(kernel: dict[str, Any], alike: dict[str, Any], name: str) -> dict[str, Any]:
    """With what inputs beyond LATE_FROM take: per row as much as a third single input of a kernel like it."""
    per_row = {
        phase["rows"]: (phase["tail"][3] - phase["tail"][2]) / phase["rows"] for phase in alike["phases"]
    }
    greatest = per_row[max(per_row)]
    phases = [
        {**phase, "per_late_input": rounded(phase["rows"] * per_row.get(phase["rows"], greatest))}
        if phase["per_step"]
        else phase
        for phase in kernel["phases"]
    ]
    return {"per_call": kernel["per_call"], "fast_inputs": LATE_FROM[name], "phases": phases}


def rows_of(table: pd.DataFrame, core: str, toolchain: str, name: str) -> pd.DataFrame:
    """Counted shapes of one kernel."""
    return table[
        (table["core"] == core) & (table["toolchain"] == toolchain) & (table["kernel"] == name)
    ].reset_index(drop=True)


def rounded(value: float) -> float:
    """To 6 significant digits, and nothing below a thousandth of a cycle."""
    return float(f"{value:.6g}") if abs(value) >= 1e-3 else 0.0


def trimmed(values: list[float]) -> list[float]:
    """Without the zeros at its end."""
    while values and values[-1] == 0:
        values = values[:-1]
    return values


def left_out_errors(
    core: str, toolchain: str, name: str, rows: pd.DataFrame, *, keys: pd.Series
) -> tuple[Values, list[int]]:
    """Errors (per cent) of rows whose key the fit has not seen, and keys that it cannot do without.

    Those are of sizes that alone run a loop, such as three quads in front of an unrolled loop of sixteen.
    """
    errors, needed = [], []
    phases = phases_of(core, toolchain, name)
    for key in sorted(keys.unique()):
        unseen = (keys == key).to_numpy()
        if _rank(phases, rows[~unseen]) < _rank(phases, rows):
            needed.append(int(key))
            continue
        kernel = product_kernel_of(entry(core, toolchain, name, rows[~unseen]))
        errors.append(errors_pct(kernel, rows[unseen]))
    return np.concatenate(errors), needed


def _rank(phases: tuple[Phase, ...], rows: pd.DataFrame) -> int:
    columns = design(phases, rows["in"].to_numpy(), rows["out"].to_numpy())
    return int(
        np.linalg.matrix_rank(np.column_stack(list(columns.values())) / rows[["est_cycles"]].to_numpy())
    )


def errors_pct(kernel: ProductKernel, rows: pd.DataFrame) -> Values:
    """Errors of a kernel's cycles against counted ones."""
    cycles = product_cycles(kernel, inputs=rows["in"].to_numpy(), outputs=rows["out"].to_numpy())
    return np.asarray(100 * np.abs(cycles / rows["est_cycles"].to_numpy() - 1))


def print_left_out(table: pd.DataFrame) -> None:
    """One line per kernel: errors of the fit, and with sizes left out in turn."""
    kernels = kernels_of(table)
    print("mean / worst error in %: fitted; numbers of inputs, their residues, numbers of outputs left out")
    for core, toolchain, name in ((c, t, n) for c in kernels for t in kernels[c] for n in NAMES):
        rows = rows_of(table, core, toolchain, name)
        errors = errors_pct(product_kernel_of(kernels[core][toolchain][name]), rows)
        line = f"{core} {toolchain} {name}: {errors.mean():.3f} / {errors.max():.3f}"
        for keys in (rows["in"], rows["in"] % 16, rows["out"]):
            unseen, needed = left_out_errors(core, toolchain, name, rows, keys=keys)
            line += f"; {unseen.mean():.3f} / {unseen.max():.3f}" + (f" (needs {needed})" if needed else "")
        print(line, flush=True)


def main(arguments: list[str]) -> int:
    """Writes the table, or prints how well it predicts what it has not seen."""
    table = pd.read_csv(Path(arguments[0]) / "cortexm_fc.csv")
    if "--left-out" in arguments:
        print_left_out(table)
        return 0
    target = Path(__file__).parents[2] / "hw_profiles" / "kernels" / "product.json"
    write_json(target, {"schema": SCHEMA, "source": SOURCE, "assumed": ASSUMED, "kernels": kernels_of(table)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
