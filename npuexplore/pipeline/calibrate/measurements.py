"""Rows of text as measurements: what ran, and how many cycles it took."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.documents.shipped import shipped_names
from npuexplore.errors import BadInput
from npuexplore.pipeline.calibrate.cells import number, positive, shown, whole
from npuexplore.pipeline.calibrate.columns import MS_OF, TIMES
from npuexplore.pipeline.calibrate.shapes import (
    KINDS,
    LARGEST_FEATURES,
    WIDTHS,
    layer_network,
    shape_network,
)
from npuexplore.pipeline.calibrate.table import Row, Table
from npuexplore.workload.load import load_network
from npuexplore.workload.network import Activation, Network, weight_elems

ACTIVATIONS = get_args(Activation)
SAME_TIME_FRAC = 0.02
"""Cycles and a time of one row that are this close are the same."""
STRUCTURES = ("dense", "weight", "block", "unit", "two_four")
SPARSE = ("weight", "block", "two_four")


@dataclass(frozen=True)
class Case:
    """What ran; two measurements of an equal case are the same measurement twice."""

    network: Network
    plan: CompressionPlan
    choice: LayerPlan
    steps: int
    memory_mode: str | None

    def __hash__(self) -> int:
        return hash((self.network, self.choice, self.steps, self.memory_mode))

    @classmethod
    def dense(cls, network: Network) -> Case:
        """A network as it is, once."""
        return cls(network, CompressionPlan(), LayerPlan(), 1, None)

    @property
    def sparse(self) -> bool:
        """Whether a sparse kernel should have run."""
        return self.choice.structure in SPARSE and self.choice.sparsity_frac > 0


@dataclass(frozen=True)
class Measurement:
    """One row."""

    row: Row
    what: str
    """The case in a few characters."""
    case: Case
    cycles: float
    clock_hz: float
    """Of the board, or else of the profile."""
    unit: str
    """What it was measured in: cycles, ms or us."""
    board: str | None
    stack: str | None
    date: str | None


def measurements_of(table: Table, *, clock_hz: float) -> list[Measurement]:
    """The measurements of a table; raises BadInput with line and column for a cell that is none.

    clock_hz : of the profile, where a row does not say its own
    """
    if len(table.rows) < 2:
        (row,) = table.rows
        raise BadInput(
            f"{row.path}:{row.line}: the only row; one measurement cannot be checked by another, add at "
            "least a second of another size"
        )
    unit = _common_unit(table.rows)
    return [_measurement(row, unit, clock_hz=clock_hz) for row in table.rows]


def _common_unit(rows: Sequence[Row]) -> str:
    """The first unit of the first row, which every row must have."""
    filled = [unit for unit in TIMES if rows[0].get(unit) is not None]
    present = [unit for unit in TIMES if unit in rows[0].headers]
    if not filled:
        rows[0].refuse(present[0], "empty; give a measurement in every row")
    for row in rows[1:]:
        if row.get(filled[0]) is None:
            others = [unit for unit in TIMES if row.get(unit) is not None]
            problem = "empty; give a measurement in every row"
            if others:
                problem = (
                    f"empty, and {row.headers[others[0]]} is filled, while line {rows[0].line} is in "
                    f"{filled[0]}; give one unit in all rows"
                )
            row.refuse(filled[0], problem)
    return filled[0]


def _measurement(row: Row, unit: str, *, clock_hz: float) -> Measurement:
    own_hz = _clock(row, clock_hz)
    what, case = _case(row)
    return Measurement(
        row=row,
        what=what,
        case=case,
        cycles=_cycles(row, unit, own_hz),
        clock_hz=own_hz,
        unit=unit,
        board=row.get("board"),
        stack=row.get("stack"),
        date=row.get("date"),
    )


def _cycles(row: Row, unit: str, clock_hz: float) -> float:
    """Cycles of a row; what other units say must agree."""
    figures = {
        name: positive(row, name) * (1.0 if name == "cycles" else MS_OF[name] * clock_hz / 1e3)
        for name in TIMES
        if row.get(name) is not None
    }
    cycles = figures[unit]
    for name, other in figures.items():
        if abs(other - cycles) > SAME_TIME_FRAC * cycles:
            row.refuse(
                name,
                f"got {row.get(name)}, which is {other:,.0f} cycles at {clock_hz / 1e6:g} MHz, but "
                f"{row.headers[unit]} {row.get(unit)} is {cycles:,.0f}; correct one or the clock",
            )
    return cycles


def _clock(row: Row, default_hz: float) -> float:
    for meaning, hz in (("clock_hz", 1.0), ("clock_mhz", 1e6)):
        if row.get(meaning) is not None:
            value = positive(row, meaning) * hz
            if not 1e5 <= value <= 1e10:
                row.refuse(meaning, f"got {row.get(meaning)}; a clock of {value / 1e6:g} MHz is no core's")
            return value
    return default_hz


def _case(row: Row) -> tuple[str, Case]:
    kind, widths = _kind(row)
    if kind == "network":
        what, network = _network(row)
    else:
        network, what = _layer(row, kind)
    _check_macs(row, network)
    choice = _choice(row, widths)
    steps = whole(row, "steps", 1_000_000) if row.get("steps") is not None else 1
    if steps < 1:
        row.refuse("steps", f"got {row.get('steps')}; give the frames or time steps, 1 or more")
    return (
        what + _remark(choice, steps),
        Case(network, uniform_plan(network, choice), choice, steps, row.get("memory_mode")),
    )


def _kind(row: Row) -> tuple[str, dict[str, int]]:
    """The kind of a row, and the bits that its name tells; a row that names a network is one."""
    text = row.get("kind")
    if text is None:
        if row.get("network") is None:
            row.refuse("kind", "empty; write fc, lstm, gru or network")
        return "network", {}
    match = re.fullmatch(r"([a-z_ -]+?)(_s4|_s8|_s16)?", text.strip().lower())
    name = re.sub(r"[ -]+", "_", match[1]) if match else ""
    if name not in KINDS:
        row.refuse("kind", f"got {shown(text)}; allowed: fc (or dense), lstm, gru, network")
    return KINDS[name], dict(WIDTHS[match[2] or ""]) if match else {}


def _network(row: Row) -> tuple[str, Network]:
    text = row.get("network")
    if text is None:
        row.refuse("network", "empty; give a network's name, its YAML file, or a shape such as 640-128x4-8")
    if text in shipped_names("networks"):
        return text, load_network(text)
    if text.endswith((".yaml", ".yml")):
        beside = Path(row.path).parent / text
        try:
            found = load_network(beside if beside.is_file() else text)
        except BadInput as error:
            row.refuse("network", str(error))
        return found.name, found
    shape = shape_network(text)
    if shape is None:
        row.refuse(
            "network",
            f"got {shown(text)}; give a shipped network ({', '.join(shipped_names('networks'))}), a YAML "
            "file, or a shape such as 640-128x4-8-128x4-640, or select other rows with --where",
        )
    return f"network {shape.bands}-...-{shape.layers[-1].output_features}", shape  # type: ignore[union-attr]


def _layer(row: Row, kind: str) -> tuple[Network, str]:
    inputs, outputs = (whole(row, name, LARGEST_FEATURES) for name in ("inputs", "outputs"))
    for name, value in (("inputs", inputs), ("outputs", outputs)):
        if value < 1:
            row.refuse(name, f"got {value}; give 1 to {LARGEST_FEATURES}")
    activation = (row.get("activation") or "none").lower()
    if activation not in ACTIVATIONS:
        row.refuse("activation", f"got {shown(activation)}; allowed: {', '.join(ACTIVATIONS)}")
    if kind != "dense" and activation != "none":
        row.refuse("activation", f"got {shown(activation)}; an {kind} has its own, leave it empty")
    if (row.get("structure") or "").lower() == "unit":
        row.refuse("structure", "a layer that has lost units is a smaller one; write its sizes, and dense")
    network = layer_network(kind, inputs=inputs, outputs=outputs, activation=activation)
    return network, f"{'fc' if kind == 'dense' else kind} {inputs}->{outputs}"


def _choice(row: Row, widths: dict[str, int]) -> LayerPlan:
    sparsity = _sparsity(row)
    block = _block(row)
    given = (row.get("structure") or "").lower().replace(":", "_").replace("2_4", "two_four")
    structure = given or ("block" if block else "weight" if sparsity else "dense")
    if structure not in STRUCTURES:
        row.refuse("structure", f"got {shown(row.get('structure') or '')}; allowed: {', '.join(STRUCTURES)}")
    if structure in ("weight", "block", "unit") and sparsity is None:
        row.refuse("structure", f"{structure}, but how sparse? add a column sparsity with the share of zeros")
    choice: dict[str, Any] = {
        "structure": structure,
        "block": block or ((1, 16) if structure == "block" else None),
        **({"sparsity_frac": sparsity} if sparsity is not None else {}),
        **widths,
    }
    for name in ("weight_bits", "activation_bits"):
        if row.get(name) is not None:
            choice[name] = whole(row, name, 16)
    try:
        return LayerPlan.model_validate(choice)
    except ValidationError as error:
        first = error.errors()[0]
        place = str(first["loc"][0]) if first["loc"] else "structure"
        problem = first["msg"].removeprefix("Value error, ")
        row.refuse("sparsity_frac" if place == "sparsity" else place, problem[0].lower() + problem[1:])


def _sparsity(row: Row) -> float | None:
    for meaning, scale in (("sparsity_frac", 1.0), ("sparsity_pct", 0.01)):
        if row.get(meaning) is not None:
            value = number(row, meaning) * scale
            if not 0 <= value < 1:
                row.refuse(
                    meaning,
                    f"got {row.get(meaning)}; give zeros/total from 0 to below 1 (a column of per cent is "
                    "called sparsity_pct)",
                )
            return value
    return None


def _block(row: Row) -> tuple[int, int] | None:
    text = row.get("block")
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,2})\s*[xX]\s*([1-9][0-9]{0,2})", text)
    if match is None:
        row.refuse("block", f"got {shown(text)}; write outputs x inputs, as 1x16 or 4x4")
    return int(match[1]), int(match[2])


def _check_macs(row: Row, network: Network) -> None:
    """A shape that was read wrongly shows in its MACs."""
    if row.get("macs") is None:
        return
    stated, ours = number(row, "macs"), weight_elems(network)
    if abs(stated - ours) > 0.01 * ours and row.get("steps") is None:
        row.refuse("macs", f"got {stated:,.0f}, but the shape makes {ours:,}; correct one of the two")


def _remark(choice: LayerPlan, steps: int) -> str:
    words = []
    if choice.structure != "dense":
        pattern = "x".join(map(str, choice.block)) if choice.block else choice.structure
        words.append(f"{pattern} {100 * choice.sparsity_frac:g}%")
    if (choice.weight_bits, choice.activation_bits) != (8, 8):
        words.append(f"w{choice.weight_bits} a{choice.activation_bits}")
    if steps > 1:
        words.append(f"{steps} steps")
    return "".join(f", {word}" for word in words)
