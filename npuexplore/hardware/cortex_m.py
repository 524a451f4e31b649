"""What a profile says about a Cortex-M: kernels, toolchains, memory wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from npuexplore.documents.model import Model, Name
from npuexplore.hardware.figures import Cycles, Granule, PerElem

WEIGHT_BITS = (4, 8)
"""Widths of weights that CMSIS-NN has fully connected kernels for (arm_fully_connected_s4, _s8, _s16)."""


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
