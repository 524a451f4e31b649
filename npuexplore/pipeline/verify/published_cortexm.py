"""Replays of published silicon: Cortex-M boards under several software stacks.

Networks of fully connected layers run through the counted kernels, with a memory factor from other boards;
only stacks with CMSIS-NN's kernels, or kernels close to them, are scored. The rows of TinyLSTMs run through
the estimator. Rows without a shape are left out by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.hardware.load import load_profile
from npuexplore.pipeline.verify.published_tinylstms import is_tinylstms, latencies
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.silicon_factors import memory_factor
from npuexplore.pipeline.verify.silicon_rows import (
    BOARDS,
    SiliconRow,
    board_of,
    fc_widths,
    full_stack,
    is_known_core,
)
from npuexplore.pipeline.verify.tables import line_of, reference_column

Entry = dict[str, Any]
REFERENCE = "latency_ms"
QUANTITIES = (
    "latency_ms",
    "latency_ms_zero_wait",
    "latency_ms_other_stacks",
    "latency_ms_at_paper_rate",
    "latency_ms_by_kernels",
)
"""Scored rows with and without factor; rows that are only printed; TinyLSTMs at the paper's rate and by our
kernels. Each covers its own rows."""


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our milliseconds, NaN where a quantity does not cover a row."""
    entries = table_rows(table, path)
    columns = {
        "latency_ms": [each["ours_ms"] if each["scored"] else None for each in entries],
        "latency_ms_zero_wait": [each["zero_wait_ms"] if each["scored"] else None for each in entries],
        "latency_ms_other_stacks": [
            None if each["scored"] or each["paper_rate_ms"] else each["ours_ms"] for each in entries
        ],
        "latency_ms_at_paper_rate": [each["paper_rate_ms"] for each in entries],
        "latency_ms_by_kernels": [each["ours_ms"] if each["paper_rate_ms"] else None for each in entries],
    }
    return {name: np.array(values, np.float64) for name, values in columns.items()}


def table_rows(table: pd.DataFrame, path: Path) -> list[Entry]:
    """What is printed of each row: device, stack, measured and ours, factor, error, and a note."""
    silicon = silicon_rows(table, path)
    return [_tinylstms(row) if is_tinylstms(row.workload) else _replayed(row, silicon) for row in silicon]


def silicon_rows(table: pd.DataFrame, path: Path) -> list[SiliconRow]:
    """The rows of a typed table."""
    measured = reference_column(table, REFERENCE, path)
    columns = zip(
        table["device"], table["core"], table["stack"], table["clock_mhz"], table["workload"], strict=True
    )
    return [
        SiliconRow(
            device=device,
            core=core,
            stack=full_stack(stack, device),
            clock_mhz=float(clock_mhz),
            workload=workload,
            measured_ms=float(measured_ms),
        )
        for (device, core, stack, clock_mhz, workload), measured_ms in zip(columns, measured, strict=True)
    ]


def usable(table: pd.DataFrame, path: Path) -> tuple[NDArray[np.bool_], list[str]]:
    """(n,) rows with a shape and a core that we know, and a sentence about each of the others."""
    reasons = [_missing(row) for _, row in table.iterrows()]
    sentences = [
        f"{path.name}:{line_of(table, place)}: {row.device}, {row.workload}, {row.stack}: {reason}"
        for place, (row, reason) in enumerate(zip(table.itertuples(), reasons, strict=True))
        if reason
    ]
    return np.array([not reason for reason in reasons]), sentences


def _missing(row: pd.Series) -> str:
    if not is_known_core(row["core"]):
        return f"not replayable, as no kernels are known for {row['core']}"
    if float(row["clock_mhz"]) <= 0:
        return "not replayable without a clock"
    if is_tinylstms(row["workload"]):
        known = board_of(row["device"]) in BOARDS.values()
        return "" if known else "not replayable, as there is no profile of the board"
    widths = fc_widths(row["workload"])
    if min(widths, default=0) < 1:
        return "not replayable, as the shape of the network is not stated"
    return ""


def _replayed(row: SiliconRow, rows: Sequence[SiliconRow]) -> Entry:
    factor, origin = memory_factor(row, [other for other in rows if fc_widths(other.workload)])
    ours = factor * row.zero_wait_ms
    entry = _entry(row, factor=factor, ours_ms=ours, zero_wait_ms=row.zero_wait_ms, note=row.note)
    return {**entry, "factor_from": origin}


def _tinylstms(row: SiliconRow) -> Entry:
    profile = board_of(row.device)
    times = latencies(row.workload, profile=profile, clock_mhz=row.clock_mhz)
    factor = getattr(load_profile(profile).engine, "memory_wait_ratio", 1.0)
    zero_wait_ms = times.kernels_ms / factor
    entry = _entry(row, factor=factor, ours_ms=times.kernels_ms, zero_wait_ms=zero_wait_ms, note=times.note)
    return {**entry, "factor_from": f"profile {profile}", "paper_rate_ms": times.paper_rate_ms}


def _entry(row: SiliconRow, *, factor: float, ours_ms: float, zero_wait_ms: float, note: str) -> Entry:
    return {
        "device": row.device,
        "board": row.board,
        "core": row.core,
        "stack": row.stack,
        "workload": row.workload,
        "measured_ms": row.measured_ms,
        "zero_wait_ms": zero_wait_ms,
        "factor": factor,
        "factor_from": "",
        "ours_ms": ours_ms,
        "error_pct": 100 * (ours_ms / row.measured_ms - 1) if row.measured_ms else 0.0,
        "scored": row.scored and not is_tinylstms(row.workload),
        "paper_rate_ms": None,
        "note": note,
    }


def labels(table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """(n,) the board of each row."""
    return {"board": np.array([board_of(device) for device in table["device"]], dtype=object)}


REPLAY = Replay(
    texts=("device", "core", "workload", "stack"),
    wholes=(),
    fractions=("clock_mhz",),
    quantities=QUANTITIES,
    groupings=(("core",), ("board",)),
    run=run,
    usable=usable,
    compared_with=dict.fromkeys(QUANTITIES, REFERENCE),
    labels=labels,
    rows=table_rows,
)
