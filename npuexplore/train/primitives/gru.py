"""A whole GRU sequence (reset-after) as one differentiable primitive.

r, z = sigmoid(W x + b + U h + b_hh), n = tanh(W x + b + r * (U h + b_hh)), h' = n + z * (h - n).
The 1/2 of sigmoid(x) = (1 + tanh(x / 2)) / 2 is folded into the weights of r and z.
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

PADDING_ELEMS = 32
"""Extra floats per weight row: a power-of-two row stride aliases in the cache."""


def gru_seq(
    inputs: Any,
    w_ih: Any,
    w_hh: Any,
    bias: Any,
    bias_hh: Any,
    *,
    grid: RecurrentGrid | None = None,
    workspace: Workspace | None = None,
) -> Any:
    """Hidden states of a GRU that starts at rest.

    inputs : (T, B, I) ; w_ih : (3H, I) ; w_hh : (3H, H) ; bias, bias_hh : (3H,), gates `rzn` ;
    returns (T, B, H). `grid` rounds h at every step (gradients pass straight through). A taped result
    lives in `workspace` until its next forward pass.
    """
    arguments = (inputs, w_ih, w_hh, bias, bias_hh)
    workspace = workspace or Workspace()
    if any(isbox(value) for value in arguments):
        return _taped(*arguments, grid=grid, workspace=workspace)
    return np.array(_sequence(*arguments, grid=grid, workspace=workspace))


def _halved(rows: FloatArray) -> FloatArray:
    """A copy with the 1/2 of the sigmoid gates folded in."""
    halved = np.array(rows)
    halved[: rows.shape[0] * 2 // 3] *= 0.5
    return halved


def _padded_transpose(rows: FloatArray) -> FloatArray:
    padded = np.empty((rows.shape[1], rows.shape[0] + PADDING_ELEMS), rows.dtype)[:, : rows.shape[0]]
    padded[:] = rows.T
    return padded


def _sequence(
    inputs: FloatArray,
    w_ih: FloatArray,
    w_hh: FloatArray,
    bias: FloatArray,
    bias_hh: FloatArray,
    *,
    grid: RecurrentGrid | None,
    workspace: Workspace,
) -> FloatArray:
    """The forward pass, keeping gate values, U h + b_hh of n and states in the workspace."""
    frames, batch, features = inputs.shape
    units, dtype = w_hh.shape[1], inputs.dtype
    workspace.begin()
    gates = workspace.array("gates", (frames, batch, 3 * units), dtype)
    proposal = workspace.array("proposal", (frames, batch, units), dtype)
    hidden = workspace.array("hidden", (frames + 1, batch, units), dtype)
    recurrent = workspace.array("recurrent", (batch, 3 * units), dtype)
    w_rec, rec_bias, in_bias = _padded_transpose(_halved(w_hh)), _halved(bias_hh), _halved(bias)
    w_in = _padded_transpose(_halved(w_ih))
    np.matmul(inputs.reshape(-1, features), w_in, out=gates.reshape(-1, 3 * units))
    hidden[0] = 0.0
    for frame in range(frames):
        gates[frame] += in_bias
        np.matmul(hidden[frame], w_rec, out=recurrent)
        np.add(recurrent, rec_bias, out=recurrent)
        _step(gates[frame], recurrent, proposal[frame], hidden[frame], hidden[frame + 1])
        if grid is not None:
            snap(hidden[frame + 1], grid.hidden)
    return hidden[1:]


def _step(
    gates: FloatArray, recurrent: FloatArray, proposal: FloatArray, before: FloatArray, hidden: FloatArray
) -> None:
    """One step: input projections `gates` (B, 3H) become gate values; proposal and hidden are written."""
    units = hidden.shape[1]
    sigmoids, n_gate = gates[:, : 2 * units], gates[:, 2 * units :]
    sigmoids += recurrent[:, : 2 * units]
    np.tanh(sigmoids, out=sigmoids)
    sigmoids *= 0.5
    sigmoids += 0.5
    proposal[:] = recurrent[:, 2 * units :]
    np.multiply(sigmoids[:, :units], proposal, out=hidden)
    n_gate += hidden
    np.tanh(n_gate, out=n_gate)
    np.subtract(before, n_gate, out=hidden)
    hidden *= sigmoids[:, units:]
    hidden += n_gate


_taped = differentiable(_sequence)


def _step_back(
    gates: FloatArray,
    proposal: FloatArray,
    before: FloatArray,
    d_hidden: FloatArray,
    d_recurrent: FloatArray,
    scratch: FloatArray,
) -> None:
    """Turn gate values into gradients of the input projections, and write those of U h + b_hh.

    d_hidden becomes the part of the gradient that flows to the state before without passing U.
    """
    units = proposal.shape[1]
    reset, update, n_gate = (gates[:, k * units : (k + 1) * units] for k in range(3))
    np.subtract(before, n_gate, out=scratch)
    scratch *= d_hidden
    np.subtract(1.0, update, out=d_recurrent[:, units : 2 * units])
    d_proposal = d_recurrent[:, 2 * units :]
    np.multiply(n_gate, n_gate, out=d_proposal)
    np.subtract(1.0, d_proposal, out=d_proposal)
    d_proposal *= d_recurrent[:, units : 2 * units]
    np.multiply(d_proposal, d_hidden, out=n_gate)
    d_hidden *= update
    scratch *= update
    d_recurrent[:, units : 2 * units] *= scratch
    update[:] = d_recurrent[:, units : 2 * units]
    np.multiply(n_gate, reset, out=d_proposal)
    np.subtract(1.0, reset, out=scratch)
    scratch *= proposal
    np.multiply(scratch, d_proposal, out=reset)
    d_recurrent[:, :units] = reset


def _backward_through_time(
    d_out: FloatArray, w_hh: FloatArray, workspace: Workspace
) -> tuple[FloatArray, FloatArray]:
    """Gradients (T, B, 3H) of the input projections and of the recurrent projections."""
    frames, batch, units = d_out.shape
    dtype = d_out.dtype
    gates = workspace.array("gates", (frames, batch, 3 * units), dtype)
    proposal = workspace.array("proposal", (frames, batch, units), dtype)
    hidden = workspace.array("hidden", (frames + 1, batch, units), dtype)
    d_recurrent = workspace.array("d_recurrent", (frames, batch, 3 * units), dtype)
    scratch = workspace.array("scratch", (batch, units), dtype)
    through = workspace.array("through", (batch, units), dtype)
    d_hidden = workspace.array("d_hidden", (batch, units), dtype)
    d_hidden[:] = 0.0
    for frame in range(frames - 1, -1, -1):
        d_hidden += d_out[frame]
        _step_back(gates[frame], proposal[frame], hidden[frame], d_hidden, d_recurrent[frame], scratch)
        d_hidden += np.matmul(d_recurrent[frame], w_hh, out=through)
    return gates, d_recurrent


def _vjp_maker(argnums: tuple[int, ...], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One backward pass for all arguments asked for."""
    workspace: Workspace = kwargs["workspace"]
    generation = workspace.generation

    def vjp(d_out: FloatArray) -> tuple[FloatArray, ...]:
        workspace.consume(generation)
        inputs, w_ih, w_hh = args[:3]
        frames, batch, units = d_out.shape
        rows = frames * batch
        d_input, d_recurrent = (
            array.reshape(rows, 3 * units) for array in _backward_through_time(d_out, w_hh, workspace)
        )
        before = workspace.array("hidden", (frames + 1, batch, units), d_out.dtype)[:-1].reshape(rows, units)
        ones = np.ones(rows, d_out.dtype)
        makers = (
            lambda: (d_input @ w_ih).reshape(inputs.shape),
            lambda: d_input.T @ inputs.reshape(rows, -1),
            lambda: d_recurrent.T @ before,
            lambda: ones @ d_input,
            lambda: ones @ d_recurrent,
        )
        return tuple(makers[argnum]() for argnum in argnums)

    return vjp


defvjp_argnums(_taped, _vjp_maker)
