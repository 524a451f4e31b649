"""A hardware profile: engine, clock, memories, CPU beside it, energy; every figure with its source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from npuexplore.documents.model import Model, Name, Provenance
from npuexplore.hardware.calibration import Calibration, refuse_stale
from npuexplore.hardware.engines import Engine
from npuexplore.hardware.kernels.dsp import CORE_NAMES, Arithmetic, arithmetics, default_arithmetic

Bytes = Annotated[int, Field(ge=0, le=2**40)]
Rate = Annotated[float, Field(ge=0.001, le=1e6)]
Cycles = Annotated[int, Field(ge=0, le=10**9)]
Picojoules = Annotated[float, Field(ge=0, le=1e9)]
Milliwatts = Annotated[float, Field(ge=0, le=1e6)]


class MemoryRegion(Model):
    """One memory, as the engine sees it."""

    kind: Literal["sram", "flash", "dram"]
    capacity_bytes: Annotated[int, Field(ge=1_024, le=2**40)]
    """Usable bytes, after what the runtime reserves."""
    bytes_per_cycle: Rate
    """Sustained transfer rate, in bytes per engine cycle."""
    read_latency_cycles: Cycles = 0
    write_latency_cycles: Cycles = 0
    burst_bytes: Annotated[int, Field(ge=1, le=4_096)] = 1
    """Shortest transfer that the memory does efficiently."""
    ports: Annotated[int, Field(ge=1, le=16)] = 1
    """Buses between the engine and this memory; `bytes_per_cycle` is the rate of all together."""
    max_reads: Annotated[int, Field(ge=1, le=1_024)] | None = None
    """Read transfers that may be under way at once; null where it does not matter or nobody says."""
    max_writes: Annotated[int, Field(ge=1, le=1_024)] | None = None
    """Write transfers that may be under way at once; null where it does not matter or nobody says."""
    pj_per_byte: Picojoules | None = None
    """Energy of moving one byte; null where nobody has published it."""


class MemoryMode(Model):
    """Which memory holds what while the network runs."""

    weights: Name
    """Where weights and biases are read from."""
    activations: Name
    """Where inputs, outputs, state and scratch live."""
    storage: Name
    """Where the image rests when the power is off."""
    network_io: Name | None = None
    """Where the tensors that go into and come out of the network live; null for with the activations."""
    staging: Name | None = None
    """Where weights may be buffered before they are used; null for read in place."""
    arena_limit_bytes: Annotated[int, Field(ge=1_024, le=2**40)] | None = None
    """Most that inputs, outputs, state, scratch and staged weights may take; null for all of their memory."""


MEMORY_ROLES = ("weights", "activations", "storage", "network_io", "staging")
"""Keys of a memory mode that name a memory."""


class FrontEndCpu(Model):
    """The processor that does windowing, FFT, bands, mask and overlap-add."""

    core: Annotated[str, Field(min_length=1)]
    """Cortex-M0+, -M3, -M4, -M7, -M33, -M55 and -M85 have kernels here; others need `cycles_per_op`."""
    arithmetic: Arithmetic | None = None
    """float32, q31 or q15; null for what one would use on the core: q31 where it has no FPU."""
    cycles_per_op: Rate | None = None
    """CPU cycles per real floating-point operation; null for the kernels of the core."""
    memory_wait_ratio: Rate = 1.0
    """Cycles on this part / cycles with the memories that the kernels were timed with."""
    engine_cycles_per_cpu_cycle: Rate = 1.0
    """Engine clock divided by CPU clock."""
    pj_per_cycle: Picojoules | None = None

    @property
    def kernel_core(self) -> str | None:
        """The core as the kernel tables call it; None where they do not know it."""
        return CORE_NAMES.get(self.core)

    @property
    def works_in(self) -> Arithmetic:
        """What it computes in."""
        return self.arithmetic or default_arithmetic(self.kernel_core or "")

    @model_validator(mode="after")
    def cycles_are_known(self) -> FrontEndCpu:
        """Kernels in the arithmetic of a known core, or a figure."""
        if self.cycles_per_op is not None:
            return self
        if self.kernel_core is None:
            raise ValueError(
                f"core: got {self.core!r}; allowed: {', '.join(CORE_NAMES)}, or any other with cycles_per_op"
            )
        allowed = arithmetics(self.kernel_core)
        if self.works_in not in allowed:
            raise ValueError(
                f"arithmetic: got {self.arithmetic!r}; a {self.core} has kernels in {', '.join(allowed)}; "
                "name one of those or give cycles_per_op"
            )
        return self


class FallbackCpu(Model):
    """The processor that runs what the engine cannot: every operator left out of `engine.runs`."""

    core: str
    cycles_per_mac: Rate
    """CPU cycles per multiply-accumulate of a matrix-vector product, int8."""
    cycles_per_lut_elem: Rate
    """CPU cycles per sigmoid or tanh."""
    cycles_per_elementwise_op: Rate
    """CPU cycles per addition, product or copy of one element."""
    cycles_per_handover: Cycles
    """CPU cycles to hand a tensor over between engine and CPU and to wait for the other, each time."""
    engine_cycles_per_cpu_cycle: Rate = 1.0
    """Engine clock divided by CPU clock."""
    pj_per_cycle: Picojoules | None = None


class Runtime(Model):
    """What the software around the network takes."""

    code_bytes: Bytes
    """Kernels, runtime and front end in flash."""
    stack_bytes: Bytes
    """Stack, descriptors and driver buffers in SRAM."""
    lut_bytes: Bytes
    """Tables of the activation functions in flash."""
    bias_bytes_per_output: Annotated[int, Field(ge=0, le=64)]
    """Bias and scale stored with every output of a matrix-vector product."""
    scale_bytes_per_matrix: Annotated[int, Field(ge=0, le=1_024)]
    """Scales and descriptors stored once per matrix."""


class Energy(Model):
    """Energy beside the memories' own; a null makes the energy of every estimate unknown."""

    pj_per_mac: Picojoules | None = None
    """Of fully connected and recurrent layers, whose every weight is used once."""
    pj_per_conv_mac: Picojoules | None = None
    """Of convolutions, which use a weight many times; needed only by networks that have one."""
    pj_per_elementwise_op: Picojoules | None = None
    active_power_mw: Milliwatts | None = None
    """Drawn while the network runs, beyond MACs and memory traffic."""
    idle_power_mw: Milliwatts | None = None
    """Drawn for the rest of the frame period."""


class Source(Model):
    """Where a group of figures comes from."""

    of: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """Keys of this profile; a key stands for everything below it, and the longest one counts."""
    source: Provenance
    cite: Annotated[str, Field(min_length=3)]


class HardwareProfile(Model):
    """A microNPU or Cortex-M part."""

    schema_version: Literal["npuexplore.profile/1"] = Field(alias="schema")
    name: Name
    description: str = ""
    clock_hz: Annotated[int, Field(ge=1_000, le=10_000_000_000)]
    """Clock of the engine; the one place where cycles become time."""
    peak_ops_per_s: Annotated[float, Field(ge=1e3, le=1e16)] | None = None
    """Peak that the maker states for int8, two operations per MAC; checked against the engine."""
    engine: Engine
    memories: Annotated[Mapping[Name, MemoryRegion], Field(min_length=1, max_length=8)]
    memory_modes: Annotated[Mapping[Name, MemoryMode], Field(min_length=1, max_length=16)]
    default_memory_mode: Name
    front_end: FrontEndCpu
    fallback_cpu: FallbackCpu | None = None
    """Runs what the engine cannot; null where the engine runs everything."""
    runtime: Runtime
    energy: Energy = Energy()
    calibration: Calibration | None = None
    """Measurements that figures were fitted to; every estimate then has an interval."""
    sources: Annotated[tuple[Source, ...], Field(strict=False)]

    @model_validator(mode="after")
    def modes_name_memories(self) -> HardwareProfile:
        """A memory mode points at memories that exist."""
        for name, mode in self.memory_modes.items():
            for role in MEMORY_ROLES:
                region = getattr(mode, role)
                if region is not None and region not in self.memories:
                    raise ValueError(
                        f"memory_modes.{name}.{role}: got {region!r}; allowed: {', '.join(self.memories)}"
                    )
        return self

    @model_validator(mode="after")
    def default_mode_exists(self) -> HardwareProfile:
        """The default memory mode is one of the profile's."""
        if self.default_memory_mode not in self.memory_modes:
            allowed = ", ".join(self.memory_modes)
            raise ValueError(f"default_memory_mode: got {self.default_memory_mode!r}; allowed: {allowed}")
        return self

    @model_validator(mode="after")
    def calibration_is_of_these_figures(self) -> HardwareProfile:
        """An interval that was measured with other figures says nothing of these."""
        if self.calibration is not None:
            refuse_stale(self.calibration, self)
        return self

    @model_validator(mode="after")
    def every_figure_has_a_source(self) -> HardwareProfile:
        """A number without a source is not a fact."""
        bare = [key for key, _ in figures(self) if source_of(self, key) is None]
        if bare:
            more = f" and {len(bare) - 3} more" if len(bare) > 3 else ""
            raise ValueError(
                f"sources: nothing covers {', '.join(bare[:3])}{more}; add an entry with of, source and cite"
            )
        return self


def figures(profile: HardwareProfile) -> Iterator[tuple[str, float]]:
    """(dotted key, number) of every figure that a profile gives; nulls and defaults give none."""
    document = profile.model_dump(by_alias=True, exclude={"sources", "schema_version"}, exclude_defaults=True)
    yield from _numbers(document, "")


def source_of(profile: HardwareProfile, key: str) -> Source | None:
    """The entry of `sources` that covers a dotted key most closely; of two as close, the later."""
    best, length = None, -1
    for entry in profile.sources:
        for prefix in entry.of:
            covers = key == prefix or key.startswith(f"{prefix}.")
            if covers and len(prefix) >= length:
                best, length = entry, len(prefix)
    return best


def _numbers(node: Any, key: str) -> Iterator[tuple[str, float]]:
    if isinstance(node, Mapping):
        for name, child in node.items():
            yield from _numbers(child, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _numbers(child, f"{key}.{index}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield key, node
