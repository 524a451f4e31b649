"""Whether a profile makes physical sense: doubts that a profile of the right form may still deserve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from npuexplore.documents.sentences import key_path, place_of
from npuexplore.hardware.doubts import engine_doubts, peak_macs_per_cycle
from npuexplore.hardware.load import LocatedProfile
from npuexplore.hardware.profile import MEMORY_ROLES, HardwareProfile, MemoryRegion, figures, source_of
from npuexplore.units import OPS_PER_MAC

Doubt = tuple[str, str]
"""Dotted key, and what is wrong there."""

CLOCK_HZ = (1_000_000, 3_000_000_000)
"""Slowest and fastest clock of an embedded engine that we believe without asking."""
WIDEST_BYTES_PER_CYCLE = 1_024
"""Sum of all buses of any part known to us, 576 in a MAX78000, doubled."""
LONGEST_LATENCY_MS = 0.1
"""A serial flash answers within some microseconds."""
CLOCK_RATIOS = (1 / 64, 64)
PEAK_TOLERANCE_FRAC = 0.1
"""Makers round."""


@dataclass(frozen=True)
class Finding:
    """A doubt and the line that it is about."""

    file: str
    line: int
    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.key}: {self.problem}"


def check_profile(profile: HardwareProfile) -> list[str]:
    """Everything doubtful about a profile, one sentence each; empty when nothing is."""
    return [f"{key}: {problem}" for check in CHECKS for key, problem in check(profile)]


def check_located(loaded: LocatedProfile) -> list[Finding]:
    """Everything doubtful about a profile and its sources, each with file and line."""
    doubts = [doubt for check in CHECKS for doubt in check(loaded.profile)]
    doubts += [*_foreign_sources(loaded), *_idle_sources(loaded)]
    located = loaded.located
    return [Finding(*place_of(key_path(located.data, key), located), key, problem) for key, problem in doubts]


def profile_document(profile: HardwareProfile) -> dict[str, Any]:
    """The profile as `profile show --json` prints it, with the source of every figure."""
    document = profile.model_dump(mode="json", by_alias=True)
    document["figures"] = [
        {"key": key, "value": value, "source": entry.source, "cite": entry.cite}
        for key, value in figures(profile)
        if (entry := source_of(profile, key)) is not None
    ]
    return document


def _clock_is_plausible(profile: HardwareProfile) -> Iterator[Doubt]:
    least, most = CLOCK_HZ
    if not least <= profile.clock_hz <= most:
        yield "clock_hz", f"{profile.clock_hz} is outside {least / 1e6:g} MHz to {most / 1e9:g} GHz"
    cpus = {"front_end": profile.front_end, "fallback_cpu": profile.fallback_cpu}
    for name, cpu in cpus.items():
        ratio = cpu.engine_cycles_per_cpu_cycle if cpu else 1.0
        if not CLOCK_RATIOS[0] <= ratio <= CLOCK_RATIOS[1]:
            yield f"{name}.engine_cycles_per_cpu_cycle", f"{ratio:g} engine cycles in a CPU cycle"


def _peak_is_what_the_maker_says(profile: HardwareProfile) -> Iterator[Doubt]:
    stated, macs_per_cycle = profile.peak_ops_per_s, peak_macs_per_cycle(profile.engine)
    if stated is None or macs_per_cycle is None:
        return
    ours = OPS_PER_MAC * macs_per_cycle * profile.clock_hz
    if abs(ours - stated) > PEAK_TOLERANCE_FRAC * stated:
        yield (
            "peak_ops_per_s",
            f"{stated / 1e9:g} GOPS stated, but {macs_per_cycle:g} MACs per cycle at "
            f"{profile.clock_hz / 1e6:g} MHz are {ours / 1e9:g} GOPS",
        )


def _bandwidths_are_plausible(profile: HardwareProfile) -> Iterator[Doubt]:
    fastest = max((r.bytes_per_cycle for r in _of_kind(profile, "sram")), default=None)
    for name, region in profile.memories.items():
        key, rate = f"memories.{name}.bytes_per_cycle", region.bytes_per_cycle
        if fastest is not None and region.kind != "sram" and rate > fastest:
            yield key, f"{region.kind} at {rate:g} is faster than the SRAM at {fastest:g}"
        if rate > WIDEST_BYTES_PER_CYCLE:
            yield key, f"{rate:g} bytes a cycle is wider than any bus of such a part"


def _latencies_and_bursts_are_plausible(profile: HardwareProfile) -> Iterator[Doubt]:
    for name, region in profile.memories.items():
        for key in ("read_latency_cycles", "write_latency_cycles"):
            latency_ms = 1_000 * getattr(region, key) / profile.clock_hz
            if latency_ms > LONGEST_LATENCY_MS:
                yield f"memories.{name}.{key}", f"{latency_ms:g} ms is longer than any such memory takes"
        burst = region.burst_bytes
        if burst & (burst - 1):
            yield f"memories.{name}.burst_bytes", f"{burst} is no power of two"
        if 1 < burst < region.bytes_per_cycle / region.ports:
            yield f"memories.{name}.burst_bytes", f"{burst} is less than one cycle moves"
    nearest = [r.read_latency_cycles for r in _of_kind(profile, "sram")]
    for name, region in profile.memories.items():
        if region.kind == "dram" and nearest and region.read_latency_cycles < min(nearest):
            yield f"memories.{name}.read_latency_cycles", "a DRAM answers sooner than the SRAM"


def _memory_energy_grows_outwards(profile: HardwareProfile) -> Iterator[Doubt]:
    inner = [r.pj_per_byte for r in _of_kind(profile, "sram") if r.pj_per_byte]
    for name, region in profile.memories.items():
        outer_pj = region.pj_per_byte if region.kind != "sram" else None
        if inner and outer_pj is not None and outer_pj < min(inner):
            yield f"memories.{name}.pj_per_byte", f"a {region.kind} byte costs less than an SRAM byte"


def _energy_is_plausible(profile: HardwareProfile) -> Iterator[Doubt]:
    energy = profile.energy
    active, idle = energy.active_power_mw, energy.idle_power_mw
    if active is not None and idle is not None and idle > active:
        yield "energy.idle_power_mw", f"{idle:g} is more than active_power_mw {active:g}"
    picojoules = {f"memories.{name}.pj_per_byte": each.pj_per_byte for name, each in profile.memories.items()}
    picojoules["energy.pj_per_mac"] = energy.pj_per_mac
    if active and not any(picojoules.values()):
        return  # measured as a whole
    for key, value in picojoules.items():
        if value == 0:
            yield key, "0 is no energy; write null where nobody knows it, or 0 everywhere and active_power_mw"


def _memories_suit_their_modes(profile: HardwareProfile) -> Iterator[Doubt]:
    for name, mode in profile.memory_modes.items():
        if profile.memories[mode.storage].kind != "flash":
            kind = profile.memories[mode.storage].kind.upper()
            yield f"memory_modes.{name}.storage", f"{mode.storage} is {kind} and forgets without power"
        for role in ("activations", "network_io", "staging"):
            region = getattr(mode, role)
            if region is not None and profile.memories[region].kind == "flash":
                yield f"memory_modes.{name}.{role}", f"{region} is flash and cannot be written"
        if mode.staging is not None and mode.staging == mode.weights:
            yield f"memory_modes.{name}.staging", f"weights are read from {mode.weights} anyway"


def _runtime_and_arena_fit(profile: HardwareProfile) -> Iterator[Doubt]:
    for name, mode in profile.memory_modes.items():
        key = f"memory_modes.{name}"
        sram, storage = profile.memories[mode.activations], profile.memories[mode.storage]
        if profile.runtime.stack_bytes >= sram.capacity_bytes:
            yield key, f"runtime.stack_bytes leaves nothing of {mode.activations}"
        if profile.runtime.code_bytes >= storage.capacity_bytes:
            yield key, f"runtime.code_bytes leaves nothing of {mode.storage}"
        limit = mode.arena_limit_bytes
        held_in = profile.memories[mode.staging or mode.activations]
        if limit is not None and limit > max(held_in.capacity_bytes, sram.capacity_bytes):
            yield (
                f"{key}.arena_limit_bytes",
                f"{limit} is more than {mode.staging or mode.activations} holds",
            )


def _memories_are_used(profile: HardwareProfile) -> Iterator[Doubt]:
    used = {getattr(mode, role) for mode in profile.memory_modes.values() for role in MEMORY_ROLES}
    for name in profile.memories:
        if name not in used:
            yield f"memories.{name}", "no memory mode uses it"


def _of_kind(profile: HardwareProfile, kind: str) -> list[MemoryRegion]:
    return [region for region in profile.memories.values() if region.kind == kind]


def _foreign_sources(loaded: LocatedProfile) -> Iterator[Doubt]:
    """Figures of this file that only another file's sources speak of."""
    located = loaded.located
    own = located.places[()][0]
    positions = {id(entry): index for index, entry in enumerate(loaded.profile.sources)}
    for key, _ in figures(loaded.profile):
        entry = source_of(loaded.profile, key)
        file = place_of(key_path(located.data, key), located)[0]
        cited = located.places["sources", positions[id(entry)]][0]
        if file == own != cited:
            yield key, f"given here, but its source is that of {cited}; add an entry to sources"


def _idle_sources(loaded: LocatedProfile) -> Iterator[Doubt]:
    """Entries of this file that speak of nothing in it."""
    own = loaded.located.places[()][0]
    for index, entry in enumerate(loaded.profile.sources):
        for place, prefix in enumerate(entry.of):
            path = key_path(loaded.located.data, prefix)
            if loaded.located.places["sources", index][0] == own and prefix != ".".join(map(str, path)):
                yield f"sources.{index}.of.{place}", f"{prefix} is no key of this profile"


CHECKS: tuple[Callable[[HardwareProfile], Iterator[Doubt]], ...] = (
    _clock_is_plausible,
    _peak_is_what_the_maker_says,
    _bandwidths_are_plausible,
    _latencies_and_bursts_are_plausible,
    _memory_energy_grows_outwards,
    _energy_is_plausible,
    _memories_suit_their_modes,
    _runtime_and_arena_fit,
    _memories_are_used,
    engine_doubts,
)
