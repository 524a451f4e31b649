"""What layers become: lists of commands between tensors, as Arm's compiler Vela orders them.

An LSTM step is 27 commands, gates in the order o, i, cell, f. Vela has no GRU; its step is composed of the
same commands, reset after the recurrent product.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from npuexplore.hardware.ethos_u import EthosU, EthosU85

Kind = Literal["product", "copy", "activation", "add", "mul", "folded"]
Place = Literal["network", "state", "scratch"]
Fused = Literal["none", "relu", "lut"]


@dataclass(frozen=True)
class Tensor:
    """Where and how a vector lies."""

    wide: bool
    """16 bits at any width of activations; else as wide as activations are."""
    bricks: bool
    place: Place


@dataclass(frozen=True)
class Command:
    """One command of a layer's list; commands that compare equal cost the same."""

    kind: Kind
    reads: tuple[Tensor, ...] = ()
    writes: Tensor | None = None
    from_state: bool = False
    """Whether a product's columns are the state's."""
    fused: Fused = "none"
    """Activation function that ends the command."""
    chained: tuple[Tensor, ...] = ()
    """Second operands of element-wise commands that an Ethos-U85 runs in the same pass."""
    loads_table: bool = False
    """Whether the look-up's table has to be fetched first."""
    gate: str = field(default="", compare=False)


INPUT = Tensor(wide=False, bricks=False, place="network")
OUTPUT = INPUT
HIDDEN = Tensor(wide=False, bricks=False, place="state")
CELL = Tensor(wide=True, bricks=False, place="state")
VALUE = Tensor(wide=True, bricks=True, place="scratch")
"""A gate's value on its way."""

LSTM_GATES = ("o", "i", "g", "f")
TABLE_BYTES = 2_048
"""Table of a 16-bit look-up."""


def layer_commands(
    engine: EthosU, kind: str, *, source: Tensor, target: Tensor, fused: Fused, wide: bool = False
) -> tuple[Command, ...]:
    """The list that a layer of a kind becomes.

    fused : activation of one that is not recurrent ; wide : whether activations have 16 bits, whose
    look-ups need a command of their own
    """
    if kind == "lstm":
        return lstm_commands(engine, source=source, target=target)
    if kind == "gru":
        return gru_commands(engine, source=source, target=target)
    if wide and fused == "lut":
        chains = isinstance(engine, EthosU85)
        look_up = Command("activation", (VALUE,), target, loads_table=chains)
        return Command("product", (source,), VALUE), look_up
    return (Command("product", (source,), target, fused=fused),)


def lstm_commands(engine: EthosU, *, source: Tensor = INPUT, target: Tensor = OUTPUT) -> tuple[Command, ...]:
    """The 27 commands of an LSTM step."""
    chains = isinstance(engine, EthosU85)
    commands = [Command("copy", (HIDDEN,), HIDDEN)]
    for gate in LSTM_GATES:
        commands += _gate(gate, source, chains=chains, scaled_by=VALUE if gate == "g" else None)
    commands += [
        Command("copy", (CELL,), CELL),
        Command("mul", (CELL, VALUE), VALUE),
        Command("add", (VALUE, VALUE), CELL),
        Command("activation", (CELL,), VALUE, loads_table=chains),
        Command("mul", (VALUE, VALUE), HIDDEN),
        Command("copy", (HIDDEN,), target),
    ]
    return tuple(commands)


def gru_commands(engine: EthosU, *, source: Tensor = INPUT, target: Tensor = OUTPUT) -> tuple[Command, ...]:
    """The commands of a reset-after GRU step: r, z, n, then h = n + z (h - n)."""
    chains = isinstance(engine, EthosU85)
    commands = [Command("copy", (HIDDEN,), HIDDEN)]
    for gate in ("r", "z"):
        commands += _gate(gate, source, chains=chains, scaled_by=None)
    commands += [
        Command("product", (HIDDEN,), VALUE, from_state=True, gate="n"),
        Command("product", (source,), VALUE, gate="n"),
        Command("mul", (VALUE, VALUE), VALUE),
        Command("add", (VALUE, VALUE), VALUE, fused="none" if chains else "lut"),
        Command("activation", (VALUE,), VALUE, loads_table=True) if chains else Command("folded"),
        Command("copy", (HIDDEN,), VALUE),
        Command("add", (VALUE, VALUE), VALUE),
        Command("mul", (VALUE, VALUE), VALUE),
        Command("add", (VALUE, VALUE), HIDDEN),
        Command("copy", (HIDDEN,), target),
    ]
    return tuple(commands)


def later_step_commands(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """Commands of a step after the first: the state is at hand and need not be copied in."""
    return tuple(
        command
        for command in commands
        if not (command.kind == "copy" and command.reads == (command.writes,) and _is_state(command))
    )


def _is_state(command: Command) -> bool:
    return command.writes is not None and command.writes.place == "state"


def _gate(gate: str, source: Tensor, *, chains: bool, scaled_by: Tensor | None) -> list[Command]:
    """A gate's commands: two products joined, looked up, then clamped, or scaled by another gate."""
    state = Command("product", (HIDDEN,), VALUE, from_state=True, gate=gate)
    if chains:
        chained = (VALUE,) if scaled_by is None else (VALUE, scaled_by)
        joined = [Command("product", (source,), VALUE, chained=chained, gate=gate), Command("folded")]
        last = Command("activation", (VALUE,), VALUE) if scaled_by is None else Command("folded")
    else:
        joined = [
            Command("product", (source,), VALUE, gate=gate),
            Command("add", (VALUE, VALUE), VALUE, fused="lut"),
        ]
        last = (
            Command("activation", (VALUE,), VALUE)
            if scaled_by is None
            else Command("mul", (VALUE, scaled_by), VALUE)
        )
    return [state, *joined, Command("folded"), last]
