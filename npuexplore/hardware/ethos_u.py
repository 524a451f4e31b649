"""What a profile says about an Arm Ethos-U."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from npuexplore.documents.model import Model
from npuexplore.hardware.figures import Count, Cycles, Frac, PerElem, Rate


class EncodedSize(Model):
    """Expected size of weights under a lossless coder, over the share of zeros."""

    weight_bits: Literal[4, 8]
    grid_zeros_frac: Frac
    """Zeros that the integer grid alone gave in the matrix the curve was measured on."""
    sparsity_frac: Annotated[tuple[Frac, ...], Field(min_length=2, strict=False)]
    bytes_per_weight: Annotated[tuple[Rate, ...], Field(min_length=2, strict=False)]

    @model_validator(mode="after")
    def falls_with_sparsity(self) -> EncodedSize:
        """Points in order, and more zeros never larger."""
        sparsity, size = self.sparsity_frac, self.bytes_per_weight
        if len(sparsity) != len(size):
            raise ValueError("sparsity_frac and bytes_per_weight must be equally long")
        if list(sparsity) != sorted(set(sparsity)) or sparsity[0] != 0.0:
            raise ValueError("sparsity_frac must start at 0 and rise")
        if list(size) != sorted(size, reverse=True):
            raise ValueError("bytes_per_weight must not rise with sparsity_frac")
        return self


class Lowering(Model):
    """Element-wise commands that a recurrent step becomes, beside its matrix-vector products."""

    add_ops: Cycles
    mul_ops: Cycles
    copy_8bit_ops: Cycles
    copy_16bit_ops: Cycles
    scratch_bytes_per_unit: Cycles
    """Gate values alive at once."""


class EthosU(Model):
    """Arm Ethos-U55/U65 as Arm's compiler Vela models it; zeros act through encoded bytes only."""

    family: Literal["ethos_u"]
    macs_per_cycle: Count
    cores: Annotated[int, Field(ge=1, le=16)]
    ofm_ublock_width_elems: Count
    ofm_ublock_depth_elems: Count
    ifm_ublock_depth_elems: Count
    ifm_block_8bit_elems: Count
    """Depth of an input block for int8 inputs."""
    ifm_block_16bit_elems: Count
    ofm_block_max_elems: Count
    """Greatest depth of an output block."""
    weights_decoded_per_cycle: Count
    """The weight decoder's limit at batch 1, for each core."""
    first_block_delay_cycles: Cycles
    """Added to every input block when an output block is one microblock deep."""
    add_cycles_per_elem: PerElem
    mul_cycles_per_elem: PerElem
    output_cycles_per_elem: PerElem
    lut_cycles_per_elem: PerElem
    bias_stream_bytes: Count
    """Bytes of bias and scale per output."""
    command_overlap_divisor: Count
    """Share of a block's work that the next command needs: 1/divisor."""
    lstm: Lowering
    gru: Lowering
    encoded_size: Annotated[tuple[EncodedSize, ...], Field(min_length=1, strict=False)]
