"""A whole GRU sequence (reset-after) as one differentiable primitive.

r, z = sigmoid(W x + b + U h + b_hh), n = tanh(W x + b + r * (U h + b_hh)), h' = n + z * (h - n).
The 1/2 of sigmoid(x) = (1 + tanh(x / 2)) / 2 is folded into the weights of r and z.
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

RESET, UPDATE, NEW = range(3)


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
    if any(isbox(value) for value in arguments):
        return _taped(*arguments, grid=grid, workspace=workspace or Workspace())
    return _sequence(_kept(Workspace(), inputs, w_hh, whole=False), arguments, grid)


@dataclass(frozen=True)
class _Kept:
    """What the forward pass leaves; gates and proposals are rings over their first axis."""

    gates: FloatArray
    """(T or 1, 3, B, H) gate values r z n."""
    proposals: FloatArray
    """(T or 1, B, H) U h + b_hh of the n gate."""
    hidden: FloatArray
    """(T + 1, B, H)"""


def _kept(workspace: Workspace, inputs: FloatArray, w_hh: FloatArray, *, whole: bool) -> _Kept:
    """Buffers for the whole sequence, as a gradient needs, or for the running step only."""
    (frames, batch, _), units, dtype = inputs.shape, w_hh.shape[1], inputs.dtype
    steps = frames if whole else 1
    return _Kept(
        workspace.array("gates", (steps, 3, batch, units), dtype),
        workspace.array("proposals", (steps, batch, units), dtype),
        workspace.array("hidden", (frames + 1, batch, units), dtype),
    )


def _halved(rows: FloatArray) -> FloatArray:
    """A copy with the 1/2 of the sigmoid gates folded in."""
    halved = np.array(rows)
    halved[: rows.shape[0] * 2 // 3] *= 0.5
    return halved


def _sequence(kept: _Kept, arguments: tuple[Any, ...], grid: RecurrentGrid | None) -> FloatArray:
    """The forward pass, chunk by chunk: project the inputs, then step through time."""
    inputs, w_ih, w_hh, bias, bias_hh = arguments
    (frames, batch, features), width, units = inputs.shape, w_ih.shape[0], w_hh.shape[1]
    w_in = padded_transpose(_halved(w_ih))
    w_rec = column_blocks(_halved(w_hh).reshape(3, units, units).transpose(0, 2, 1), batch)
    in_bias, rec_bias = (
        np.repeat(_halved(rows).reshape(3, 1, units), batch, axis=1) for rows in (bias, bias_hh)
    )
    linear, recurrent = (np.empty((3, batch, units), inputs.dtype) for _ in range(2))
    kept.hidden[0] = 0.0
    for start, stop in time_chunks(frames, batch, width):
        projected = inputs[start:stop].reshape(-1, features) @ w_in
        for frame, rows in enumerate(projected.reshape(-1, batch, width), start):
            np.add(by_gate(rows, 3), in_bias, out=linear)
            block_product(kept.hidden[frame], w_rec, out=recurrent)
            recurrent += rec_bias
            _step(linear, recurrent, kept, frame)
            if grid is not None:
                snap(kept.hidden[frame + 1], grid.hidden)
    return kept.hidden[1:]


def _step(linear: FloatArray, recurrent: FloatArray, kept: _Kept, frame: int) -> None:
    """One step: from input and recurrent projections (3, B, H) to gates and state."""
    gates, proposal = kept.gates[frame % len(kept.gates)], kept.proposals[frame % len(kept.proposals)]
    before, hidden = kept.hidden[frame], kept.hidden[frame + 1]
    sigmoids = gates[:NEW]
    np.add(linear[:NEW], recurrent[:NEW], out=sigmoids)
    np.tanh(sigmoids, out=sigmoids)
    sigmoids *= 0.5
    sigmoids += 0.5
    proposal[:] = recurrent[NEW]
    np.multiply(gates[RESET], proposal, out=hidden)
    hidden += linear[NEW]
    np.tanh(hidden, out=gates[NEW])
    np.subtract(before, gates[NEW], out=hidden)
    hidden *= gates[UPDATE]
    hidden += gates[NEW]


@differentiable
def _taped(
    inputs: FloatArray,
    w_ih: FloatArray,
    w_hh: FloatArray,
    bias: FloatArray,
    bias_hh: FloatArray,
    *,
    grid: RecurrentGrid | None,
    workspace: Workspace,
) -> FloatArray:
    workspace.begin()
    kept = _kept(workspace, inputs, w_hh, whole=True)
    return _sequence(kept, (inputs, w_ih, w_hh, bias, bias_hh), grid)


def _step_back(
    gates: FloatArray,
    proposal: FloatArray,
    before: FloatArray,
    d_hidden: FloatArray,
    pull: FloatArray,
    scratch: FloatArray,
) -> None:
    """Gradients of the pre-activations r z n into pull (3, B, H).

    d_hidden becomes the part that flows to the state before without passing U.
    """
    np.subtract(1.0, gates[UPDATE], out=scratch)
    np.multiply(gates[NEW], gates[NEW], out=pull[NEW])
    np.subtract(1.0, pull[NEW], out=pull[NEW])
    pull[NEW] *= scratch
    pull[NEW] *= d_hidden
    scratch *= gates[UPDATE]
    np.subtract(before, gates[NEW], out=pull[UPDATE])
    pull[UPDATE] *= d_hidden
    pull[UPDATE] *= scratch
    d_hidden *= gates[UPDATE]
    np.multiply(gates[RESET], gates[RESET], out=scratch)
    np.subtract(gates[RESET], scratch, out=scratch)
    scratch *= proposal
    np.multiply(pull[NEW], scratch, out=pull[RESET])


@dataclass(frozen=True)
class _Gradients:
    """Sums over the chunks; the weights' transposed."""

    inputs: FloatArray | None
    w_ih: FloatArray
    w_hh: FloatArray
    bias: FloatArray
    bias_hh: FloatArray


def _backward(
    workspace: Workspace, d_out: FloatArray, args: tuple[Any, ...], *, wants_inputs: bool
) -> _Gradients:
    """Backpropagation through time; each chunk's gradients are summed while it is in cache."""
    inputs, w_ih, w_hh = args[:3]
    (frames, batch, units), width, dtype = d_out.shape, w_ih.shape[0], d_out.dtype
    kept = _kept(workspace, inputs, w_hh, whole=True)
    d_hidden, scratch = np.zeros((batch, units), dtype), np.empty((batch, units), dtype)
    through, pull = np.empty((3, batch, units), dtype), np.empty((3, batch, units), dtype)
    w_rec = column_blocks(w_hh.reshape(3, units, units), batch)
    sums = _Gradients(
        np.empty(inputs.shape, dtype) if wants_inputs else None,
        np.zeros((inputs.shape[2], width), dtype),
        np.zeros((units, width), dtype),
        np.zeros(width, dtype),
        np.zeros(width, dtype),
    )
    for start, stop in reversed(time_chunks(frames, batch, width)):
        d_linear = workspace.array(f"d_linear {stop - start}", (stop - start, batch, width), dtype)
        d_recurrent = workspace.array(f"d_recurrent {stop - start}", (stop - start, batch, width), dtype)
        for frame in range(stop - 1, start - 1, -1):
            d_hidden += d_out[frame]
            gates = kept.gates[frame]
            _step_back(gates, kept.proposals[frame], kept.hidden[frame], d_hidden, pull, scratch)
            by_gate(d_linear[frame - start], 3)[:] = pull
            pull[NEW] *= gates[RESET]
            by_gate(d_recurrent[frame - start], 3)[:] = pull
            block_product(pull[:, None], w_rec, out=through)
            d_hidden += np.add.reduce(through, axis=0)
        _add_chunk(sums, inputs[start:stop], kept.hidden[start:stop], d_linear, d_recurrent)
        if sums.inputs is not None:
            flat = d_linear.reshape(-1, width)
            np.matmul(flat, w_ih, out=sums.inputs[start:stop].reshape(flat.shape[0], -1))
    return sums


def _add_chunk(
    sums: _Gradients, inputs: FloatArray, before: FloatArray, d_linear: FloatArray, d_recurrent: FloatArray
) -> None:
    width = d_linear.shape[2]
    linear, recurrent = d_linear.reshape(-1, width), d_recurrent.reshape(-1, width)
    ones = np.ones(linear.shape[0], linear.dtype)
    add_outer_products(sums.w_ih, inputs.reshape(-1, inputs.shape[2]), linear)
    add_outer_products(sums.w_hh, before.reshape(-1, before.shape[2]), recurrent)
    np.add(sums.bias, ones @ linear, out=sums.bias)
    np.add(sums.bias_hh, ones @ recurrent, out=sums.bias_hh)


def _vjp_maker(argnums: tuple[int, ...], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One backward pass for all arguments asked for."""
    workspace: Workspace = kwargs["workspace"]
    generation = workspace.generation

    def vjp(d_out: FloatArray) -> tuple[Any, ...]:
        workspace.consume(generation)
        sums = _backward(workspace, d_out, args, wants_inputs=0 in argnums)
        w_ih, w_hh = (np.ascontiguousarray(total.T) for total in (sums.w_ih, sums.w_hh))
        gradients = (sums.inputs, w_ih, w_hh, sums.bias, sums.bias_hh)
        return tuple(gradients[argnum] for argnum in argnums)

    return vjp


defvjp_argnums(_taped, _vjp_maker)
