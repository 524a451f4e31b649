"""The engine families, told apart by `family`; `cost` has a sibling for each."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.micronpu import MicroNpu

Engine = Annotated[EthosU | MicroNpu | CortexM, Field(discriminator="family")]


def block_granules(engine: EthosU | MicroNpu | CortexM) -> list[tuple[int, int]]:
    """Blocks [outputs, inputs] that suit an engine: what it skips, has a kernel for, or streams together.

    An Ethos-U skips nothing; its microblock is the unit of its weight stream.
    """
    if isinstance(engine, CortexM):
        kernels = [kernel.block for kernel in engine.kernels.sparse if kernel.block != (1, 1)]
        return list(dict.fromkeys(kernels))
    if isinstance(engine, MicroNpu):
        return [engine.granule]
    return [(engine.ofm_ublock_depth_elems, engine.ifm_ublock_depth_elems)]
