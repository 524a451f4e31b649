"""What a profile says about a Cortex-M: whose kernels, built by what, and how memory slows them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from npuexplore.documents.model import Model
from npuexplore.hardware.figures import Cycles

Core = Literal["m0plus", "m3", "m4", "m7", "m33", "m55", "m85"]
CountedCore = Literal["m4", "m7", "m33", "m55"]
ToolchainName = Literal["gcc12.2-Ofast", "clang22-O3"]
COUNTED_CORES: tuple[str, ...] = get_args(CountedCore)
"""Cores whose kernels were counted, instruction by instruction."""
Ratio = Annotated[float, Field(ge=0.01, le=100)]
WEIGHT_BITS = (4, 8)
"""Widths of weights that CMSIS-NN has fully connected kernels for (arm_fully_connected_s4, _s8, _s16)."""


class KernelRatios(Model):
    """Cycles of a part's kernels divided by those of the counted tables, memory wait apart."""

    product: Ratio = 1.0
    """Dense matrix-vector products."""
    sparse: Ratio = 1.0
    """Sparse matrix-vector products."""
    elementwise: Ratio = 1.0
    """Activations and element-wise work of recurrent steps, and activations of dense layers."""


class CortexM(Model):
    """A Cortex-M running CMSIS-NN kernels and plain C sparse kernels."""

    family: Literal["cortex_m"]
    core: Core
    kernels_of: CountedCore
    """The core whose kernels were counted that stands for this one; itself where it was counted."""
    core_ratio: Ratio = 1.0
    """Cycles of `core` divided by those of `kernels_of`, both with zero-wait-state memory."""
    toolchain: ToolchainName
    """What the kernels are built by."""
    memory_wait_ratio: Annotated[float, Field(ge=1, le=20)]
    """Cycles on this part divided by cycles with zero-wait-state memory."""
    cycles_per_layer: Cycles = 0
    """What the runtime takes to call a layer."""
    ratios: KernelRatios = KernelRatios()
    lstm_scratch_bytes_per_unit: Cycles
    gru_scratch_bytes_per_unit: Cycles

    @model_validator(mode="after")
    def a_counted_core_stands_for_itself(self) -> CortexM:
        """No other core's kernels, and no ratio, for a core that was counted."""
        if self.core in COUNTED_CORES and (self.kernels_of != self.core or self.core_ratio != 1.0):
            raise ValueError(
                f"kernels_of: got {self.kernels_of!r} at core_ratio {self.core_ratio:g} for {self.core}, "
                f"which was counted; write kernels_of: {self.core} and leave core_ratio out"
            )
        return self

    @property
    def cycles_ratio(self) -> float:
        """Cycles of this part divided by those of the tables."""
        return self.core_ratio * self.memory_wait_ratio
