"""What the memories of an Ethos-U hold at their fullest: tensors, staged weights, constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.arena import (
    ALIGNMENT_BYTES,
    MOMENTS,
    Span,
    Use,
    most_alive,
    tensor_bytes,
    tensor_spans,
)
from npuexplore.cost.ethos_u.buffering import Staged
from npuexplore.cost.ethos_u.lowering import TABLE_BYTES
from npuexplore.cost.ethos_u.placement import final_placement, stages_weights
from npuexplore.cost.ethos_u.slices import slice_count
from npuexplore.cost.traffic import Route
from npuexplore.hardware.ethos_u import EthosU, EthosU85
from npuexplore.units import round_up

Counts = NDArray[np.int64]

AHEAD_STEPS = 2
"""Steps of a recurrent layer that need nothing of the layer before: its state in, the first product of it."""
LUT_KINDS = 2
"""Tables of a recurrent step: sigmoid and tanh."""


def alive_bytes(route: Route, uses: Sequence[Use], staged: Sequence[Staged | None]) -> dict[str, Counts]:
    """(P,) greatest sum of tensors and staged weights in each memory that holds tensors.

    uses, staged : a command's tensors and its decision, command by command
    """
    places = final_placement(route, staged=False).tensors
    staging = route.staging if stages_weights(route) else None
    found = {}
    for memory in dict.fromkeys([*places.values(), *([staging] if staging else [])]):
        spans = tensor_spans(uses, memory=memory, memories=places)
        if memory == staging:
            spans += staged_spans(staged)
        found[memory] = most_alive(spans, np.shape(uses[0].sizes.units)[0])
    return found


def layer_arena_bytes(
    route: Route, uses: Sequence[Use], staged: Sequence[Staged | None], *, ahead: bool
) -> tuple[Counts, Counts]:
    """(P,) bytes of the activations' memory: while a layer runs, and all the time before it and then.

    uses, staged : of all commands of the layer ; ahead : whether its first product runs before the layers
    in front of it, so that the result has to wait
    """
    places = final_placement(route, staged=False).tensors
    plans = np.shape(uses[0].sizes.units)[0]
    nowhere = {**places, "state": ""}
    waiting = uses[AHEAD_STEPS - 1].flow.writes if ahead else ""
    spans = tensor_spans(uses, memory=route.activations, memories=nowhere, without=waiting)
    if stages_weights(route) and route.staging == route.activations:
        spans += staged_spans(staged)
    states = tensor_spans(uses, memory=route.activations, memories={**places, "scratch": "", "network": ""})
    held = sum((span.size_bytes for span in states), np.zeros(plans, np.int64))
    if ahead and places["scratch"] == route.activations:
        first = uses[AHEAD_STEPS - 1]
        assert first.command.writes is not None
        size = tensor_bytes(first.command.writes, first.sizes, is_input=False)
        used_up = max(index for index, use in enumerate(uses) if waiting in use.flow.reads) + 1
        spans.append(Span(-size, MOMENTS * used_up, MOMENTS * len(uses)))
        held = held + size
    return most_alive(spans, plans), held


def staged_spans(staged: Sequence[Staged | None]) -> list[Span]:
    """Spans of the buffers of staged weights.

    The first buffer is filled ahead where there was room; the one that the last slice lies in lives until
    the operator ends, the other one not so long.
    """
    spans = []
    for index, step in enumerate(staged):
        if step is None or not step.chosen.any():
            continue
        slices = slice_count(step.bounds)
        first, end = MOMENTS * index, MOMENTS * index + 1
        last_part = np.where(step.double, (slices - 1) % 2, 0)
        for part, size in enumerate(step.part_bytes):
            held = np.where(step.chosen, round_up(size, ALIGNMENT_BYTES), 0)
            spans.append(Span(held, first, first))
            if part == 0:
                spans.append(Span(np.where(step.prefetched, held, 0), first - 1, first - 1))
            spans.append(Span(np.where(last_part == part, held, 0), end, end))
    return spans


def constant_bytes(engine: EthosU, kinds: Sequence[str], staged: Sequence[Staged | None]) -> Counts:
    """(P,) what is only read: weights and scales as sliced, and the tables of 16-bit look-ups."""
    stored = [each.weight_bytes + each.scale_bytes for each in staged if each is not None]
    looks_up = isinstance(engine, EthosU85) and any(kind in ("lstm", "gru") for kind in kinds)
    return np.asarray(np.add.reduce(stored) + (LUT_KINDS * TABLE_BYTES if looks_up else 0))
