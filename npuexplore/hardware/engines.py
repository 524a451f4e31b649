"""The engine families, told apart by `family`; `cost` has a sibling for each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from npuexplore.hardware.cortex_m import WEIGHT_BITS as CORTEX_M_WEIGHT_BITS
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.ethos_u import WEIGHT_BITS, EthosU55, EthosU85
from npuexplore.hardware.kernels.sparse import block_shapes
from npuexplore.hardware.micronpu import MicroNpu

Engine = Annotated[EthosU55 | EthosU85 | MicroNpu | CortexM, Field(discriminator="family")]


def block_granules(engine: Engine) -> list[tuple[int, int]]:
    """Blocks [outputs, inputs] that suit an engine: what it skips, has a kernel for, or streams together.

    An Ethos-U skips nothing; its microblock is the unit of its weight stream. A microNPU without blocks of
    its own has the tile of its MAC array.
    """
    if isinstance(engine, CortexM):
        return list(block_shapes())
    if isinstance(engine, MicroNpu):
        tile = (min(engine.outputs_per_cycle, 256), min(engine.inputs_per_cycle, 256))
        return [block for block in (engine.granule, tile) if block != (1, 1)][:1]
    return [(engine.microblocks[0].depth, engine.ifm_ublock_depth_elems)]


def weight_widths(engine: Engine) -> tuple[int, ...]:
    """Bits of weights that an engine stores and runs; of a Cortex-M, those that CMSIS-NN has kernels for."""
    if isinstance(engine, CortexM):
        return CORTEX_M_WEIGHT_BITS
    if isinstance(engine, MicroNpu):
        return engine.weight_bits
    return WEIGHT_BITS


def activation_widths(engine: Engine) -> tuple[int, ...]:
    """Bits of activations that an engine runs."""
    return engine.activation_bits if isinstance(engine, MicroNpu) else (8, 16)


def skips_two_four(engine: Engine) -> bool:
    """Whether an engine stores and runs 2:4 weights as such."""
    if isinstance(engine, MicroNpu):
        return engine.sparsity_mode == "two_four"
    return str(engine.family) == "ethos_u85"
