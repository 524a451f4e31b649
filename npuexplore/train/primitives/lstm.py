"""A whole LSTM sequence as one differentiable primitive with hand-written backpropagation through time.

Inside, gates are packed `i f o | g`, so that one tanh serves all of them:
sigmoid(x) = (1 + tanh(x / 2)) / 2, with the inner 1/2 folded into the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums
from autograd.tracer import isbox

from npuexplore.compression.quantize import RecurrentGrid, snap
from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.recurrent import (
    add_outer_products,
    block_product,
    by_gate,
    column_blocks,
    padded_transpose,
    time_chunks,
)
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.units import FloatArray
from npuexplore.workload.gates import LSTM_GATES, reorder_gates

PACKED = "ifog"
IN, FORGET, OUT, CELL = range(4)


def lstm_seq(
    inputs: Any,
    w_ih: Any,
    w_hh: Any,
    bias: Any,
    *,
    grid: RecurrentGrid | None = None,
    workspace: Workspace | None = None,
) -> Any:
    """Hidden states of an LSTM that starts at rest.

    inputs : (T, B, I) ; w_ih : (4H, I) ; w_hh : (4H, H) ; bias : (4H,), gates `ifgo` ; returns (T, B, H).
    `grid` rounds h and c at every step (gradients pass straight through). A taped result lives in
    `workspace` until its next forward pass.
    """
    if any(isbox(value) for value in (inputs, w_ih, w_hh, bias)):
        return _taped(inputs, w_ih, w_hh, bias, grid=grid, workspace=workspace or Workspace())
    return _sequence(_kept(Workspace(), inputs, w_hh, whole=False), inputs, w_ih, w_hh, bias, grid)


@dataclass(frozen=True)
class _Kept:
    """What the forward pass leaves; each array is a ring over its first axis."""

    gates: FloatArray
    """(T or 1, 4, B, H) gate values i f o g."""
    cells: FloatArray
    """(T + 1 or 2, B, H)"""
    hidden: FloatArray
    """(T + 1, B, H)"""


def _kept(workspace: Workspace, inputs: FloatArray, w_hh: FloatArray, *, whole: bool) -> _Kept:
    """Buffers for the whole sequence, as a gradient needs, or for the running step only."""
    (frames, batch, _), units, dtype = inputs.shape, w_hh.shape[1], inputs.dtype
    steps = frames if whole else 1
    return _Kept(
        workspace.array("gates", (steps, 4, batch, units), dtype),
        workspace.array("cells", (steps + 1, batch, units), dtype),
        workspace.array("hidden", (frames + 1, batch, units), dtype),
    )


def _packed(rows: FloatArray) -> FloatArray:
    return reorder_gates(rows, have=LSTM_GATES, want=PACKED)


def _unpacked(rows: FloatArray) -> FloatArray:
    return reorder_gates(rows, have=PACKED, want=LSTM_GATES)


def _halved(packed: FloatArray) -> FloatArray:
    """Packed rows with the 1/2 of the sigmoid gates folded in, in place."""
    packed[: packed.shape[0] * 3 // 4] *= 0.5
    return packed


def _sequence(
    kept: _Kept,
    inputs: FloatArray,
    w_ih: FloatArray,
    w_hh: FloatArray,
    bias: FloatArray,
    grid: RecurrentGrid | None,
) -> FloatArray:
    """The forward pass, chunk by chunk: project the inputs, then step through time."""
    (frames, batch, features), width, units = inputs.shape, w_ih.shape[0], w_hh.shape[1]
    w_in = padded_transpose(_halved(_packed(w_ih)))
    w_rec = column_blocks(_halved(_packed(w_hh)).reshape(4, units, units).transpose(0, 2, 1), batch)
    bias_rows = np.repeat(_halved(_packed(bias)).reshape(4, 1, units), batch, axis=1)
    linear = np.empty((4, batch, units), inputs.dtype)
    scratch = np.empty((batch, units), inputs.dtype)
    kept.cells[0] = 0.0
    kept.hidden[0] = 0.0
    for start, stop in time_chunks(frames, batch, width):
        projected = inputs[start:stop].reshape(-1, features) @ w_in
        for frame, rows in enumerate(projected.reshape(-1, batch, width), start):
            block_product(kept.hidden[frame], w_rec, out=linear)
            linear += bias_rows
            linear += by_gate(rows, 4)
            _step(linear, kept, frame, scratch, grid)
    return kept.hidden[1:]


def _step(
    linear: FloatArray, kept: _Kept, frame: int, scratch: FloatArray, grid: RecurrentGrid | None
) -> None:
    """One step: from pre-activations (4, B, H) to gates, cell and hidden state."""
    gates = kept.gates[frame % len(kept.gates)]
    before, cell = kept.cells[frame % len(kept.cells)], kept.cells[(frame + 1) % len(kept.cells)]
    hidden = kept.hidden[frame + 1]
    np.tanh(linear, out=gates)
    sigmoids = gates[:CELL]
    sigmoids *= 0.5
    sigmoids += 0.5
    np.multiply(gates[FORGET], before, out=cell)
    np.multiply(gates[IN], gates[CELL], out=scratch)
    cell += scratch
    if grid is not None:
        snap(cell, grid.cell)
    np.tanh(cell, out=scratch)
    np.multiply(gates[OUT], scratch, out=hidden)
    if grid is not None:
        snap(hidden, grid.hidden)


@differentiable
def _taped(
    inputs: FloatArray,
    w_ih: FloatArray,
    w_hh: FloatArray,
    bias: FloatArray,
    *,
    grid: RecurrentGrid | None,
    workspace: Workspace,
) -> FloatArray:
    workspace.begin()
    return _sequence(_kept(workspace, inputs, w_hh, whole=True), inputs, w_ih, w_hh, bias, grid)


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


def _step_back(gates: FloatArray, before: FloatArray, cell: FloatArray, back: _Back) -> None:
    """Gradients of one step's pre-activations into back.pull; back.cell becomes the step before's."""
    slopes, pull, scratch = back.slopes, back.pull, back.scratch
    np.multiply(gates, gates, out=slopes)
    np.subtract(gates[:CELL], slopes[:CELL], out=slopes[:CELL])
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
    pull *= slopes


@dataclass(frozen=True)
class _Gradients:
    """Sums over the chunks; the weights' transposed and packed."""

    inputs: FloatArray | None
    w_ih: FloatArray
    w_hh: FloatArray
    bias: FloatArray


def _backward(
    workspace: Workspace, d_out: FloatArray, args: tuple[Any, ...], *, wants_inputs: bool
) -> _Gradients:
    """Backpropagation through time; each chunk's gradients are summed while it is in cache."""
    inputs, w_ih, w_hh, _ = args
    (frames, batch, units), width, dtype = d_out.shape, w_ih.shape[0], d_out.dtype
    kept, back = _kept(workspace, inputs, w_hh, whole=True), _Back(workspace, batch, units, dtype)
    w_in, w_rec = _packed(w_ih), column_blocks(_packed(w_hh).reshape(4, units, units), batch)
    d_inputs = np.empty(inputs.shape, dtype) if wants_inputs else None
    d_in, d_rec = np.zeros((inputs.shape[2], width), dtype), np.zeros((units, width), dtype)
    d_bias = np.zeros(width, dtype)
    for start, stop in reversed(time_chunks(frames, batch, width)):
        d_linear = workspace.array(f"d_linear {stop - start}", (stop - start, batch, width), dtype)
        for frame in range(stop - 1, start - 1, -1):
            back.hidden += d_out[frame]
            _step_back(kept.gates[frame], kept.cells[frame], kept.cells[frame + 1], back)
            by_gate(d_linear[frame - start], 4)[:] = back.pull
            block_product(back.pull[:, None], w_rec, out=back.slopes)
            np.add.reduce(back.slopes, axis=0, out=back.hidden)
        flat = d_linear.reshape(-1, width)
        add_outer_products(d_in, inputs[start:stop].reshape(flat.shape[0], -1), flat)
        add_outer_products(d_rec, kept.hidden[start:stop].reshape(-1, units), flat)
        d_bias += np.ones(flat.shape[0], dtype) @ flat
        if d_inputs is not None:
            np.matmul(flat, w_in, out=d_inputs[start:stop].reshape(flat.shape[0], -1))
    return _Gradients(d_inputs, d_in, d_rec, d_bias)


def _vjp_maker(argnums: tuple[int, ...], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One backward pass for all arguments asked for."""
    workspace: Workspace = kwargs["workspace"]
    generation = workspace.generation

    def vjp(d_out: FloatArray) -> tuple[Any, ...]:
        workspace.consume(generation)
        sums = _backward(workspace, d_out, args, wants_inputs=0 in argnums)
        w_ih, w_hh = (_unpacked(np.ascontiguousarray(total.T)) for total in (sums.w_ih, sums.w_hh))
        gradients = (sums.inputs, w_ih, w_hh, _unpacked(sums.bias))
        return tuple(gradients[argnum] for argnum in argnums)

    return vjp


defvjp_argnums(_taped, _vjp_maker)
