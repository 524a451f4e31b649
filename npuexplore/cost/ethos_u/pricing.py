"""Prices of the commands of a layer's list: NPU cycles, and the streams of each through the memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.commands import (
    CommandCycles,
    Products,
    blocks_of,
    product_bytes,
    product_cycles,
    product_output_cycles,
)
from npuexplore.cost.ethos_u.glue import (
    Copies,
    Elementwise,
    copy_bytes,
    copy_cycles,
    elementwise_bytes,
    elementwise_cycles,
    elementwise_output_cycles,
)
from npuexplore.cost.ethos_u.lowering import Command, Place, Tensor
from npuexplore.cost.ethos_u.streams import BRICK_ELEMS, Stream, burst_bytes, read_run_bytes
from npuexplore.hardware.ethos_u import EthosU, EthosU85
from npuexplore.hardware.profile import MemoryRegion
from npuexplore.units import ceil_div, round_up

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

COUNTED_CHAIN = 1
"""Results of longer chains are not counted: Vela takes one tensor of a chained command, operands first."""
SCALE_ALIGNMENT_BYTES = 16
"""Streams of biases and scales end on 16 bytes."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a layer; arrays that broadcast with each other."""

    inputs: Counts
    units: Counts
    activation_bytes: Counts
    """Of one element of its input, output and hidden state."""
    two_four: Flags
    positions: int = 1
    """Vectors that are multiplied by the same weights, of a 1x1 convolution."""


@dataclass(frozen=True)
class Placement:
    """Which memory holds what while a command runs."""

    memories: Mapping[str, MemoryRegion]
    tensors: Mapping[Place, str]
    weights: str
    staging: str | None = None
    """Memory that the command's weights are staged in; None where they are read in place."""

    def of(self, tensor: Tensor) -> str:
        """Name of a tensor's memory."""
        return self.tensors[tensor.place]


@dataclass(frozen=True)
class Priced:
    """What a command takes, weights and transfers between memories apart."""

    cycles: CommandCycles
    streams: list[Stream]
    """Of feature maps."""


def price(
    engine: EthosU,
    command: Command,
    sizes: Sizes,
    placement: Placement,
    *,
    blocks: Blocks | None = None,
) -> Priced:
    """One command of a layer at batch 1. blocks : of a product, if they are known already."""
    if command.kind == "product":
        return _product(engine, command, sizes, placement, blocks)
    if command.kind in ("copy", "activation"):
        return _copy(engine, command, sizes, placement)
    if command.kind in ("add", "mul"):
        return _elementwise(engine, command, sizes, placement)
    none = np.zeros(np.shape(sizes.units), np.int64)
    return Priced(CommandCycles(none, none, none, none, none, none, none, none), [])


def products_of(engine: EthosU, command: Command, sizes: Sizes) -> Products:
    """What a product command is asked to do."""
    (read,), written = command.reads, _written(command)
    width = sizes.activation_bytes
    output_bytes = _elem_bytes(written, width)
    cycles = product_output_cycles(
        engine,
        input_bytes=width,
        output_bytes=output_bytes,
        activation=command.fused,
    )
    for operand in command.chained:
        cycles = cycles + elementwise_output_cycles(
            engine, "add", output_bytes=_elem_bytes(operand, width), fused_lut=False
        )
    return Products(
        inputs=sizes.units if command.from_state else sizes.inputs,
        outputs=sizes.units,
        input_bytes=width,
        output_bytes=output_bytes,
        output_cycles=cycles,
        brick_input=read.bricks,
        brick_output=written.bricks,
        two_four=sizes.two_four,
        positions=sizes.positions,
    )


def scale_bytes(engine: EthosU, outputs: Counts, *, ublock_depth: Counts) -> Counts:
    """Bytes of the streams of biases and scales of `outputs` channels, one stream per core.

    An Ethos-U85 has a single stream, filled up to whole bricks and microblocks.
    """
    if isinstance(engine, EthosU85):
        whole = round_up(outputs, np.maximum(BRICK_ELEMS, ublock_depth))
        return np.asarray(whole * engine.bias_stream_bytes)
    dealt = [ceil_div(np.maximum(outputs - core, 0), engine.cores) for core in range(engine.cores)]
    return np.asarray(
        sum(round_up(channels * engine.bias_stream_bytes, SCALE_ALIGNMENT_BYTES) for channels in dealt)
    )


def weight_streams(
    placement: Placement,
    *,
    encoded: Counts,
    scales: Counts,
    fast: Flags | None = None,
    passes: Counts | int = 1,
) -> list[Stream]:
    """Streams of a product's weights: read in place, or copied to the staging memory and read there.

    fast : of the staged ones, which are in the fast format; None for none ; passes : how often a product
    over positions reads them
    """
    in_scales = Stream(placement.weights, "scale", np.asarray(scales * passes))
    again = np.asarray(encoded * passes)
    if placement.staging is None:
        return [Stream(placement.weights, "weight", again), in_scales]
    staged = [
        Stream(placement.weights, "mem2mem", encoded),
        Stream(placement.staging, "write", encoded),
        in_scales,
    ]
    if fast is None:
        return [*staged, Stream(placement.staging, "weight", again)]
    return [
        *staged,
        Stream(placement.staging, "weight", np.where(fast, 0, again)),
        Stream(placement.staging, "fast_weight", np.where(fast, again, 0)),
    ]


def _product(
    engine: EthosU, command: Command, sizes: Sizes, placement: Placement, blocks: Blocks | None
) -> Priced:
    products = products_of(engine, command, sizes)
    blocks = blocks or blocks_of(engine, products)
    (read,), written = command.reads, _written(command)
    source, target = (placement.memories[placement.of(tensor)] for tensor in (read, written))
    weights_in = placement.staging or placement.weights
    cycles = product_cycles(
        engine,
        products,
        input_memory=source,
        output_memory=target,
        bias_latency_cycles=placement.memories[weights_in].read_latency_cycles,
        blocks=blocks,
    )
    read_bytes, written_bytes = product_bytes(
        engine, products, input_memory=source, output_memory=target, blocks=blocks
    )
    streams = [Stream(placement.of(read), "ifm", read_bytes)]
    if len(command.chained) <= COUNTED_CHAIN:
        streams.append(Stream(placement.of(written), "write", written_bytes))
    streams += [
        Stream(placement.of(tensor), "ifm_stream", _chained_bytes(tensor, sizes, placement, blocks))
        for tensor in command.chained
    ]
    return Priced(cycles, streams)


def _chained_bytes(tensor: Tensor, sizes: Sizes, placement: Placement, blocks: Blocks) -> Counts:
    """Bytes of the second operand of a chained command, cut like the product's input."""
    size = _elem_bytes(tensor, sizes.activation_bytes)
    runs = read_run_bytes(
        elems=sizes.units,
        elem_bytes=size,
        block_depth=blocks.ifm_depth,
        block_width=blocks.ifm_width,
        tensor_width=1,
        bricks=tensor.bricks,
    )
    stored = round_up(sizes.units, BRICK_ELEMS) if tensor.bricks else sizes.units
    return burst_bytes(stored * size, runs, burst=placement.memories[placement.of(tensor)].burst_bytes)


def _copy(engine: EthosU, command: Command, sizes: Sizes, placement: Placement) -> Priced:
    (read,), written = command.reads, _written(command)
    copies = Copies(
        outputs=sizes.units,
        elem_bytes=_elem_bytes(written, sizes.activation_bytes),
        brick_input=read.bricks,
        brick_output=written.bricks,
        activation=command.kind == "activation",
    )
    source, target = (placement.memories[placement.of(tensor)] for tensor in (read, written))
    cycles = copy_cycles(engine, copies, input_memory=source, output_memory=target)
    read_bytes, written_bytes = copy_bytes(engine, copies, input_memory=source, output_memory=target)
    return Priced(
        cycles,
        [
            Stream(placement.of(read), "ifm", read_bytes),
            Stream(placement.of(written), "write", written_bytes),
        ],
    )


def _elementwise(engine: EthosU, command: Command, sizes: Sizes, placement: Placement) -> Priced:
    (first, second), written = command.reads, _written(command)
    width = sizes.activation_bytes
    output_bytes = _elem_bytes(written, width)
    work = Elementwise(
        outputs=sizes.units,
        input_bytes=(_elem_bytes(first, width), _elem_bytes(second, width)),
        brick_inputs=(first.bricks, second.bricks),
        output_bytes=output_bytes,
        brick_output=written.bricks,
        output_cycles=elementwise_output_cycles(
            engine, command.kind, output_bytes=output_bytes, fused_lut=command.fused == "lut"
        ),
    )
    names = [placement.of(tensor) for tensor in (first, second, written)]
    one, two, target = (placement.memories[name] for name in names)
    cycles = elementwise_cycles(engine, work, input_memories=(one, two), output_memory=target)
    moved = elementwise_bytes(engine, work, input_memories=(one, two), output_memory=target)
    channels = ("ifm_stream", "ifm_stream", "write")
    return Priced(cycles, [Stream(*each) for each in zip(names, channels, moved, strict=True)])


def _written(command: Command) -> Tensor:
    assert command.writes is not None
    return command.writes


def _elem_bytes(tensor: Tensor, activation_bytes: Counts) -> Counts:
    return np.full_like(activation_bytes, 2) if tensor.wide else activation_bytes
