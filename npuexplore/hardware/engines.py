"""The three engine families: what a profile says about each; `cost` has a sibling file per family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from npuexplore.documents.model import Model, Name

Count = Annotated[int, Field(ge=1, le=65_536)]
Cycles = Annotated[int, Field(ge=0, le=1_000_000)]
PerElem = Annotated[float, Field(ge=0, le=1e6)]
Rate = Annotated[float, Field(ge=0.001, le=1e6)]
Frac = Annotated[float, Field(ge=0, le=1)]
Granule = tuple[Annotated[int, Field(ge=1, le=256)], Annotated[int, Field(ge=1, le=256)]]
StorageFormat = Literal["dense", "bitmap", "csr_delta8", "block_bitmap", "mlw"]
SparsityMode = Literal["none", "compress_only", "two_four", "block_skip", "zero_skip"]


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


class LinearKernel(Model):
    """cycles = macs * cycles_per_mac + rows * cycles_per_row + cycles_per_call."""

    cycles_per_mac: PerElem
    cycles_per_row: PerElem
    cycles_per_call: Annotated[float, Field(ge=-1e6, le=1e6)]


class RecurrentKernel(Model):
    """A recurrent step: `gates * 2` products, then per-unit work and a constant."""

    cycles_per_mac: PerElem
    cycles_per_unit: PerElem
    """Everything that grows with hidden units, rows of the products included."""
    cycles_per_step: PerElem


class SparseKernel(Model):
    """A matrix-vector product over stored blocks, int8."""

    format: Literal["csr_delta8", "block_index"]
    block: Annotated[Granule, Field(strict=False)]
    index_bits_per_block: Annotated[int, Field(ge=0, le=32)]
    pointer_bits_per_row: Annotated[int, Field(ge=0, le=32)]
    """Per row of blocks."""
    cycles_per_block: PerElem
    cycles_per_row: PerElem
    cycles_per_call: Annotated[float, Field(ge=-1e6, le=1e6)]


class Toolchain(Model):
    """Kernel coefficients under one compiler."""

    fc_s8: LinearKernel
    fc_s4: LinearKernel
    fc_s16: LinearKernel
    lstm_s8: RecurrentKernel
    gru_s8: RecurrentKernel
    sigmoid_cycles_per_elem: PerElem
    tanh_cycles_per_elem: PerElem
    relu_cycles_per_elem: PerElem
    sparse: Annotated[tuple[SparseKernel, ...], Field(strict=False)] = ()


class CortexM(Model):
    """A Cortex-M running CMSIS-NN kernels and plain C sparse kernels."""

    family: Literal["cortex_m"]
    core: Literal["m0plus", "m3", "m4", "m7", "m33", "m55", "m85"]
    toolchain: Name
    """Which of `toolchains` counts."""
    toolchains: Annotated[Mapping[Name, Toolchain], Field(min_length=1)]
    memory_wait_ratio: Annotated[float, Field(ge=1, le=20)]
    """Cycles on this part divided by cycles with zero-wait-state memory."""
    lstm_scratch_bytes_per_unit: Cycles
    gru_scratch_bytes_per_unit: Cycles

    @model_validator(mode="after")
    def toolchain_is_listed(self) -> CortexM:
        """The chosen toolchain has coefficients."""
        if self.toolchain not in self.toolchains:
            raise ValueError(f"toolchain: got {self.toolchain!r}; allowed: {', '.join(self.toolchains)}")
        return self

    @property
    def kernels(self) -> Toolchain:
        """Coefficients of the chosen toolchain."""
        return self.toolchains[self.toolchain]


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
