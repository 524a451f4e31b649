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
        self._held: dict[int, Rows] = {}

    def begin(self, frames: int, batch: int, dtype: np.dtype[Any]) -> None:
        """Make room for a forward pass that decides."""
        self.taken, self.pull = np.ones((frames, batch), dtype), np.zeros((frames, batch), dtype)
        self._held.clear()

    def held(self, frame: int) -> Rows:
        """Rows that keep their state at a frame that has been decided."""
        if frame not in self._held:
            self._held[frame] = (self.taken[frame] == 0.0).nonzero()[0]
        return self._held[frame]


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


class GateBack:
    """Cotangents of the gate on their way back through time."""

    def __init__(self, gate: Gate, taken: FloatArray, weights: FloatArray) -> None:
        before, grown = gate.level[:-1], gate.level[:-1] + gate.growth
        self._open = np.multiply(1.0 - taken, grown <= 1.0, dtype=grown.dtype)
        self._slope = (taken + self._open) * (gate.growth - gate.growth * gate.growth)
        self._by_update = gate.growth - np.minimum(grown, 1.0)
        self._weights = weights
        self._level = np.zeros_like(before[0])
        self._linear = aligned_empty(gate.growth.shape, gate.growth.dtype)

    def into_state(self, frame: int, d_hidden: FloatArray) -> None:
        """Add to d_hidden (B, H) what the gate after the frame asks of the state."""
        d_linear = np.multiply(self._level, self._slope[frame], out=self._linear[frame])
        d_hidden += d_linear[:, None] * self._weights

    def into_level(self, frame: int, d_taken: FloatArray) -> None:
        """Step to the level before the frame; d_taken (B,) is what is asked of u."""
        d_taken += self._level * self._by_update[frame]
        self._level *= self._open[frame]
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
        changes: FloatArray,
        gate: tuple[Any, Any],
        workspace: Workspace,
    ) -> None:
        """states : rings (.., B, H), hidden (T + 1, B, H) first ; changes : ring (.., S, B, H) to fill."""
        self._updates, self._states, self._changes = updates, states, changes
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
        for ring, change in zip(self._states, self._changes[frame % len(self._changes)], strict=True):
            now, before = ring[(frame + 1) % len(ring)], ring[frame % len(ring)]
            np.subtract(now, before, out=change)
            now[rows] = before.take(rows, axis=0)
        if self._gate is not None:
            advance_gate(self._gate, self._updates, frame, self._states[0][frame + 1], self._half)


class SkippingBack:
    """The cotangents that go around the cell where rows are held, and the gate's own."""

    def __init__(
        self,
        updates: Updates,
        hidden: FloatArray,
        changes: FloatArray,
        gate: tuple[Any, Any],
        workspace: Workspace,
    ) -> None:
        """hidden : (T + 1, B, H) ; changes : (T, S, B, H) as `Skipping` left them."""
        self._updates, self._hidden, self._changes = updates, hidden, changes
        self._gate: GateBack | None = None
        if gate[0] is not None:
            buffers = gate_buffers(workspace, hidden.shape[0] - 1, hidden.shape[1], hidden.dtype)
            self._gate = GateBack(buffers, updates.taken, gate[0])

    def before_step(self, frame: int, d_states: Sequence[FloatArray]) -> None:
        """Take out of d_states, cotangents (B, H) of the states after a frame, what held rows pass around."""
        if self._gate is not None:
            self._gate.into_state(frame, d_states[0])
        d_taken = self._updates.pull[frame]
        for d_state, change in zip(d_states, self._changes[frame], strict=True):
            d_taken += np.vecdot(d_state, change)
        if self._gate is not None:
            self._gate.into_level(frame, d_taken)
        self._rows = self._updates.held(frame)
        self._around = [d_state.take(self._rows, axis=0) for d_state in d_states]
        for d_state in d_states:
            d_state[self._rows] = 0.0

    def after_step(self, d_states: Sequence[FloatArray]) -> None:
        """Give it to the cotangents of the states before the frame, which have nothing else in those rows."""
        for d_state, around in zip(d_states, self._around, strict=True):
            d_state[self._rows] = around

    def gradients(self) -> tuple[FloatArray, FloatArray] | tuple[()]:
        """Of the gate's weights and bias, where the layer has one."""
        return () if self._gate is None else self._gate.gradients(self._hidden[1:])
