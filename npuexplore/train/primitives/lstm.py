"""A whole LSTM sequence as one differentiable primitive with hand-written backpropagation through time.

Inside, gates are packed `i f o | g`, so that one tanh serves all of them:
sigmoid(x) = (1 + tanh(x / 2)) / 2, with the inner 1/2 folded into the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums
from autograd.tracer import isbox

from npuexplore.compression.quantize import RecurrentGrid, snap
from npuexplore.train.primitives.declare import differentiable
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.units import FloatArray
from npuexplore.workload.gates import LSTM_GATES, reorder_gates

PACKED = "ifog"
PADDING_ELEMS = 32
"""Extra floats per weight row: a row stride of 4096 bytes aliases in the cache."""
INFERENCE_CHUNK_FRAMES = 64


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
    return _infer(inputs, w_ih, w_hh, bias, grid)


def _packed(rows: FloatArray) -> FloatArray:
    return reorder_gates(rows, have=LSTM_GATES, want=PACKED)


def _halved(packed: FloatArray) -> FloatArray:
    """Packed rows with the 1/2 of the sigmoid gates folded in."""
    sigmoid_rows = packed.shape[0] * 3 // 4
    packed[:sigmoid_rows] *= 0.5
    return packed


def _padded_transpose(packed: FloatArray) -> FloatArray:
    """(G, N) -> (N, G) whose rows lie G + PADDING_ELEMS apart."""
    rows, columns = packed.shape
    padded = np.empty((columns, rows + PADDING_ELEMS), packed.dtype)[:, :rows]
    padded[:] = packed.T
    return padded


def _step(
    gates: FloatArray,
    cell_before: FloatArray,
    cell: FloatArray,
    cell_tanh: FloatArray,
    hidden: FloatArray,
    scratch: FloatArray,
    grid: RecurrentGrid | None,
) -> None:
    """One step: pre-activations `gates` (B, 4H) become gate values; cell and hidden are written."""
    units = cell.shape[1]
    np.tanh(gates, out=gates)
    sigmoids = gates[:, : 3 * units]
    sigmoids *= 0.5
    sigmoids += 0.5
    np.multiply(gates[:, units : 2 * units], cell_before, out=cell)
    np.multiply(gates[:, :units], gates[:, 3 * units :], out=scratch)
    cell += scratch
    if grid is not None:
        snap(cell, grid.cell)
    np.tanh(cell, out=cell_tanh)
    np.multiply(gates[:, 2 * units : 3 * units], cell_tanh, out=hidden)
    if grid is not None:
        snap(hidden, grid.hidden)


def _infer(
    inputs: FloatArray, w_ih: FloatArray, w_hh: FloatArray, bias: FloatArray, grid: RecurrentGrid | None
) -> FloatArray:
    """The forward pass without anything kept for a gradient."""
    frames, batch, _ = inputs.shape
    units = w_hh.shape[1]
    w_in = _padded_transpose(_halved(_packed(w_ih)))
    w_rec = _padded_transpose(_halved(_packed(w_hh)))
    packed_bias = _halved(_packed(bias))
    hidden = np.empty((frames, batch, units), inputs.dtype)
    cell = np.zeros((batch, units), inputs.dtype)
    cell_tanh, scratch = np.empty_like(cell), np.empty_like(cell)
    recurrent = np.empty((batch, 4 * units), inputs.dtype)
    for start in range(0, frames, INFERENCE_CHUNK_FRAMES):
        gates = inputs[start : start + INFERENCE_CHUNK_FRAMES] @ w_in
        gates += packed_bias
        for offset, gate in enumerate(gates):
            frame = start + offset
            if frame:
                gate += np.matmul(hidden[frame - 1], w_rec, out=recurrent)
            _step(gate, cell, cell, cell_tanh, hidden[frame], scratch, grid)
    return hidden


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
    """The forward pass, keeping gates, cells and states in the workspace."""
    frames, batch, features = inputs.shape
    units = w_hh.shape[1]
    workspace.begin()
    gates = workspace.array("gates", (frames, batch, 4 * units), inputs.dtype)
    cells = workspace.array("cells", (frames + 1, batch, units), inputs.dtype)
    cell_tanh = workspace.array("cell_tanh", (frames, batch, units), inputs.dtype)
    hidden = workspace.array("hidden", (frames + 1, batch, units), inputs.dtype)
    recurrent = workspace.array("recurrent", (batch, 4 * units), inputs.dtype)
    scratch = workspace.array("scratch", (batch, units), inputs.dtype)
    w_in = _padded_transpose(_halved(_packed(w_ih)))
    w_rec = _padded_transpose(_halved(_packed(w_hh)))
    packed_bias = _halved(_packed(bias))
    flat = inputs.reshape(frames * batch, features)
    np.matmul(flat, w_in, out=gates.reshape(frames * batch, 4 * units))
    cells[0] = 0.0
    hidden[0] = 0.0
    for frame in range(frames):
        gate = gates[frame]
        gate += packed_bias
        if frame:
            gate += np.matmul(hidden[frame], w_rec, out=recurrent)
        _step(gate, cells[frame], cells[frame + 1], cell_tanh[frame], hidden[frame + 1], scratch, grid)
    return hidden[1:]


def _gate_slopes(gates: FloatArray, slopes: FloatArray) -> None:
    """Derivative of every gate at its value: s - s^2 for i f o, 1 - g^2 for g."""
    sigmoid_columns = gates.shape[1] * 3 // 4
    np.multiply(gates, gates, out=slopes)
    sigmoids, tanhs = slopes[:, :sigmoid_columns], slopes[:, sigmoid_columns:]
    np.subtract(gates[:, :sigmoid_columns], sigmoids, out=sigmoids)
    np.subtract(1.0, tanhs, out=tanhs)


def _step_back(
    gates: FloatArray,
    cell_before: FloatArray,
    cell_tanh: FloatArray,
    d_hidden: FloatArray,
    d_cell: FloatArray,
    scratch: FloatArray,
    slopes: FloatArray,
    pull: FloatArray,
) -> None:
    """Turn gate values into gradients of the pre-activations, and d_cell into that of the step before."""
    units = cell_tanh.shape[1]
    i_gate, f_gate = gates[:, :units], gates[:, units : 2 * units]
    o_gate, g_gate = gates[:, 2 * units : 3 * units], gates[:, 3 * units :]
    _gate_slopes(gates, slopes)
    np.multiply(cell_tanh, cell_tanh, out=scratch)
    np.subtract(1.0, scratch, out=scratch)
    scratch *= o_gate
    scratch *= d_hidden
    d_cell += scratch
    np.multiply(d_cell, g_gate, out=pull[:, :units])
    np.multiply(d_cell, cell_before, out=pull[:, units : 2 * units])
    np.multiply(d_hidden, cell_tanh, out=pull[:, 2 * units : 3 * units])
    np.multiply(d_cell, i_gate, out=pull[:, 3 * units :])
    d_cell *= f_gate
    np.multiply(pull, slopes, out=gates)


def _backward_through_time(d_out: FloatArray, w_rec: FloatArray, workspace: Workspace) -> FloatArray:
    """Gradients of all pre-activations, (T, B, 4H), written over the gates."""
    frames, batch, units = d_out.shape
    dtype = d_out.dtype
    gates = workspace.array("gates", (frames, batch, 4 * units), dtype)
    cells = workspace.array("cells", (frames + 1, batch, units), dtype)
    cell_tanh = workspace.array("cell_tanh", (frames, batch, units), dtype)
    slopes = workspace.array("recurrent", (batch, 4 * units), dtype)
    pull = workspace.array("pull", (batch, 4 * units), dtype)
    scratch = workspace.array("scratch", (batch, units), dtype)
    d_hidden = workspace.array("d_hidden", (batch, units), dtype)
    d_cell = workspace.array("d_cell", (batch, units), dtype)
    d_cell[:] = 0.0
    for frame in range(frames - 1, -1, -1):
        if frame == frames - 1:
            d_hidden[:] = d_out[frame]
        else:
            np.matmul(gates[frame + 1], w_rec, out=d_hidden)
            d_hidden += d_out[frame]
        _step_back(gates[frame], cells[frame], cell_tanh[frame], d_hidden, d_cell, scratch, slopes, pull)
    return gates


def _unpacked(rows: FloatArray) -> FloatArray:
    return reorder_gates(rows, have=PACKED, want=LSTM_GATES)


def _vjp_maker(argnums: tuple[int, ...], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One backward pass for all arguments asked for."""
    workspace: Workspace = kwargs["workspace"]
    generation = workspace.generation

    def vjp(d_out: FloatArray) -> tuple[FloatArray, ...]:
        workspace.consume(generation)
        inputs, w_ih, w_hh, _ = args
        frames, batch, units = d_out.shape
        rows = frames * batch
        d_gates = _backward_through_time(d_out, _packed(w_hh), workspace).reshape(rows, 4 * units)
        before = workspace.array("hidden", (frames + 1, batch, units), d_out.dtype)[:-1].reshape(rows, units)
        makers = (
            lambda: (d_gates @ _packed(w_ih)).reshape(inputs.shape),
            lambda: _unpacked(d_gates.T @ inputs.reshape(rows, -1)),
            lambda: _unpacked(d_gates.T @ before),
            lambda: _unpacked(np.ones(rows, d_gates.dtype) @ d_gates),
        )
        return tuple(makers[argnum]() for argnum in argnums)

    return vjp


defvjp_argnums(_taped, _vjp_maker)
