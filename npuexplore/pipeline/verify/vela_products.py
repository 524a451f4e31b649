"""Replays of recorded product commands: read in place, or staged in the depth slices that were recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw.size import encoded_bytes
from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.coder import stream_order
from npuexplore.cost.ethos_u.commands import CommandCycles, blocks_of
from npuexplore.cost.ethos_u.lowering import Command
from npuexplore.cost.ethos_u.pricing import (
    Placement,
    Sizes,
    price,
    products_of,
    scale_bytes,
    weight_streams,
)
from npuexplore.cost.ethos_u.staging import last_slice_cycles, staged_npu_cycles, transfer_cycles
from npuexplore.cost.ethos_u.streams import access_cycles
from npuexplore.hardware.ethos_u import EthosU

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
Figures = dict[str, Counts]
Matrix = Callable[[int], NDArray[np.int8]]


@dataclass(frozen=True)
class ProductRows:
    """Recorded cases of one product command; n rows."""

    sizes: Sizes
    encoded: Counts
    """(n,) recorded bytes of the weights."""
    fast: Flags
    """(n,) whether they are in the fast format."""
    slices: Sequence[tuple[int, ...]]
    """Bounds of the depth slices of each row."""
    staged: Flags
    """(n,) whether the weights are staged."""
    matrix: Matrix
    """Weights of a row, whose first slice and whole size staging depends on."""
    slack: Counts
    """(n,) cycles of the command before, under which a transfer hides."""


def product_figures(engine: EthosU, command: Command, rows: ProductRows, placement: Placement) -> Figures:
    """Our figures of every row, by reference column; memories by name, as `<memory>_access_cycles`."""
    staged = rows.staged & (placement.staging is not None)
    figures = {name: np.zeros(staged.size, np.int64) for name in figure_names(placement)}
    for chosen, where in ((~staged, replace(placement, staging=None)), (staged, placement)):
        if chosen.any():
            for name, values in _figures(engine, command, _taken(rows, chosen), where).items():
                figures[name][chosen] = values
    return figures


def slack_after_products(engine: EthosU, command: Command, rows: ProductRows, placement: Placement) -> Counts:
    """(n,) cycles of each product, or of its last slice, under which the next command's transfers hide."""
    blocks = blocks_of(engine, products_of(engine, command, rows.sizes))
    whole = price(engine, command, rows.sizes, replace(placement, staging=None), blocks=blocks)
    last = last_slice_cycles(_last_slice(engine, command, rows, placement, blocks))
    staged = rows.staged & (placement.staging is not None)
    return np.asarray(np.where(staged, last, whole.cycles.npu))


def figure_names(placement: Placement) -> tuple[str, ...]:
    """Reference columns that `command_figures` fills."""
    memories = tuple(f"{name}_access_cycles" for name in placement.memories)
    return ("op_cycles", "npu_cycles", "mac_cycles", "ao_cycles", "cmd_cycles", *memories)


def command_figures(cycles: CommandCycles, npu: Counts, busy: dict[str, Counts]) -> Figures:
    """Reference columns of a command."""
    memories = {f"{name}_access_cycles": values for name, values in busy.items()}
    return {
        "op_cycles": np.maximum.reduce([npu, *busy.values()]),
        "npu_cycles": npu,
        "mac_cycles": cycles.mac,
        "ao_cycles": cycles.output,
        "cmd_cycles": cycles.issue,
        **memories,
    }


def _figures(engine: EthosU, command: Command, rows: ProductRows, placement: Placement) -> Figures:
    blocks = blocks_of(engine, products_of(engine, command, rows.sizes))
    priced = price(engine, command, rows.sizes, placement, blocks=blocks)
    scales = np.array([_scales(engine, bounds, blocks) for bounds in rows.slices], np.int64)
    fast = rows.fast if rows.fast.any() else None
    streams = weight_streams(placement, encoded=rows.encoded, scales=scales, fast=fast)
    busy = access_cycles(engine, [*priced.streams, *streams], placement.memories)
    if placement.staging is None:
        return command_figures(priced.cycles, priced.cycles.npu, busy)
    last = _last_slice(engine, command, rows, placement, blocks)
    npu = _staged_npu(engine, rows, placement, priced.cycles, last, blocks)
    return command_figures(priced.cycles, npu, busy)


def _staged_npu(
    engine: EthosU,
    rows: ProductRows,
    placement: Placement,
    whole: CommandCycles,
    last: CommandCycles,
    blocks: Blocks,
) -> Counts:
    source, target = placement.memories[placement.weights], placement.memories[placement.staging or ""]
    full, first = np.array(
        [_transferred(engine, rows, index, blocks) for index in range(len(rows.slices))], np.int64
    ).T
    return staged_npu_cycles(
        whole,
        last,
        full_transfer=transfer_cycles(engine, full, source=source, target=target),
        first_transfer=transfer_cycles(engine, first, source=source, target=target),
        slack=rows.slack,
    )


def _last_slice(
    engine: EthosU, command: Command, rows: ProductRows, placement: Placement, blocks: Blocks
) -> CommandCycles:
    """The last depth slices alone, cut into the blocks of the whole."""
    depth = np.array([bounds[-1] - bounds[-2] for bounds in rows.slices], np.int64)
    inputs = rows.sizes.units if command.from_state else rows.sizes.inputs
    sizes = replace(rows.sizes, inputs=inputs, units=depth)
    return price(engine, replace(command, from_state=False), sizes, placement, blocks=blocks).cycles


def _transferred(engine: EthosU, rows: ProductRows, index: int, blocks: Blocks) -> tuple[int, int]:
    """Bytes of weights and scales: (all of them in one slice, the first slice)."""
    weights, bounds = rows.matrix(index), rows.slices[index]
    two_four = bool(np.broadcast_to(rows.sizes.two_four, len(rows.slices))[index])
    stream = stream_order(
        engine,
        ublock_depth=int(blocks.ublock_depth[index]),
        ifm_depth=int(blocks.ifm_depth[index]),
        part_kernel=bool(blocks.part_kernel[index]),
        two_four=two_four,
    )
    sizes = []
    for part in (weights, weights[: bounds[1]]):
        scales = scale_bytes(
            engine, np.array([part.shape[0]]), ublock_depth=blocks.ublock_depth[index : index + 1]
        )
        encoded = encoded_bytes(
            part,
            stream=stream,
            ofm_block_depth=int(blocks.depth[index]),
            weight_format="fast" if rows.fast[index] else "default",
        )
        sizes.append(encoded + int(scales[0]))
    return sizes[0], sizes[1]


def _scales(engine: EthosU, bounds: tuple[int, ...], blocks: Blocks) -> int:
    """Bytes of the scale streams of all slices of a row."""
    depths = np.array([end - start for start, end in pairwise(bounds)], np.int64)
    return int(scale_bytes(engine, depths, ublock_depth=blocks.ublock_depth[:1]).sum())


def _taken(rows: ProductRows, chosen: Flags) -> ProductRows:
    index = np.flatnonzero(chosen)
    columns = {name: each for name, each in vars(rows.sizes).items() if isinstance(each, np.ndarray)}
    taken = {name: np.broadcast_to(values, chosen.shape)[index] for name, values in columns.items()}
    sizes = Sizes(**taken, positions=rows.sizes.positions)
    return ProductRows(
        sizes=sizes,
        encoded=rows.encoded[index],
        fast=rows.fast[index],
        staged=rows.staged[index],
        slices=[bounds for bounds, taken in zip(rows.slices, chosen, strict=True) if taken],
        matrix=lambda position: rows.matrix(int(index[position])),
        slack=rows.slack[index],
    )
