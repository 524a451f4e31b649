"""How long does tinylstm take on every shipped Cortex-M part? The table of docs/cortex-m.md, in Markdown."""

from __future__ import annotations

from npuexplore.compression.plan import CompressionPlan
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.cortex_m import CortexM
from npuexplore.hardware.load import list_profiles, load_profile
from npuexplore.hardware.profile import HardwareProfile, source_of
from npuexplore.workload.load import load_network

HEAD = "| part | core | MHz | memories, KiB | wait | its source | active mW | tinylstm, ms | by mode |"


def main() -> None:
    """Print a row per part."""
    print(HEAD)
    print("|" + "---|" * HEAD.count(" | ") + "---|")
    for name in list_profiles():
        profile = load_profile(name)
        if isinstance(profile.engine, CortexM):
            print(row(name, profile, profile.engine))


def row(name: str, profile: HardwareProfile, engine: CortexM) -> str:
    """One part, with the latency of the dense int8 network in its default memory mode and in the others."""
    memories = ", ".join(f"{key} {each.capacity_bytes // 1024:,}" for key, each in profile.memories.items())
    source = source_of(profile, "engine.memory_wait_ratio")
    power = profile.energy.active_power_mw
    others = [mode for mode in profile.memory_modes if mode != profile.default_memory_mode]
    cells = [
        f"`{name}`",
        engine.core.upper().replace("PLUS", "+"),
        f"{profile.clock_hz / 1e6:g}",
        memories,
        f"{engine.memory_wait_ratio:g}",
        source.source if source else "",
        "" if power is None else f"{power:g}",
        f"{latency_ms(profile, profile.default_memory_mode):.1f}",
        ", ".join(f"{mode} {latency_ms(profile, mode):.1f}" for mode in others),
    ]
    return "| " + " | ".join(cells) + " |"


def latency_ms(profile: HardwareProfile, mode: str) -> float:
    """Worst latency of a frame, front end included."""
    outcome = estimate(profile, load_network("tinylstm"), CompressionPlan(), memory_mode=mode)
    return float(outcome.latency_ms[0])


if __name__ == "__main__":
    main()
