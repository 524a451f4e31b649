"""Whether a profile makes physical sense: warnings that a valid profile may still deserve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.micronpu import MicroNpu
from npuexplore.hardware.profile import HardwareProfile, figures, source_of

UNITS = (
    "bytes", "bits", "elems", "macs", "ops", "cycles", "hz", "ms", "samples", "frames", "db", "frac",
    "pct", "uj", "pj", "mw", "mah", "v", "s", "hours", "ratio", "divisor", "cycle", "op", "row", "mac",
    "unit", "step", "call", "block", "granule", "elem", "byte", "layer", "weight", "output", "matrix",
    "outputs", "cores", "activations", "weights",
)  # fmt: skip
"""Last words of keys that hold a number: a unit, or what a rate is per."""


def check_profile(profile: HardwareProfile) -> list[str]:
    """Everything doubtful about a profile, one sentence each; empty when nothing is."""
    return [sentence for check in CHECKS for sentence in check(profile)]


def profile_document(profile: HardwareProfile) -> dict[str, Any]:
    """The profile as `profile show --json` prints it, with the source of every figure."""
    document = profile.model_dump(mode="json", by_alias=True)
    document["figures"] = [
        {"key": key, "value": value, "source": entry.source, "cite": entry.cite}
        for key, value in figures(profile)
        if (entry := source_of(profile, key)) is not None
    ]
    return document


def _flash_slower_than_sram(profile: HardwareProfile) -> Iterator[str]:
    srams = [region for region in profile.memories.values() if region.kind == "sram"]
    fastest = max((region.bytes_per_cycle for region in srams), default=None)
    for name, region in profile.memories.items():
        if fastest is not None and region.kind != "sram" and region.bytes_per_cycle > fastest:
            yield (
                f"memories.{name}.bytes_per_cycle: {region.kind} at {region.bytes_per_cycle:g} is faster "
                f"than the SRAM at {fastest:g}"
            )


def _memory_energy_grows_outwards(profile: HardwareProfile) -> Iterator[str]:
    inner = [r.pj_per_byte for r in profile.memories.values() if r.kind == "sram" and r.pj_per_byte]
    for name, region in profile.memories.items():
        outer_pj = region.pj_per_byte if region.kind != "sram" else None
        if inner and outer_pj is not None and outer_pj < min(inner):
            yield f"memories.{name}.pj_per_byte: a {region.kind} byte costs less than an SRAM byte"


def _storage_keeps_its_content(profile: HardwareProfile) -> Iterator[str]:
    for name, mode in profile.memory_modes.items():
        if profile.memories[mode.storage].kind == "sram":
            yield f"memory_modes.{name}.storage: {mode.storage} is SRAM and forgets without power"
        if profile.memories[mode.activations].kind == "flash":
            yield f"memory_modes.{name}.activations: {mode.activations} is flash and cannot be written"


def _runtime_leaves_room(profile: HardwareProfile) -> Iterator[str]:
    for name, mode in profile.memory_modes.items():
        sram, storage = profile.memories[mode.activations], profile.memories[mode.storage]
        if profile.runtime.stack_bytes >= sram.capacity_bytes:
            yield f"memory_modes.{name}: runtime.stack_bytes leaves nothing of {mode.activations}"
        if profile.runtime.code_bytes >= storage.capacity_bytes:
            yield f"memory_modes.{name}: runtime.code_bytes leaves nothing of {mode.storage}"


def _memories_are_used(profile: HardwareProfile) -> Iterator[str]:
    used = {
        region
        for mode in profile.memory_modes.values()
        for region in (mode.weights, mode.activations, mode.storage)
    }
    for name in profile.memories:
        if name not in used:
            yield f"memories.{name}: no memory mode uses it"


def _clock_is_plausible(profile: HardwareProfile) -> Iterator[str]:
    if not 1_000_000 <= profile.clock_hz <= 3_000_000_000:
        yield f"clock_hz: {profile.clock_hz} is outside 1 MHz to 3 GHz"


def _idle_below_active(profile: HardwareProfile) -> Iterator[str]:
    active, idle = profile.energy.active_power_mw, profile.energy.idle_power_mw
    if active is not None and idle is not None and idle > active:
        yield f"energy.idle_power_mw: {idle:g} is more than active_power_mw {active:g}"


def _engine_is_plausible(profile: HardwareProfile) -> Iterator[str]:
    engine = profile.engine
    if isinstance(engine, MicroNpu):
        yield from _micronpu_doubts(engine)
    if isinstance(engine, EthosU) and engine.weights_decoded_per_cycle > engine.macs_per_cycle:
        yield "engine.weights_decoded_per_cycle: more weights than MACs in a cycle"
    if isinstance(engine, CortexM):
        kernels = engine.kernels
        if kernels.fc_s8.cycles_per_mac > kernels.fc_s16.cycles_per_mac:
            yield "engine.toolchains: fc_s8 is slower per MAC than fc_s16"


def _micronpu_doubts(engine: MicroNpu) -> Iterator[str]:
    rows, columns = engine.granule
    if engine.sparsity_mode == "block_skip" and "block_bitmap" not in engine.formats:
        yield "engine.formats: block_skip needs block_bitmap to know what to skip"
    if engine.sparsity_mode == "two_four":
        yield "engine.sparsity_mode: no structure here gives 2:4 weights, so two_four speeds nothing up"
    if rows > engine.block_row_outputs:
        yield f"engine.granule: {rows} outputs are more than block_row_outputs {engine.block_row_outputs}"
    if rows * columns > 1 and engine.map_bits_per_granule == 0:
        yield "engine.map_bits_per_granule: 0 bits cannot say which granules are stored"


def _keys_end_in_units(profile: HardwareProfile) -> Iterator[str]:
    for key, _ in figures(profile):
        words = [part for part in key.split(".") if not part.isdigit()]
        last = words[-1]
        if last not in ("granule", "block") and last.rsplit("_", 1)[-1] not in UNITS:
            yield f"{key}: the key does not end in a unit"


CHECKS: tuple[Callable[[HardwareProfile], Iterator[str]], ...] = (
    _clock_is_plausible,
    _flash_slower_than_sram,
    _memory_energy_grows_outwards,
    _storage_keeps_its_content,
    _runtime_leaves_room,
    _memories_are_used,
    _idle_below_active,
    _engine_is_plausible,
    _keys_end_in_units,
)
