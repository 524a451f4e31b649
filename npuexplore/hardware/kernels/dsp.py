"""What the kernels of an audio front end take on a CPU: FFT butterflies, element-wise work, logarithms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from npuexplore.documents.model import Provenance
from npuexplore.hardware.kernels.table import kernel_table

Arithmetic = Literal["float32", "q31", "q15"]
ELEMENT_BYTES: Mapping[Arithmetic, int] = {"float32": 4, "q31": 4, "q15": 2}

CORE_NAMES = {
    "Cortex-M0+": "m0plus",
    "Cortex-M3": "m3",
    "Cortex-M4": "m4",
    "Cortex-M7": "m7",
    "Cortex-M33": "m33",
    "Cortex-M55": "m55",
    "Cortex-M85": "m85",
}
"""As a profile writes a core: as the kernel tables call it."""
WITHOUT_FPU = ("m0plus", "m3")
"""Cores that work in q31 unless told otherwise; the others in float32. q15 would lose log2(N) of its 15 bits,
for every stage of CMSIS-DSP's fixed-point FFTs halves its values."""


@dataclass(frozen=True)
class KernelSource:
    """Where some figures of a kernel come from."""

    of: tuple[str, ...]
    source: Provenance
    cite: str


@dataclass(frozen=True)
class DspKernel:
    """CPU cycles of CMSIS-DSP-like kernels on one core in one arithmetic, as timed with its memories."""

    core: str
    arithmetic: Arithmetic
    radix: int
    """Of the passes that powers of two are made of: 8 or 4; what is left is a pass of radix 2 or 4."""
    butterfly_cycles: Mapping[int, float]
    """Of one butterfly with twiddle factors, by radix 2, 3, 4, 5 and 8."""
    reorder_cycles_per_point: float
    """Bit reversal, per complex point."""
    split_cycles_per_bin: float
    """Making the spectrum of N real samples of that of N / 2 complex points, per bin of the result."""
    call_cycles: float
    """Once for every FFT."""
    streamed_cycles_per_op: float
    """Element-wise work on arrays side by side: a load, a store or an arithmetic instruction."""
    gathered_cycles_per_op: float
    """The same where addresses are looked up: between bins and bands."""
    log_cycles: float
    """Of one logarithm."""
    sources: tuple[KernelSource, ...]

    def source_of(self, figure: str) -> KernelSource:
        """Where a figure comes from."""
        return next(entry for entry in self.sources if figure in entry.of)


def default_arithmetic(core: str) -> Arithmetic:
    """What one would use on a core of the kernel tables.

    >>> default_arithmetic("m7"), default_arithmetic("m0plus")
    ('float32', 'q31')
    """
    return "q31" if core in WITHOUT_FPU else "float32"


def arithmetics(core: str) -> tuple[Arithmetic, ...]:
    """What a core of the kernel tables is priced in.

    >>> arithmetics("m7"), arithmetics("m3")
    (('float32',), ('float32', 'q31', 'q15'))
    """
    return tuple(ELEMENT_BYTES) if core in WITHOUT_FPU else ("float32",)


@lru_cache
def dsp_kernel(core: str, arithmetic: Arithmetic) -> DspKernel:
    """The kernel of a core as the tables call it.

    >>> dsp_kernel("m55", "float32").radix
    4
    """
    tables = {(row["core"], row["arithmetic"]): row for row in kernel_table("dsp")["kernels"]}
    row = tables[core, arithmetic]
    fitted = {int(radix): cycles for radix, cycles in row["butterfly_cycles"].items()}
    sources = tuple(
        KernelSource(of=tuple(each["of"]), source=each["source"], cite=each["cite"])
        for each in row["sources"]
    )
    return DspKernel(**(row | {"butterfly_cycles": fitted, "sources": sources}))
