"""How an Ethos-U stores weights: the order of its streams, and expected bytes where weights are not known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.expected import ExpectedSizes, expected_sizes
from npuexplore.compression.mlw.levels import Kept
from npuexplore.compression.mlw.order import LINE, MlwStream
from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.hardware.ethos_u import EthosU, EthosU55, EthosU85

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PART_KERNEL_STEPS_55 = {1: 4, 2: 2}
"""Kernel elements that a single one is padded to in part-kernel blocks of a U55 or U65, by input bytes."""
PART_KERNEL_STEPS_85 = 5
"""The same on a U85; twice as many for 16-bit inputs and in the 2:4 format."""


@dataclass(frozen=True)
class PlannedWeights:
    """What plans say of the weights of matrices; arrays that broadcast with each other."""

    zeros_frac: Floats
    """Share of zero blocks."""
    weight_bits: Counts
    block_rows: Counts
    block_columns: Counts
    two_four: Flags
    """Whether two of each aligned four inputs are zero."""
    kept: Kept = "random"
    """Which weights the zeros leave; of all plans."""


def planned_sizes(
    engine: EthosU,
    weights: PlannedWeights,
    *,
    inputs: Counts,
    outputs: Counts,
    input_bytes: Counts,
    blocks: Blocks | None = None,
    two_four_format: bool = False,
) -> ExpectedSizes:
    """Expected sizes of matrices of `outputs` by `inputs`; all arrays broadcast.

    blocks : of the products; an Ethos-U85 needs them, a U55 or U65 only for part-kernel blocks
    """
    shape = np.broadcast_shapes(np.shape(inputs), np.shape(outputs), np.shape(weights.zeros_frac))
    part = np.broadcast_to(False if blocks is None else blocks.part_kernel, shape)
    depth = np.broadcast_to(engine.microblocks[0].depth if blocks is None else blocks.ublock_depth, shape)
    ifm = np.broadcast_to(0 if blocks is None else blocks.ifm_depth, shape)
    given: dict[str, Any] = {
        "rows": outputs,
        "columns": inputs,
        "ifm_block_elems": _ifm_block(engine, ifm, part, input_bytes, two_four=two_four_format),
        "kernel_steps": _kernel_steps(engine, part, input_bytes, two_four=two_four_format),
        **{name: one for name, one in vars(weights).items() if name != "kept"},
    }
    if depth.size == 0 or (depth == depth.flat[0]).all():
        order = _order(engine, int(depth.flat[0]) if depth.size else LINE, two_four=two_four_format)
        return expected_sizes(stream=order, kept=weights.kept, **given)
    spread = {name: np.broadcast_to(one, shape) for name, one in given.items()}
    return _by_depth(engine, depth, spread, kept=weights.kept, two_four=two_four_format)


def stream_order(
    engine: EthosU,
    *,
    ublock_depth: int,
    ifm_depth: int,
    part_kernel: bool,
    two_four: bool,
    input_bytes: int = 1,
) -> MlwStream:
    """The order in which a part meets the weights of a product, for sizes of real tensors."""
    part, width = np.array(part_kernel), np.array(input_bytes)
    return replace(
        _order(engine, ublock_depth, two_four=two_four),
        ifm_block_elems=int(_ifm_block(engine, np.array(ifm_depth), part, width, two_four=two_four)),
        kernel_steps=int(_kernel_steps(engine, part, width, two_four=two_four)),
    )


def _order(engine: EthosU, ublock_depth: int, *, two_four: bool) -> MlwStream:
    return MlwStream(
        generation="alternating" if isinstance(engine, EthosU85) else "depth_first",
        ofm_ublock_elems=ublock_depth,
        ifm_block_elems=LINE,
        ifm_ublock_elems=LINE * (2 if two_four else 1),
        cores=engine.cores,
    )


def _ifm_block(
    engine: EthosU, ifm_depth: Counts, part_kernel: Flags, input_bytes: Counts, *, two_four: bool
) -> Counts:
    """Inputs that a stream holds together; it is padded to whole ones."""
    if isinstance(engine, EthosU85):
        deep = part_kernel & (input_bytes == 2) & (not two_four)
        return np.asarray(np.where(deep, LINE, ifm_depth))
    assert isinstance(engine, EthosU55)
    whole = np.where(input_bytes == 2, engine.ifm_block_16bit_elems, engine.ifm_block_8bit_elems)
    return np.asarray(np.where(part_kernel, LINE, whole))


def _kernel_steps(engine: EthosU, part_kernel: Flags, input_bytes: Counts, *, two_four: bool) -> Counts:
    if isinstance(engine, EthosU85):
        steps = np.where((input_bytes == 2) | two_four, 2 * PART_KERNEL_STEPS_85, PART_KERNEL_STEPS_85)
    else:
        steps = np.where(input_bytes == 2, PART_KERNEL_STEPS_55[2], PART_KERNEL_STEPS_55[1])
    return np.asarray(np.where(part_kernel, steps, 1))


def _by_depth(
    engine: EthosU, depth: Counts, given: dict[str, Any], *, kept: Kept, two_four: bool
) -> ExpectedSizes:
    """Sizes where microblocks differ between plans."""
    found: dict[str, Any] = {}
    for value in np.unique(depth):
        chosen = depth == value
        sizes = expected_sizes(
            stream=_order(engine, int(value), two_four=two_four),
            kept=kept,
            **{name: one[chosen] for name, one in given.items()},
        )
        for name, one in vars(sizes).items():
            found.setdefault(name, np.zeros(depth.shape))[chosen] = one
    return ExpectedSizes(**found)
