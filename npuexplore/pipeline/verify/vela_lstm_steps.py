"""LSTM layers of `vela_lstm.csv` scheduled whole, where tensors lie in two memories and weights move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.lowering import LSTM_GATES, later_step_commands, lstm_commands
from npuexplore.cost.ethos_u.pricing import Sizes
from npuexplore.cost.ethos_u.real_weights import RealWeights
from npuexplore.cost.ethos_u.schedule import Cost, Layer, Step, layer_steps, step_costs
from npuexplore.cost.traffic import Route
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.pipeline.verify.weights import recorded_weights

GATE_SEEDS = {"i": 0, "f": 1, "g": 2, "o": 3}
"""Seeds of the recorded weights, counted from the row's seed."""
STATE_SEED = 10
"""Added for recurrent weights."""

Matrix = NDArray[np.int8]


@dataclass
class LstmSchedules:
    """Schedules of recorded layers; what was encoded once serves every part."""

    known: dict[tuple[object, ...], int] = field(default_factory=dict)

    def costs(self, engine: EthosU, route: Route, case: pd.Series) -> list[Cost | None]:
        """Costs by `op_index`; None for commands that another one runs in its pass."""
        layer = _layer(case)
        columns = ("in_features", "hidden", "structure", "sparsity", "bits", "seed")
        weights = RealWeights(
            engine,
            [layer],
            {
                (0, gate, state): gate_weights(case, gate, from_state=state)
                for gate in LSTM_GATES
                for state in (False, True)
            },
            known=self.known,
            name=str([case[name] for name in columns]),
        )
        steps, listed = _steps(engine, route, layer, int(case["time_steps"]))
        found = iter(step_costs(engine, route, [layer], steps, weights))
        return [next(found) if runs else None for runs in listed]


def gate_weights(case: pd.Series, gate: str, *, from_state: bool) -> Matrix:
    """The recorded weights of one matrix of a gate."""
    return recorded_weights(
        int(case["hidden"]),
        int(case["hidden" if from_state else "in_features"]),
        structure=case["structure"],
        sparsity=float(case["sparsity"]),
        bits=int(case["bits"]),
        seed=int(case["seed"]) + GATE_SEEDS[gate] + STATE_SEED * from_state,
    )


def _layer(case: pd.Series) -> Layer:
    sizes = Sizes(
        inputs=np.array([case["in_features"]], np.int64),
        units=np.array([case["hidden"]], np.int64),
        activation_bytes=np.ones(1, np.int64),
        two_four=np.zeros(1, np.bool_),
    )
    return Layer("lstm", sizes)


def _steps(engine: EthosU, route: Route, layer: Layer, time_steps: int) -> tuple[list[Step], list[bool]]:
    """(commands that run, for every listed command whether it does)."""
    first = layer_steps(engine, route, layer, index=0, first=True, last=True)
    kept = iter(later_step_commands(tuple(step.command for step in first)))
    later = list(_matching(first, list(kept)))
    commands = lstm_commands(engine)
    runs = [command.kind != "folded" for command in commands]
    again = [command.kind != "folded" for command in later_step_commands(commands)]
    return first + later * (time_steps - 1), runs + again * (time_steps - 1)


def _matching(steps: list[Step], commands: list[object]) -> Iterator[Step]:
    """The steps of some of the commands, in their order."""
    position = 0
    for step in steps:
        if position < len(commands) and step.command is commands[position]:
            yield step
            position += 1
