"""Expected bytes of encoded weights, for plans whose weights are not known yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.mlw import MlwStream
from npuexplore.hardware.ethos_u import EthosU, EthosU55, EthosU85
from npuexplore.units import round_up

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

ENCODED_ALIGNMENT_BYTES = 16
PART_KERNEL_STEPS = {False: 2, True: 4}
"""Kernel elements that a single one is padded to in part-kernel blocks; in the 2:4 format."""
IFM_BLOCK_ELEMS = 32
ZEROS_FRAC = (0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
CURVES = {
    8: (0.893, 0.879, 0.739, 0.563, 0.476, 0.374, 0.267, 0.208, 0.147, 0.081, 0.042, 0.029),
    4: (0.428, 0.411, 0.375, 0.292, 0.250, 0.203, 0.149, 0.119, 0.085, 0.051, 0.030, 0.023),
}
"""Bytes per weight over the share of zeros; ethos-u-vela 5.2.0, a 256x256 Gaussian matrix on a U55-128."""
DENSE_BYTES = {8: 0.893, 6: 0.698, 4: 0.428, 3: 0.314, 2: 0.165}
"""Bytes per dense weight of coarser grids; the same source."""
GRID_ZEROS_FRAC = {8: 0.012, 6: 0.05, 4: 0.169, 3: 0.3, 2: 0.52}
"""Zeros that the integer grid alone gives a Gaussian matrix."""


def encoded_bytes(
    engine: EthosU, *, rows: Counts, columns: Counts, kept: Floats, weight_bits: Counts
) -> Counts:
    """(P, M) expected encoded bytes of one gate's matrix, on whole 16 bytes.

    kept : (P, M) non-zero weights. The matrix is padded with zeros to whole microblocks and input blocks;
    bytes per weight are interpolated over the share of zeros, blocks of zeros encoding no better than
    single ones.
    """
    padded = round_up(rows, engine.microblocks[0].depth) * round_up(columns, IFM_BLOCK_ELEMS)
    zeros_frac = 1.0 - kept / padded
    size = np.zeros(zeros_frac.shape, order="F")
    for bits, dense in DENSE_BYTES.items():
        chosen = weight_bits == bits
        if chosen.any():
            base = 8 if bits > 4 else 4
            curve = np.array(CURVES[base]) * (dense / DENSE_BYTES[base])
            size = np.where(chosen, np.interp(zeros_frac, ZEROS_FRAC, curve), size)
    return np.asarray(round_up(np.rint(padded * size).astype(np.int64), ENCODED_ALIGNMENT_BYTES))


def stream_order(
    engine: EthosU, *, ublock_depth: int, ifm_depth: int, part_kernel: bool, two_four: bool
) -> MlwStream:
    """The order in which a part meets the weights of a product, for sizes of real tensors."""
    if isinstance(engine, EthosU85):
        return MlwStream(
            generation="alternating",
            ofm_ublock_elems=ublock_depth,
            ifm_block_elems=ifm_depth,
            ifm_ublock_elems=engine.ifm_ublock_depth_elems * (2 if two_four else 1),
            cores=engine.cores,
            kernel_steps=PART_KERNEL_STEPS[two_four] if part_kernel else 1,
        )
    assert isinstance(engine, EthosU55)
    return MlwStream(
        generation="depth_first",
        ofm_ublock_elems=ublock_depth,
        ifm_block_elems=engine.ifm_block_8bit_elems,
        cores=engine.cores,
    )
