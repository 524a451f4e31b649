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

from npuexplore.compression.quantize import RecurrentGrid
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
from npuexplore.train.primitives.workspace import Workspace, aligned_copy, aligned_empty, aligned_zeros
from npuexplore.units import FloatArray

RESET, UPDATE, NEW = range(3)


def gru_seq(
    inputs: Any,
    w_ih: Any,
    w_hh: Any,
    bias: Any,
    bias_hh: Any,
    *,
    start: Any = None,
    grid: RecurrentGrid | None = None,
    skip: Skip | None = None,
    workspace: Workspace | None = None,
) -> Any:
    """Hidden states of a GRU.

    inputs : (T, B, I) ; w_ih : (3H, I) ; w_hh : (3H, H) ; bias, bias_hh : (3H,), gates `rzn` ; start : (B, H)
    state before the first frame, None = zeros ; returns (T, B, H). `grid` rounds h at every step (gradients
    pass straight through); `skip` holds it in some frames. A taped result lives in `workspace` until its next
    forward pass.
    """
    gate, updates = ((None, None), None) if skip is None else (skip.arguments, skip.updates)
    arguments = (inputs, w_ih, w_hh, bias, bias_hh, start, *gate)
    workspace = workspace or Workspace()
    if any(isbox(value) for value in arguments):
        return _taped(*arguments, grid=grid, updates=updates, workspace=workspace)
    return _sequence(arguments, grid=grid, updates=updates, workspace=workspace, whole=False)


@dataclass(frozen=True)
class _Kept:
    """What the forward pass leaves; gates and proposals are rings over their first axis."""

    gates: FloatArray
    """(T or 1, 3, B, H) gate values r z n."""
    proposals: FloatArray
    """(T or 1, B, H) U h + b_hh of the n gate."""
    hidden: FloatArray
    """(T + 1, B, H)"""
    changes: FloatArray
    """(T or 1, 1, B, H) what an update would change of the state; (0, ...) without skipping."""

    @property
    def states(self) -> tuple[FloatArray]:
        """The ring that skipping holds."""
        return (self.hidden,)


def _kept(arguments: tuple[Any, ...], workspace: Workspace, *, skips: bool, whole: bool) -> _Kept:
    """Buffers for the whole sequence, as a gradient needs, or for the running step only."""
    inputs, units = arguments[0], arguments[2].shape[1]
    (frames, batch, _), dtype = inputs.shape, inputs.dtype
    steps = frames if whole else 1
    return _Kept(
        workspace.array("gates", (steps, 3, batch, units), dtype),
        workspace.array("proposals", (steps, batch, units), dtype),
        workspace.array("hidden", (frames + 1, batch, units), dtype),
        workspace.array("changes", (steps if skips else 0, 1, batch, units), dtype),
    )


def _halved(rows: FloatArray) -> FloatArray:
    """A copy with the 1/2 of the sigmoid gates folded in."""
    halved = aligned_copy(rows)
    halved[: rows.shape[0] * 2 // 3] *= 0.5
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
    inputs, w_ih, w_hh, bias, bias_hh, start_state, *gate = arguments
    (frames, batch, features), width, units = inputs.shape, w_ih.shape[0], w_hh.shape[1]
    kept = _kept(arguments, workspace, skips=updates is not None, whole=whole)
    w_in = column_blocks(_halved(w_ih).reshape(3, units, features).transpose(0, 2, 1), batch)
    w_rec = column_blocks(_halved(w_hh).reshape(3, units, units).transpose(0, 2, 1), batch)
    in_bias, rec_bias = (
        aligned_copy(np.repeat(_halved(rows).reshape(3, 1, units), batch, axis=1)) for rows in (bias, bias_hh)
    )
    linear, recurrent = (aligned_empty((3, batch, units), inputs.dtype) for _ in range(2))
    kept.hidden[0] = 0.0 if start_state is None else start_state
    skipping = updates and Skipping(updates, kept.states, kept.changes, (gate[0], gate[1]), workspace)
    for start, stop in time_chunks(frames, batch, width):
        projected = workspace.array(
            f"projected {stop - start}", (3, stop - start, batch, units), inputs.dtype
        )
        block_product(inputs[start:stop].reshape(-1, features), w_in, out=projected.reshape(3, -1, units))
        for frame in range(start, stop):
            np.add(projected[:, frame - start], in_bias, out=linear)
            block_product(kept.hidden[frame], w_rec, out=recurrent)
            recurrent += rec_bias
            _step(linear, recurrent, kept, frame)
            if grid is not None:
                snap_hidden(kept.hidden[frame + 1], grid.hidden)
            if skipping:
                skipping.step(frame)
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
    *arguments: Any, grid: RecurrentGrid | None, updates: Updates | None, workspace: Workspace
) -> FloatArray:
    workspace.begin()
    return _sequence(arguments, grid=grid, updates=updates, workspace=workspace, whole=True)


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
    d_hidden, scratch, through = aligned_zeros((3, batch, units), dtype)
    d_inputs, w_in = aligned_empty(inputs.shape, dtype) if wants_inputs else None, aligned_copy(w_ih)
    w_back = column_blocks(w_hh[None], batch)
    sums = [OuterSum(width, (each.shape[1],), dtype) for each in (w_ih, w_hh)]
    for start, stop in reversed(time_chunks(frames, batch, width)):
        d_linear = workspace.array(f"d_linear {stop - start}", (stop - start, batch, width), dtype)
        d_recurrent = workspace.array(f"d_recurrent {stop - start}", (stop - start, batch, width), dtype)
        for frame in range(stop - 1, start - 1, -1):
            d_hidden += d_out[frame]
            if skipping:
                skipping.before_step(frame, (d_hidden,))
            gates, pull, rec_pull = kept.gates[frame], d_linear[frame - start], d_recurrent[frame - start]
            before = kept.hidden[frame]
            _step_back(gates, kept.proposals[frame], before, d_hidden, by_gate(pull, 3), scratch)
            rec_pull[:] = pull
            by_gate(rec_pull, 3)[NEW] *= gates[RESET]
            block_product(rec_pull, w_back, out=through[None])
            d_hidden += through
            if skipping:
                skipping.after_step((d_hidden,))
        sums[0].add(d_linear, inputs[start:stop])
        sums[1].add(d_recurrent, kept.hidden[start:stop])
        if d_inputs is not None:
            rows_product(d_linear, w_in, out=d_inputs[start:stop])
    gate = skipping.gradients() if skipping else ()
    (d_w_ih,), (d_w_hh,) = (each.matrices() for each in sums)
    return d_inputs, d_w_ih, d_w_hh, sums[0].bias, sums[1].bias, d_hidden, *gate


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
