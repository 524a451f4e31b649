"""What a profile says about a generic microNPU."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from npuexplore.documents.model import Model
from npuexplore.hardware.figures import Count, Cycles, Granule, Rate, SparsityMode


class MicroNpu(Model):
    """A generic microNPU: a MAC array fed by a weight decoder, with or without skipping of zeros."""

    family: Literal["micronpu"]
    outputs_per_cycle: Count
    """Rows of the MAC array."""
    inputs_per_cycle: Count
    """Columns of the MAC array."""
    mac_passes_16bit_activations: Annotated[int, Field(ge=1, le=8)]
    """Passes over the array when activations have 16 bits."""
    mac_passes_4bit_weights: Annotated[int, Field(ge=1, le=8)] = 1
    sparsity_mode: SparsityMode
    formats: Annotated[
        tuple[Literal["dense", "bitmap", "csr_delta8", "block_bitmap"], ...], Field(strict=False)
    ]
    """Storage formats that the decoder reads; dense always works."""
    granule: Annotated[Granule, Field(strict=False)]
    """[outputs, inputs] of the block that is stored or skipped as a whole."""
    map_bits_per_granule: Annotated[int, Field(ge=0, le=64)]
    decoded_bytes_per_cycle: Rate
    """Weights handed to the MAC array."""
    block_row_outputs: Count
    """Outputs that the array works on together: one block row."""
    cycles_per_block_row: Cycles
    """Fetching the map, filling and draining, for every block row."""
    cycles_per_layer: Cycles
    """Starting a layer."""
    lut_elems_per_cycle: Rate
    elementwise_ops_per_cycle: Rate
    lstm_scratch_bytes_per_unit: Cycles
    gru_scratch_bytes_per_unit: Cycles
