"""What a profile says about an Arm Ethos-U: U55 and U65 (`ethos_u`), U85 (`ethos_u85`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from npuexplore.documents.model import Model
from npuexplore.hardware.figures import Count, Cycles, PerElem

WEIGHT_BITS = (2, 3, 4, 6, 8)
"""Widths of weight grids that the weight decoder's 9-bit values can hold and a plan may ask for."""

Work = Literal["product_8bit", "product_16bit", "pooling_8bit", "pooling_16bit"]
Area = tuple[Count, Count]


class Microblock(Model):
    """A group of output elements that the MAC array works on at once."""

    height: Count
    width: Count
    depth: Count
    does: Annotated[tuple[Work, ...], Field(min_length=1, strict=False)]
    """Commands by width of their input that may use it; element-wise ones may always."""
    ifm_granules: Annotated[tuple[Annotated[Area, Field(strict=False)], ...], Field(strict=False)] = ()
    """[height, width] of an input allocation for depths of up to 128 bits, up to 256 bits, and more."""


class BlockLimit(Model):
    """Greatest output block."""

    height: Count
    width: Count
    depth: Count


class ActivationCycles(Model):
    """Cycles per element of an activation function at the end of a command."""

    lut: PerElem
    relu: PerElem


class EthosU(Model):
    """What all generations have in common."""

    macs_per_cycle: Count
    cores: Annotated[int, Field(ge=1, le=16)]
    """Weight decoders; each takes every cores-th output channel."""
    microblocks: Annotated[tuple[Microblock, ...], Field(min_length=1, strict=False)]
    """In the order in which the compiler tries them."""
    ifm_ublock_depth_elems: Count
    ofm_block_limit: BlockLimit
    decode_cycles_per_output: Count
    """Least time for an input block, per output of a microblock: what the weight decoder needs."""
    block_delay_cycles: Cycles
    """Added to every input block when an output block is one microblock deep."""
    block_delay_16bit_cycles: Cycles
    """The same for 16-bit inputs, whose accumulators are wider."""
    activation_cycles: ActivationCycles
    bias_stream_bytes: Count
    """Bytes of bias and scale per output."""
    command_overlap_divisor: Count
    """Share of a block's work that the next command needs: 1/divisor."""


class OutputCycles(Model):
    """Cycles per element that leaves an Ethos-U55 or U65, by kind of command."""

    other: PerElem
    """Products, copies, clamps and look-ups."""
    wide: PerElem
    """Multiplications, and products with 40-bit accumulators."""
    add: PerElem


class SharedRam(Model):
    """SHRAM: input, accumulators and tables share banks of 1 KiB, handed out in granules."""

    banks: Count
    output_banks: Count
    reserved_end_banks: Cycles
    ifm_8bit_granule_banks: Count
    ifm_16bit_granule_banks: Count
    accumulator_32bit_granule_banks: Count
    accumulator_40bit_granule_banks: Count


class EthosU55(EthosU):
    """Arm Ethos-U55/U65 as Arm's compiler Vela models it; zeros act through encoded bytes only."""

    family: Literal["ethos_u"]
    ifm_block_8bit_elems: Count
    """Depth of an input block for int8 inputs."""
    ifm_block_16bit_elems: Count
    ifm_16bit_step_elems: Count
    """Depths of 16-bit input blocks are multiples of this."""
    delays_every_ublock_16bit: bool
    """Whether the wide accumulators hold up every microblock, not only lone ones."""
    pooling_cycles_scale_with_bits: bool
    """Whether a pooling step takes longer for wider inputs; else each takes the same."""
    output_cycles: OutputCycles
    shared_ram: SharedRam

    @model_validator(mode="after")
    def one_microblock(self) -> EthosU55:
        """These generations have a single microblock."""
        if len(self.microblocks) != 1:
            raise ValueError("microblocks: family ethos_u has exactly one")
        return self


class OutputCycles85(Model):
    """Cycles per element that leaves an Ethos-U85, by width of the output."""

    out_8bit: PerElem
    out_16bit: PerElem
    out_32bit: PerElem
    out_64bit: PerElem
    chained_32bit: PerElem
    """32-bit values handed on inside a chain."""
    binary_32bit: PerElem


class ReadBuffers(Model):
    """16-byte words that a channel can have under way."""

    mem2mem: Count
    ifm_stream: Count
    weight: Count
    fast_weight: Count
    ifm: Count
    scale: Count


class EthosU85(EthosU):
    """Arm Ethos-U85 as Arm's compiler Vela models it: several microblocks, channels, 2:4 weights."""

    family: Literal["ethos_u85"]
    ifm_block_elems: Count
    """Depth of an input block."""
    ifm_block_two_four_elems: Count
    """The same for 8-bit inputs of weights in the 2:4 format."""
    ifm_block_part_kernel_elems: Count
    """The same where few inputs make the compiler fill a block with kernel elements."""
    ifm_block_deep_ublock_elems: Count
    """The same for microblocks deeper than the first."""
    ifm_ram_bytes: Annotated[int, Field(ge=1, le=2**24)]
    accumulator_ram_bytes: Annotated[int, Field(ge=1, le=2**24)]
    output_ram_bytes: Annotated[int, Field(ge=1, le=2**24)]
    chain_ram_bytes: Annotated[int, Field(ge=1, le=2**24)]
    output_cycles: OutputCycles85
    read_buffer_words: ReadBuffers
