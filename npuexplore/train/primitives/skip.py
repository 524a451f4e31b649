"""Skipping state updates: a binary gate that holds the state of some rows of a batch (Campos 2018).

u~ grows by D = sigmoid(w h + b) until it rounds to 1; then the state is updated and u~ starts anew at D:
u = [u~ >= 1/2], u~' = u D + (1 - u) (u~ + min(D, 1 - u~)). It is 1 before the first frame. D is taken from
the state after the frame, so that a skipped frame needs no product. Rounding has the identity's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.train.primitives.workspace import Workspace, aligned_empty
from npuexplore.units import FloatArray

Rows = NDArray[np.intp]


class Updates:
    """Which rows of a batch update their state at which frame, and the cotangents of that.

    The layer that decides fills `taken`; every layer that follows adds to `pull`, and so may a penalty on the
    rate, between the forward and the backward pass. The deciding layer comes first in the chain, so that it
    runs backwards last.
    """

    def __init__(self, taken: FloatArray | None = None) -> None:
        self.taken: FloatArray = np.empty((0, 0), np.float32) if taken is None else taken
        """(T, B), 1 where the state is updated, 0 where it is held."""
        self.pull: FloatArray = np.zeros_like(self.taken)
        """(T, B)"""

    def begin(self, frames: int, batch: int, dtype: np.dtype[Any]) -> None:
        """Make room for a forward pass that decides."""
        self.taken, self.pull = np.ones((frames, batch), dtype), np.zeros((frames, batch), dtype)

    def held(self, frame: int) -> Rows:
        """Rows that keep their state at a frame."""
        return np.flatnonzero(self.taken[frame] == 0.0)


@dataclass(frozen=True)
class Skip:
    """How a layer skips: by its own gate where `weights` are given, else where `updates` says so."""

    updates: Updates
    weights: Any = None
    """(H,)"""
    bias: Any = None
    """()"""

    @property
    def arguments(self) -> tuple[Any, Any]:
        """What can be differentiated."""
        return self.weights, self.bias


@dataclass(frozen=True)
class Gate:
    """The gate's values over one forward pass."""

    level: FloatArray
    """(T + 1, B) u~ before each frame."""
    growth: FloatArray
    """(T, B) D after each frame."""


def gate_buffers(workspace: Workspace, frames: int, batch: int, dtype: np.dtype[Any]) -> Gate:
    """Room for a forward pass."""
    return Gate(
        workspace.array("gate level", (frames + 1, batch), dtype),
        workspace.array("gate growth", (frames, batch), dtype),
    )


def advance_gate(gate: Gate, updates: Updates, frame: int, hidden: FloatArray, half: FloatArray) -> None:
    """D after a frame, and whether the next one updates; half : (H + 1,) half the weights and the bias."""
    growth, level, taken = gate.growth[frame], gate.level[frame], updates.taken[frame]
    np.matmul(hidden, half[:-1], out=growth)
    growth += half[-1]
    np.tanh(growth, out=growth)
    growth *= 0.5
    growth += 0.5
    grown = np.minimum(level + growth, 1.0)
    np.copyto(grown, growth, where=taken != 0.0)
    gate.level[frame + 1] = grown
    if frame + 1 < len(updates.taken):
        np.greater_equal(grown, 0.5, out=updates.taken[frame + 1], casting="unsafe")


def hold(now: FloatArray, before: FloatArray, candidates: FloatArray, rows: Rows) -> None:
    """Put `rows` of a state back to what they were; what they would have become goes to `candidates`."""
    candidates[rows] = now[rows]
    now[rows] = before[rows]


def update_pull(
    d_state: FloatArray, now: FloatArray, before: FloatArray, candidates: FloatArray, rows: Rows
) -> FloatArray:
    """(B,) cotangent of u: the state's cotangent times what an update changes, or would have changed."""
    pull: FloatArray = np.einsum("bh,bh->b", d_state, now - before)
    if rows.size:
        pull[rows] = np.einsum("bh,bh->b", d_state[rows], candidates[rows] - before[rows])
    return pull


class GateBack:
    """Cotangents of the gate on their way back through time."""

    def __init__(self, gate: Gate, updates: Updates, weights: FloatArray) -> None:
        self._gate, self._updates, self._weights = gate, updates, weights
        self._level = np.zeros_like(gate.level[0])
        self._linear = aligned_empty(gate.growth.shape, gate.growth.dtype)
        self._open = np.zeros_like(gate.level[0])

    def into_state(self, frame: int, d_hidden: FloatArray) -> None:
        """Add to d_hidden (B, H) what the gate after the frame asks of the state."""
        growth, level, taken = self._gate.growth[frame], self._gate.level[frame], self._updates.taken[frame]
        np.multiply(1.0 - taken, growth <= 1.0 - level, out=self._open)
        d_linear = np.multiply(self._level, taken + self._open, out=self._linear[frame])
        d_linear *= growth - growth * growth
        d_hidden += d_linear[:, None] * self._weights

    def into_level(self, frame: int, d_taken: FloatArray) -> None:
        """Step to the level before the frame; d_taken (B,) is what the states ask of u."""
        growth, level = self._gate.growth[frame], self._gate.level[frame]
        d_taken += self._updates.pull[frame]
        d_taken += self._level * (growth - np.minimum(level + growth, 1.0))
        self._level *= self._open
        self._level += d_taken

    def gradients(self, hidden: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Of the weights (H,) and the bias (); hidden : (T, B, H) after each frame."""
        flat = self._linear.reshape(-1)
        return flat @ hidden.reshape(flat.size, -1), np.asarray(flat.sum(dtype=flat.dtype))


class Skipping:
    """Holds the states of a running forward pass in the frames that are skipped."""

    def __init__(
        self,
        updates: Updates,
        states: Sequence[FloatArray],
        candidates: FloatArray,
        gate: tuple[Any, Any],
        workspace: Workspace,
    ) -> None:
        """states : rings (.., B, H) of S states, hidden (T + 1, B, H) first ; candidates : (.., S, B, H)."""
        self._updates, self._states, self._candidates = updates, states, candidates
        self._gate: Gate | None = None
        weights, bias = gate
        if weights is not None:
            frames, batch, dtype = states[0].shape[0] - 1, states[0].shape[1], states[0].dtype
            updates.begin(frames, batch, dtype)
            self._gate = gate_buffers(workspace, frames, batch, dtype)
            self._gate.level[0] = 1.0
            self._half = (0.5 * np.append(weights, bias)).astype(dtype)

    def step(self, frame: int) -> None:
        """Hold the rows that the frame does not update, and decide about the next frame."""
        rows = self._updates.held(frame)
        if rows.size:
            kept = self._candidates[frame % len(self._candidates)]
            for ring, candidates in zip(self._states, kept, strict=True):
                hold(ring[(frame + 1) % len(ring)], ring[frame % len(ring)], candidates, rows)
        if self._gate is not None:
            advance_gate(self._gate, self._updates, frame, self._states[0][frame + 1], self._half)


class SkippingBack:
    """The cotangents that go around the cell where rows are held, and the gate's own."""

    def __init__(
        self,
        updates: Updates,
        states: Sequence[FloatArray],
        candidates: FloatArray,
        gate: tuple[Any, Any],
        workspace: Workspace,
    ) -> None:
        """As for `Skipping`, every ring as long as the sequence."""
        self._updates, self._states, self._candidates = updates, states, candidates
        self._gate: GateBack | None = None
        if gate[0] is not None:
            buffers = gate_buffers(workspace, states[0].shape[0] - 1, states[0].shape[1], states[0].dtype)
            self._gate = GateBack(buffers, updates, gate[0])

    def before_step(self, frame: int, d_states: Sequence[FloatArray]) -> None:
        """Take out of d_states, cotangents (B, H) of the states after a frame, what held rows pass around."""
        rows = self._updates.held(frame)
        if self._gate is not None:
            self._gate.into_state(frame, d_states[0])
        pulls = [
            update_pull(d_state, state[frame + 1], state[frame], candidates, rows)
            for d_state, state, candidates in zip(
                d_states, self._states, self._candidates[frame], strict=True
            )
        ]
        if self._gate is None:
            self._updates.pull[frame] += sum(pulls)
        else:
            self._gate.into_level(frame, np.add.reduce(pulls))
        self._rows, self._around = rows, [d_state[rows] for d_state in d_states]
        for d_state in d_states:
            d_state[rows] = 0.0

    def after_step(self, d_states: Sequence[FloatArray]) -> None:
        """Give it to the cotangents of the states before the frame."""
        for d_state, around in zip(d_states, self._around, strict=True):
            d_state[self._rows] += around

    def gradients(self) -> tuple[FloatArray, FloatArray] | tuple[()]:
        """Of the gate's weights and bias, where the layer has one."""
        return () if self._gate is None else self._gate.gradients(self._states[0][1:])
