"""Bytes alive in a memory over the commands of a network, tensor by tensor.

A command lasts two moments, so that what is copied ahead for the next one lies between them. Tensors that
are never alive at the same moment share memory; the compiler's allocator is taken to reach the greatest sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.lowering import LSTM_GATES, Command, Place, Tensor
from npuexplore.cost.ethos_u.pricing import Sizes
from npuexplore.cost.ethos_u.streams import BRICK_ELEMS
from npuexplore.units import round_up

Counts = NDArray[np.int64]

ALIGNMENT_BYTES = 16
"""Tensors start on 16 bytes."""
MOMENTS = 2
"""Moments of a command: while it runs, and when its last results are written."""


@dataclass(frozen=True)
class Flow:
    """Names of the tensors that a command reads and writes, as they stand in the command."""

    reads: tuple[str, ...] = ()
    writes: str = ""


@dataclass(frozen=True)
class Span:
    """A piece of memory from its first moment to its last."""

    size_bytes: Counts
    """(P,)"""
    first: int
    last: int


@dataclass(frozen=True)
class Use:
    """One command at its moment, with the names of its tensors in the whole network."""

    command: Command
    flow: Flow
    source: str
    """Name of the layer's input, which alone is as long as its inputs."""
    sizes: Sizes


def layer_flow(kind: str, *, chains: bool, commands: int = 1) -> tuple[Flow, ...]:
    """Tensors of a layer's commands, in the order of `layer_commands`; `x` comes in, `y` goes out."""
    if kind == "lstm":
        return _lstm_flow(chains=chains)
    if kind == "gru":
        return _gru_flow(chains=chains)
    if commands == 2:
        return Flow(("x",), "product"), Flow(("product",), "y")
    return (Flow(("x",), "y"),)


def _lstm_flow(*, chains: bool) -> tuple[Flow, ...]:
    flow = [Flow(("h",), "h")]
    for gate in LSTM_GATES:
        flow += _gate_flow(gate, scaled_by="i_gate" if gate == "g" else None, chains=chains)
    tail = [
        Flow(("c",), "c"),
        Flow(("c", "f_gate"), "kept"),
        Flow(("kept", "scaled"), "c"),
        Flow(("c",), "squashed"),
        Flow(("squashed", "o_gate"), "h"),
        Flow(("h",), "y"),
    ]
    return (*flow, *tail)


def _gru_flow(*, chains: bool) -> tuple[Flow, ...]:
    flow = [Flow(("h",), "h")]
    for gate in ("r", "z"):
        flow += _gate_flow(gate, scaled_by=None, chains=chains)
    tail = [
        Flow(("h",), "n_state"),
        Flow(("x",), "n_input"),
        Flow(("r_gate", "n_state"), "n_reset"),
        Flow(("n_input", "n_reset"), "n_gate"),
        Flow(("n_gate",), "n_gate") if chains else Flow(),
        Flow(("h",), "old"),
        Flow(("old", "n_gate"), "step"),
        Flow(("step", "z_gate"), "share"),
        Flow(("share", "n_gate"), "h"),
        Flow(("h",), "y"),
    ]
    return (*flow, *tail)


def _gate_flow(gate: str, *, scaled_by: str | None, chains: bool) -> list[Flow]:
    state, joined, value = f"{gate}_state", f"{gate}_input", f"{gate}_gate"
    first = Flow(("h",), state)
    if chains and scaled_by is None:
        return [first, Flow(("x", state), value), Flow(), Flow(), Flow((value,), value)]
    if chains:
        assert scaled_by is not None
        return [first, Flow(("x", state, scaled_by), "scaled"), Flow(), Flow(), Flow()]
    last = Flow((value,), value) if scaled_by is None else Flow((value, scaled_by), "scaled")
    return [first, Flow(("x",), joined), Flow((joined, state), value), Flow(), last]


def named_flow(flow: Flow, *, layer: str, source: str, target: str) -> Flow:
    """A layer's flow with names that no other layer has."""

    def named(name: str) -> str:
        return {"x": source, "y": target}.get(name, f"{layer}.{name}")

    return Flow(tuple(named(name) for name in flow.reads), named(flow.writes))


def tensor_bytes(tensor: Tensor, sizes: Sizes, *, is_input: bool) -> Counts:
    """(P,) bytes that a tensor of a layer takes."""
    elems = sizes.inputs if is_input else sizes.units
    stored = round_up(elems, BRICK_ELEMS) if tensor.bricks else elems
    width = 2 if tensor.wide else sizes.activation_bytes
    return np.asarray(round_up(stored * width * sizes.positions, ALIGNMENT_BYTES))


def tensor_spans(
    uses: Sequence[Use], *, memory: str, memories: Mapping[Place, str], without: str = ""
) -> list[Span]:
    """Spans of the tensors that lie in `memory`, over all commands in their order.

    memories : memory of each place that a tensor may be in ; without : name of a tensor to leave out
    """
    end = MOMENTS * len(uses)
    shared = _shared_rooms(uses, memory=memory, memories=memories)
    spans: dict[str, Span] = {}
    for index, use in enumerate(uses):
        for name, tensor, is_input in _tensors(use):
            if memories[tensor.place] != memory or name == without:
                continue
            room = shared.get(name, name)
            first, last = MOMENTS * index, MOMENTS * index + 1
            if tensor.place == "state":
                first, last = 0, end
            elif tensor.place == "network" and not tensor.bricks:
                first, last = (0, last) if is_input else (first, end)
            size = tensor_bytes(tensor, use.sizes, is_input=is_input)
            known = spans.get(room, Span(size, first, last))
            spans[room] = Span(
                np.maximum(known.size_bytes, size), min(known.first, first), max(known.last, last)
            )
    return list(spans.values())


def _tensors(use: Use) -> list[tuple[str, Tensor, bool]]:
    """(name, how it lies, whether it is as long as the layer's input) of a command's tensors."""
    command = use.command
    assert command.writes is not None
    read = zip(use.flow.reads, (*command.reads, *command.chained), strict=True)
    found = [(name, tensor, name == use.source) for name, tensor in read]
    return [*found, (use.flow.writes, command.writes, False)]


def _shared_rooms(uses: Sequence[Use], *, memory: str, memories: Mapping[Place, str]) -> dict[str, str]:
    """Rooms of results that are written over an operand nobody else reads."""
    readers = Counter(name for use in uses for name in use.flow.reads)
    writers = Counter(use.flow.writes for use in uses)
    shared: dict[str, str] = {}
    for use in uses:
        command, written = use.command, use.flow.writes
        if command.kind not in ("add", "mul") or writers[written] > 1 or command.writes is None:
            continue
        if command.writes.place != "scratch" or memories["scratch"] != memory:
            continue
        for name, tensor in zip(use.flow.reads, command.reads, strict=True):
            if readers[name] == 1 and tensor == command.writes:
                shared[written] = shared.get(name, name)
                break
    return shared


def most_alive(spans: Sequence[Span], plans: int) -> Counts:
    """(P,) greatest sum of sizes alive at one moment.

    >>> one, two = Span(np.array([16]), 0, 2), Span(np.array([32]), 2, 3)
    >>> most_alive([one, two, Span(np.array([8]), 3, 4)], 1)
    array([48])
    """
    if not spans:
        return np.zeros(plans, np.int64)
    alive = np.zeros((max(span.last for span in spans) + 1, plans), np.int64)
    for span in spans:
        alive[max(span.first, 0) : span.last + 1] += span.size_bytes
    return np.asarray(alive.max(axis=0))
