"""1x1 convolutions over several positions: their weights are read again for every row of blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npuexplore.cost.ethos_u.blocks import Blocks
from npuexplore.cost.ethos_u.commands import Products, blocks_of, weight_passes
from npuexplore.cost.ethos_u.expected import ExpectedWeights
from npuexplore.cost.ethos_u.placement import final_placement, stages_weights
from npuexplore.cost.ethos_u.pricing import Sizes, price, products_of, scale_bytes, weight_streams
from npuexplore.cost.ethos_u.schedule import Cost, Step
from npuexplore.cost.ethos_u.staging import transfer_cycles
from npuexplore.cost.ethos_u.streams import access_cycles, moved_bytes
from npuexplore.cost.traffic import Route
from npuexplore.hardware.ethos_u import EthosU

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ConvolutionCost:
    """A convolution of P plans."""

    cost: Cost
    weight_bytes: Counts


def convolution_cost(
    engine: EthosU, route: Route, step: Step, sizes: Sizes, weights: ExpectedWeights
) -> ConvolutionCost:
    """A convolution with its weights read in place, or copied to the staging memory first if that is faster.

    Vela's own choice weighs slices too; here the copy is of all weights at once.
    """
    products = products_of(engine, step.command, sizes)
    blocks = blocks_of(engine, products)
    none = np.zeros_like(sizes.units)
    whole = np.zeros((none.size, 1), np.int64), np.asarray(sizes.units)[:, None]
    encoded = weights(0, step.command).slice_bytes(none)(*whole)[:, 0]
    cost = _cost(engine, route, step, sizes, products, blocks, encoded, staged=False)
    if stages_weights(route):
        copied = _cost(engine, route, step, sizes, products, blocks, encoded, staged=True)
        cost = _faster(cost, copied)
    return ConvolutionCost(cost, encoded)


def _cost(
    engine: EthosU,
    route: Route,
    step: Step,
    sizes: Sizes,
    products: Products,
    blocks: Blocks,
    encoded: Counts,
    *,
    staged: bool,
) -> Cost:
    placement = final_placement(route, staged=staged)
    priced = price(engine, step.command, sizes, placement, blocks=blocks)
    scales = scale_bytes(engine, sizes.units, ublock_depth=blocks.ublock_depth)
    passes = weight_passes(products, blocks)
    streams = priced.streams + weight_streams(placement, encoded=encoded, scales=scales, passes=passes)
    memory = access_cycles(engine, streams, placement.memories)
    npu = priced.cycles.npu
    if placement.staging is not None:
        source, target = (placement.memories[name] for name in (placement.weights, placement.staging))
        npu = npu + transfer_cycles(engine, encoded + scales, source=source, target=target)
    return Cost(
        step=step,
        npu_cycles=npu,
        op_cycles=np.asarray(np.maximum.reduce([npu, *memory.values()])),
        memory_cycles=memory,
        memory_bytes=moved_bytes(streams),
        staged=None,
        format_index=None,
    )


def _faster(one: Cost, other: Cost) -> Cost:
    """Plan by plan the cheaper of two."""
    better = other.op_cycles < one.op_cycles
    names = dict.fromkeys([*one.memory_cycles, *other.memory_cycles])
    none = np.zeros_like(one.op_cycles)
    return Cost(
        step=one.step,
        npu_cycles=np.where(better, other.npu_cycles, one.npu_cycles),
        op_cycles=np.where(better, other.op_cycles, one.op_cycles),
        memory_cycles={
            name: np.where(better, other.memory_cycles.get(name, none), one.memory_cycles.get(name, none))
            for name in names
        },
        memory_bytes={
            name: np.where(better, other.memory_bytes.get(name, none), one.memory_bytes.get(name, none))
            for name in names
        },
        staged=None,
        format_index=None,
    )
