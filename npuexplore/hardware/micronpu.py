"""What a profile says about a generic microNPU."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from npuexplore.documents.model import Model
from npuexplore.hardware.figures import (
    ActivationBits,
    Count,
    Cycles,
    Granule,
    PerElem,
    Rate,
    SparsityMode,
    WeightBits,
)

Operator = Literal["dense", "conv1x1", "lstm", "gru", "relu", "sigmoid", "tanh"]
MicroNpuFormat = Literal["dense", "bitmap", "csr_delta8", "block_bitmap", "block_index", "two_four"]


class WeightRate(Model):
    """How fast the engine is with weights of one width."""

    weight_bits: WeightBits
    mac_rate_factor: Rate = 1.0
    """MACs per cycle at this width, divided by `outputs_per_cycle * inputs_per_cycle`."""
    decoded_weights_per_cycle: Rate | None = None
    """Weights of this width handed to the MAC array; null for the engine's common rate."""


class MicroNpu(Model):
    """A generic microNPU: a MAC array fed by a weight decoder, with or without skipping of zeros."""

    family: Literal["micronpu"]
    runs: Annotated[tuple[Operator, ...], Field(min_length=1, strict=False)] = get_args(Operator)
    """Layers and activation functions that the engine does itself; the profile's `fallback_cpu` does the
    others. A recurrent layer whose sigmoid or tanh is left out does its products here, the rest there."""
    weight_bits: Annotated[tuple[WeightBits, ...], Field(min_length=1, strict=False)]
    """Widths of stored weights."""
    activation_bits: Annotated[tuple[ActivationBits, ...], Field(min_length=1, strict=False)]
    """Widths of activations."""
    outputs_per_cycle: Count
    """Rows of the MAC array: outputs that it works on at once."""
    inputs_per_cycle: Count
    """Columns of the MAC array: inputs of each output."""
    positions_per_cycle: Count = 1
    """Positions of a convolution that share a weight at once; a layer with one position uses one."""
    mac_passes_16bit_activations: Annotated[int, Field(ge=1, le=8)]
    """Passes over the array when activations have 16 bits."""
    weight_rates: Annotated[tuple[WeightRate, ...], Field(strict=False)] = ()
    """Widths at which the array or the decoder is faster or slower than at 8 bits."""
    sparsity_mode: SparsityMode
    """none: zeros are stored and multiplied; compress_only: stored smaller, multiplied; two_four, block_skip
    and zero_skip: the array works on two of four inputs, on blocks or on weights that are not zero."""
    formats: Annotated[tuple[MicroNpuFormat, ...], Field(min_length=1, strict=False)]
    """Storage formats that the decoder reads; dense always works."""
    granule: Annotated[Granule, Field(strict=False)]
    """[outputs, inputs] of the block that is stored or skipped as a whole."""
    map_bits_per_granule: Annotated[int, Field(ge=0, le=64)]
    """Bits of block_bitmap for every block, stored or not."""
    index_bits_per_stored_granule: Annotated[int, Field(ge=0, le=64)] = 8
    """Bits of block_index for every stored block."""
    pointer_bits_per_granule_row: Annotated[int, Field(ge=0, le=64)] = 16
    """Bits of block_index for every row of blocks."""
    cycles_per_index: PerElem = 0.0
    """Time of the decoder to find the next stored block, or weight of bitmap and csr_delta8."""
    lanes: Literal["shared", "own"] | None = None
    """shared: what is left is dealt to all lanes evenly; own: every output (or row of granules) keeps its
    lanes, and all wait for the fullest one. null: own under zero_skip, else shared."""
    decoded_bytes_per_cycle: Rate | None = None
    """Bytes of weights handed to the MAC array, packed as they are stored."""
    decoded_weights_per_cycle: Rate | None = None
    """Weights handed to the MAC array, whatever their width; one of the two rates is given."""
    weight_transfer: Literal["streamed", "double_buffered", "before_use"] = "streamed"
    """streamed: read while they are used; double_buffered: by tiles, the next one while one is used;
    before_use: a layer starts when its weights are there. Weights beside the activations are streamed."""
    weight_tile_bytes: Count | None = None
    """Stored weights of one tile: half of the buffer, which is the engine's own; for double_buffered."""
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

    @model_validator(mode="after")
    def one_decode_rate(self) -> MicroNpu:
        """The decoder is counted in bytes or in weights."""
        given = [self.decoded_bytes_per_cycle, self.decoded_weights_per_cycle]
        if given.count(None) != 1:
            raise ValueError("give decoded_bytes_per_cycle or decoded_weights_per_cycle, one of the two")
        return self

    @model_validator(mode="after")
    def rates_of_listed_widths(self) -> MicroNpu:
        """Every entry of weight_rates is for a width that the engine has, once."""
        widths = [rate.weight_bits for rate in self.weight_rates]
        for width in widths:
            if width not in self.weight_bits or widths.count(width) > 1:
                raise ValueError(
                    f"weight_rates: got {widths}; allowed: each of weight_bits {list(self.weight_bits)} once"
                )
        return self

    @model_validator(mode="after")
    def formats_suit_mode(self) -> MicroNpu:
        """What is skipped must be stored so that it can be skipped."""
        needed = {
            "two_four": ("two_four",),
            "block_skip": ("block_bitmap", "block_index"),
            "zero_skip": ("bitmap", "csr_delta8"),
        }.get(self.sparsity_mode)
        if needed is not None and not set(needed) & set(self.formats):
            raise ValueError(f"sparsity_mode {self.sparsity_mode} needs {' or '.join(needed)} among formats")
        if self.sparsity_mode == "none" and set(self.formats) != {"dense"}:
            raise ValueError(
                f"sparsity_mode none stores dense only, got formats {list(self.formats)}; "
                "write compress_only where zeros are stored smaller"
            )
        return self

    @model_validator(mode="after")
    def tiles_have_a_size(self) -> MicroNpu:
        """Double buffering needs the size of a tile, and nothing else does."""
        if (self.weight_transfer == "double_buffered") != (self.weight_tile_bytes is not None):
            raise ValueError("weight_tile_bytes goes with weight_transfer double_buffered, and only with it")
        return self

    @property
    def keeps_lanes(self) -> bool:
        """Whether the fullest lane holds up the others."""
        lanes = self.lanes or ("own" if self.sparsity_mode == "zero_skip" else "shared")
        return lanes == "own"
