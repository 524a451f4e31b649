"""A whole LSTM sequence as one differentiable primitive with hand-written backpropagation through time.

One tanh serves all gates: sigmoid(x) = (1 + tanh(x / 2)) / 2, with the inner 1/2 folded into the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums
from autograd.tracer import isbox

from npuexplore.compression.quantize import RecurrentGrid, snap
from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.products import (
    OuterSum,
    block_product,
    column_blocks,
    rows_product,
    time_chunks,
)
from npuexplore.train.primitives.recurrent import by_gate, snap_hidden
from npuexplore.train.primitives.skip import Skip, Skipping, SkippingBack, Updates
from npuexplore.train.primitives.workspace import Workspace, aligned_copy, aligned_empty
from npuexplore.units import FloatArray

IN, FORGET, CELL, OUT = range(4)
SIGMOIDS = (slice(IN, CELL), slice(OUT, OUT + 1))
"""Gates `ifgo` that are sigmoids."""


def lstm_seq(
    inputs: Any,
    w_ih: Any,
    w_hh: Any,
    bias: Any,
    *,
    start: tuple[Any, Any] = (None, None),
    grid: RecurrentGrid | None = None,
    skip: Skip | None = None,
    workspace: Workspace | None = None,
) -> Any:
    """Hidden states of an LSTM.

    inputs : (T, B, I) ; w_ih : (4H, I) ; w_hh : (4H, H) ; bias : (4H,), gates `ifgo` ; start : hidden and
    cell state (B, H) before the first frame, None = zeros ; returns (T, B, H).
    `grid` rounds h and c at every step (gradients pass straight through); `skip` holds both in some frames.
    A taped result lives in `workspace` until its next forward pass.
    """
    gate, updates = ((None, None), None) if skip is None else (skip.arguments, skip.updates)
    arguments = (inputs, w_ih, w_hh, bias, *start, *gate)
    workspace = workspace or Workspace()
    if any(isbox(value) for value in arguments):
        return _taped(*arguments, grid=grid, updates=updates, workspace=workspace)
    return _sequence(arguments, grid=grid, updates=updates, workspace=workspace, whole=False)


@dataclass(frozen=True)
class _Kept:
    """What the forward pass leaves; each array is a ring over its first axis."""

    gates: FloatArray
    """(4, T or N, B, H) gate values i f g o, N frames of a chunk; before a step, what the inputs give."""
    cells: FloatArray
    """(T + 1 or 2, B, H)"""
    hidden: FloatArray
    """(T + 1, B, H)"""
    changes: FloatArray
    """(T or 1, 2, B, H) what an update would change of hidden and cell state; (0, ...) without skipping."""

    @property
    def states(self) -> tuple[FloatArray, FloatArray]:
        """The rings that skipping holds."""
        return self.hidden, self.cells


def _kept(arguments: tuple[Any, ...], workspace: Workspace, *, skips: bool, whole: bool) -> _Kept:
    """Buffers for the whole sequence, as a gradient needs, or for the running step only."""
    inputs, units = arguments[0], arguments[2].shape[1]
    (frames, batch, _), dtype = inputs.shape, inputs.dtype
    steps = frames if whole else 1
    length = time_chunks(frames, batch, 4 * units)[0][1]
    return _Kept(
        workspace.array("gates", (4, frames if whole else length, batch, units), dtype),
        workspace.array("cells", (steps + 1, batch, units), dtype),
        workspace.array("hidden", (frames + 1, batch, units), dtype),
        workspace.array("changes", (steps if skips else 0, 2, batch, units), dtype),
    )


def _halved(rows: FloatArray) -> FloatArray:
    """A copy with the 1/2 of the sigmoid gates folded in."""
    halved = aligned_copy(rows)
    for gates in SIGMOIDS:
        halved.reshape(4, -1)[gates] *= 0.5
    return halved


def _sequence(
    arguments: tuple[Any, ...],
    *,
    grid: RecurrentGrid | None,
    updates: Updates | None,
    workspace: Workspace,
    whole: bool,
) -> FloatArray:
    """The forward pass, chunk by chunk: project the inputs, then step through time."""
    inputs, w_ih, w_hh, bias, *starts, gate_weights, gate_bias = arguments
    (frames, batch, features), width, units = inputs.shape, w_ih.shape[0], w_hh.shape[1]
    kept = _kept(arguments, workspace, skips=updates is not None, whole=whole)
    w_in = column_blocks(_halved(w_ih).reshape(4, units, features).transpose(0, 2, 1), batch)
    w_rec = column_blocks(_halved(w_hh).reshape(4, units, units).transpose(0, 2, 1), batch)
    bias_rows = aligned_copy(np.repeat(_halved(bias).reshape(4, 1, units), batch, axis=1))
    linear = aligned_empty((4, batch, units), inputs.dtype)
    scratch = aligned_empty((batch, units), inputs.dtype)
    for state, given in zip(kept.states, starts, strict=True):
        state[0] = 0.0 if given is None else given
    gate = (gate_weights, gate_bias)
    skipping = updates and Skipping(updates, kept.states, kept.changes, gate, workspace)
    held = kept.gates.shape[1]
    for start, stop in time_chunks(frames, batch, width):
        first = start % held
        projected = kept.gates[:, first : first + stop - start].reshape(4, -1, units)
        block_product(inputs[start:stop].reshape(-1, features), w_in, out=projected)
        for frame in range(start, stop):
            block_product(kept.hidden[frame], w_rec, out=linear)
            linear += bias_rows
            _step(linear, kept, frame, scratch, grid)
            if skipping:
                skipping.step(frame)
    return kept.hidden[1:]


def _step(
    linear: FloatArray, kept: _Kept, frame: int, scratch: FloatArray, grid: RecurrentGrid | None
) -> None:
    """One step: from pre-activations (4, B, H) to gates, cell and hidden state."""
    gates = kept.gates[:, frame % kept.gates.shape[1]]
    before, cell = kept.cells[frame % len(kept.cells)], kept.cells[(frame + 1) % len(kept.cells)]
    hidden = kept.hidden[frame + 1]
    linear += gates
    np.tanh(linear, out=gates)
    for each in SIGMOIDS:
        sigmoid = gates[each]
        sigmoid *= 0.5
        sigmoid += 0.5
    np.multiply(gates[FORGET], before, out=cell)
    np.multiply(gates[IN], gates[CELL], out=scratch)
    cell += scratch
    if grid is not None:
        snap(cell, grid.cell)
    np.tanh(cell, out=scratch)
    np.multiply(gates[OUT], scratch, out=hidden)
    if grid is not None:
        snap_hidden(hidden, grid.hidden)


@differentiable
def _taped(
    *arguments: Any, grid: RecurrentGrid | None, updates: Updates | None, workspace: Workspace
) -> FloatArray:
    workspace.begin()
    return _sequence(arguments, grid=grid, updates=updates, workspace=workspace, whole=True)


class _Back:
    """Cotangents on their way back through time, and scratch for one step."""

    def __init__(self, workspace: Workspace, batch: int, units: int, dtype: np.dtype[Any]) -> None:
        self.hidden = workspace.array("d_hidden", (batch, units), dtype)
        self.cell = workspace.array("d_cell", (batch, units), dtype)
        self.scratch = workspace.array("d_scratch", (batch, units), dtype)
        self.slopes = workspace.array("slopes", (4, batch, units), dtype)
        self.pull = workspace.array("pull", (4, batch, units), dtype)
        self.hidden[:] = 0.0
        self.cell[:] = 0.0
        self.states = (self.hidden, self.cell)


def _step_back(gates: FloatArray, before: FloatArray, cell: FloatArray, back: _Back, out: FloatArray) -> None:
    """Gradients of one step's pre-activations into out (4, B, H); back.cell becomes the step before's."""
    slopes, pull, scratch = back.slopes, back.pull, back.scratch
    np.multiply(gates, gates, out=slopes)
    for each in SIGMOIDS:
        np.subtract(gates[each], slopes[each], out=slopes[each])
    np.subtract(1.0, slopes[CELL], out=slopes[CELL])
    cell_tanh = np.tanh(cell, out=pull[FORGET])
    np.multiply(back.hidden, cell_tanh, out=pull[OUT])
    np.multiply(pull[OUT], cell_tanh, out=scratch)
    np.subtract(back.hidden, scratch, out=scratch)
    scratch *= gates[OUT]
    back.cell += scratch
    np.multiply(back.cell, gates[CELL], out=pull[IN])
    np.multiply(back.cell, before, out=pull[FORGET])
    np.multiply(back.cell, gates[IN], out=pull[CELL])
    back.cell *= gates[FORGET]
    np.multiply(pull, slopes, out=out)


def _backward(
    d_out: FloatArray,
    arguments: tuple[Any, ...],
    *,
    updates: Updates | None,
    workspace: Workspace,
    wants_inputs: bool,
) -> tuple[Any, ...]:
    """Backpropagation through time; each chunk's gradients are summed while it is in cache."""
    inputs, w_ih, w_hh = arguments[:3]
    (frames, batch, units), width, dtype = d_out.shape, w_ih.shape[0], d_out.dtype
    kept = _kept(arguments, workspace, skips=updates is not None, whole=True)
    skipping = updates and SkippingBack(updates, kept.hidden, kept.changes, arguments[6:], workspace)
    back, sums = _Back(workspace, batch, units, dtype), OuterSum(width, (inputs.shape[2], units), dtype)
    d_inputs, w_in = aligned_empty(inputs.shape, dtype) if wants_inputs else None, aligned_copy(w_ih)
    w_back = column_blocks(w_hh[None], batch)
    for start, stop in reversed(time_chunks(frames, batch, width)):
        d_linear = workspace.array(f"d_linear {stop - start}", (stop - start, batch, width), dtype)
        for frame in range(stop - 1, start - 1, -1):
            back.hidden += d_out[frame]
            if skipping:
                skipping.before_step(frame, back.states)
            pull = d_linear[frame - start]
            _step_back(kept.gates[:, frame], kept.cells[frame], kept.cells[frame + 1], back, by_gate(pull, 4))
            block_product(pull, w_back, out=back.hidden[None])
            if skipping:
                skipping.after_step(back.states)
        sums.add(d_linear, inputs[start:stop], kept.hidden[start:stop])
        if d_inputs is not None:
            rows_product(d_linear, w_in, out=d_inputs[start:stop])
    gate = skipping.gradients() if skipping else ()
    return d_inputs, *sums.matrices(), sums.bias, back.hidden.copy(), back.cell.copy(), *gate


def _vjp_maker(argnums: tuple[int, ...], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One backward pass for all arguments asked for."""
    workspace: Workspace = kwargs["workspace"]
    generation = workspace.generation

    def vjp(d_out: FloatArray) -> tuple[Any, ...]:
        workspace.consume(generation)
        gradients = _backward(
            d_out, args, updates=kwargs["updates"], workspace=workspace, wants_inputs=0 in argnums
        )
        return tuple(gradients[argnum] for argnum in argnums)

    return vjp


defvjp_argnums(_taped, _vjp_maker)
