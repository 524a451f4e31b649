"""`vela_lstm.csv`: the commands of LSTM layers, step by step, as Arm's compiler Vela estimates them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.commands import CommandCycles
from npuexplore.cost.ethos_u.lowering import Command, later_step_commands, lstm_commands
from npuexplore.cost.ethos_u.pricing import Placement, Sizes, price
from npuexplore.cost.ethos_u.staging import table_cycles
from npuexplore.cost.ethos_u.streams import access_cycles
from npuexplore.errors import BadInput
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.pipeline.verify.replay import Ours, Replay
from npuexplore.pipeline.verify.tables import line_of
from npuexplore.pipeline.verify.vela_fc import PARTS, fast, two_four
from npuexplore.pipeline.verify.vela_lstm_steps import LstmSchedules, gate_weights
from npuexplore.pipeline.verify.vela_parts import (
    MEMORY_COLUMNS,
    PLACE_COLUMNS,
    Place,
    known_structures,
    placement_of,
    places,
    slice_bounds,
)
from npuexplore.pipeline.verify.vela_products import (
    Figures,
    ProductRows,
    command_figures,
    product_figures,
    slack_after_products,
)

QUANTITIES = ("npu_cycles", "op_cycles", *MEMORY_COLUMNS, *PARTS)
CASE_COLUMNS = (
    *PLACE_COLUMNS,
    "in_features",
    "hidden",
    "time_steps",
    "structure",
    "sparsity",
    "bits",
    "seed",
)


@dataclass(frozen=True)
class _Run:
    """Rows of one place and one command of the list."""

    engine: EthosU
    placement: Placement
    command: Command
    rows: NDArray[np.intp]


def run(table: pd.DataFrame, path: Path) -> Ours:
    """Our figures for every row."""
    known_structures(table, path)
    bounds = slice_bounds(table, path, outputs="hidden")
    runs = [each for place in places(table, path) for each in _runs(table, place, path)]
    slack = _slack(table, runs, bounds)
    ours = {name: np.zeros(len(table), np.int64) for name in QUANTITIES}
    for each in runs:
        for name, values in _figures(table, each, bounds, slack[each.rows]).items():
            if name in ours:
                ours[name][each.rows] = values
    for place in places(table, path):
        if place.route.network_io != place.route.activations:
            _scheduled(table, place, ours)
    return ours


def _scheduled(table: pd.DataFrame, place: Place, ours: dict[str, NDArray[np.int64]]) -> None:
    """Overwrites cycles by those of whole layers, where it is their compiler that moves things."""
    schedules, here = LstmSchedules(), table.iloc[place.rows]
    for positions in here.groupby(list(CASE_COLUMNS), sort=False).indices.values():
        costs = schedules.costs(place.engine, place.route, here.iloc[int(positions[0])])
        for position in positions:
            row, cost = int(place.rows[position]), costs[int(here["op_index"].iloc[position])]
            if cost is None:
                continue
            ours["npu_cycles"][row], ours["op_cycles"][row] = cost.npu_cycles[0], cost.op_cycles[0]
            if cost.staged is not None and cost.staged.chosen[0]:
                one = _Run(place.engine, placement_of(place.route), cost.step.command, place.rows[[position]])
                parts = _cycles(table, one)
                ours["mac_cycles"][row], ours["cmd_cycles"][row] = parts.mac[0], parts.issue[0]
            for name in place.route.memories:
                busy = cost.memory_cycles.get(name)
                ours[f"{name}_access_cycles"][row] = 0 if busy is None else busy[0]


def _runs(table: pd.DataFrame, place: Place, path: Path) -> list[_Run]:
    first = lstm_commands(place.engine)
    later = later_step_commands(first)
    index, steps = (table[name].to_numpy()[place.rows] for name in ("op_index", "time_steps"))
    beyond = index >= len(first) + len(later) * (steps - 1)
    if beyond.any():
        row = int(place.rows[int(np.argmax(beyond))])
        raise BadInput(
            f"{path}:{line_of(table, row)}: op_index: got {table['op_index'].iloc[row]}; a layer of "
            f"{table['time_steps'].iloc[row]} steps has {len(first)} commands in the first and "
            f"{len(later)} in every other"
        )
    position = np.where(index < len(first), index, len(first) + (index - len(first)) % len(later))
    placement = placement_of(place.route)
    return [
        _Run(place.engine, placement, command, place.rows[position == number])
        for number, command in enumerate((*first, *later))
        if (position == number).any()
    ]


def _slack(table: pd.DataFrame, runs: list[_Run], bounds: list[tuple[int, ...]]) -> NDArray[np.int64]:
    """(n,) cycles of the command that runs before each row's, under which transfers hide; 0 for the first."""
    after = np.zeros(len(table), np.int64)
    executed = np.ones(len(table), np.bool_)
    for each in runs:
        if each.command.kind == "product":
            rows = _product_rows(table, each, bounds, np.zeros(each.rows.size, np.int64))
            after[each.rows] = slack_after_products(each.engine, each.command, rows, each.placement)
        else:
            after[each.rows] = _cycles(table, each).npu
        executed[each.rows] = each.command.kind != "folded"
    columns = {name: table[name] for name in (*CASE_COLUMNS, "op_index")}
    ordered = pd.DataFrame({**columns, "after": np.where(executed, after, -1)})
    ordered = ordered.sort_values([*CASE_COLUMNS, "op_index"], kind="stable")
    ordered["after"] = ordered["after"].where(ordered["after"] >= 0)
    before = ordered.groupby(list(CASE_COLUMNS), sort=False)["after"].transform(lambda s: s.ffill().shift())
    return np.asarray(before.sort_index().fillna(0).to_numpy(np.int64))


def _figures(
    table: pd.DataFrame, each: _Run, bounds: list[tuple[int, ...]], slack: NDArray[np.int64]
) -> Figures:
    if each.command.kind == "product":
        rows = _product_rows(table, each, bounds, slack)
        return product_figures(each.engine, each.command, rows, each.placement)
    placement = replace(each.placement, staging=None)
    priced = price(each.engine, each.command, _sizes(table, each), placement)
    busy = access_cycles(each.engine, priced.streams, placement.memories)
    npu = priced.cycles.npu
    if each.command.loads_table:
        source = placement.memories[placement.weights]
        npu = npu + np.maximum(table_cycles(each.engine, source=source) - slack, 0)
    return command_figures(priced.cycles, npu, busy)


def _cycles(table: pd.DataFrame, each: _Run) -> CommandCycles:
    return price(each.engine, each.command, _sizes(table, each), each.placement).cycles


def _sizes(table: pd.DataFrame, each: _Run) -> Sizes:
    here = table.iloc[each.rows]
    inputs = here["in_features"].to_numpy()
    return Sizes(
        inputs=inputs,
        units=here["hidden"].to_numpy(),
        activation_bytes=np.ones_like(inputs),
        two_four=two_four(here["weight_format"]),
    )


def _product_rows(
    table: pd.DataFrame, each: _Run, bounds: list[tuple[int, ...]], slack: NDArray[np.int64]
) -> ProductRows:
    here = table.iloc[each.rows]
    slices = [bounds[row] for row in each.rows]
    return ProductRows(
        sizes=_sizes(table, each),
        encoded=here["weight_bytes"].to_numpy(),
        fast=fast(here["weight_format"]),
        slices=slices,
        staged=np.array([len(one) > 2 for one in slices]),
        matrix=lambda index: gate_weights(
            here.iloc[index], each.command.gate, from_state=each.command.from_state
        ),
        slack=slack,
    )


REPLAY = Replay(
    texts=(*PLACE_COLUMNS, "structure", "weight_format", "ofm_depth_slices"),
    wholes=("in_features", "hidden", "time_steps", "bits", "seed", "op_index", "weight_bytes"),
    fractions=("sparsity",),
    quantities=QUANTITIES,
    groupings=(PLACE_COLUMNS, ("weight_buffering",), ("operator",)),
    run=run,
)
