"""Exact bytes of real matrices as an Ethos-U stores them."""

from __future__ import annotations

import numpy as np

from npuexplore.compression.mlw.size import encoded_bytes
from npuexplore.cost.ethos_u.blocks import product_blocks
from npuexplore.cost.ethos_u.coder import stream_order
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.units import IntArray


def stored_bytes(engine: EthosU, weights: IntArray, *, input_bytes: int) -> int:
    """Encoded size of a matrix (outputs, inputs) of integer weights, in the default format, unsliced.

    input_bytes : of one element of the vector that it multiplies
    """
    outputs, inputs = weights.shape
    blocks = product_blocks(
        engine,
        inputs=np.array([inputs]),
        outputs=np.array([outputs]),
        input_bytes=np.array([input_bytes]),
        two_four=np.array([False]),
    )
    order = stream_order(
        engine,
        ublock_depth=int(blocks.ublock_depth[0]),
        ifm_depth=int(blocks.ifm_depth[0]),
        part_kernel=bool(blocks.part_kernel[0]),
        two_four=False,
        input_bytes=input_bytes,
    )
    return encoded_bytes(weights, stream=order, ofm_block_depth=int(blocks.depth[0]))
