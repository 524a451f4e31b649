"""Texts of new profiles: from a few answers, or from a copy that keeps comments, order and sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from npuexplore.documents.rewrite import edited_yaml, plain_or_quoted
from npuexplore.documents.sentences import KeyPath
from npuexplore.documents.strict_yaml import locate_yaml, parse_yaml, printable, read_located
from npuexplore.hardware.catalogue import files_by_name
from npuexplore.hardware.compose import HOST, fragments, lasting_name
from npuexplore.hardware.load import LocatedProfile, list_profiles, load_profile, located_text
from npuexplore.hardware.profile import HardwareProfile

MICRONPU_BASE = "micronpu-block16"
"""What a new microNPU is laid over."""
CITE = "entered with `npuexplore profile new`; write the datasheet's page here"
FORMATS = {
    "none": ["dense"],
    "compress_only": ["dense", "bitmap"],
    "two_four": ["dense", "two_four"],
    "block_skip": ["dense", "block_bitmap"],
    "zero_skip": ["dense", "bitmap"],
}
"""Storage formats that a new microNPU starts with, by what it does with zeros."""
UNKNOWN: dict[KeyPath, Any] = {
    ("front_end", "pj_per_cycle"): None,
    ("energy", "pj_per_mac"): None,
    ("energy", "pj_per_elementwise_op"): None,
    ("energy", "active_power_mw"): None,
    ("energy", "idle_power_mw"): None,
}
"""Energies of one part say nothing about another."""


class Sizes(NamedTuple):
    """What parts differ in most; None leaves what the base says."""

    clock_hz: int | None = None
    sram_bytes: int | None = None
    flash_bytes: int | None = None


def micronpu_changes(*, outputs: int, inputs: int, sparsity_mode: str) -> dict[KeyPath, Any]:
    """What a microNPU with this array changes in `MICRONPU_BASE`."""
    base = load_profile(MICRONPU_BASE).model_dump(mode="json")["engine"]
    macs = outputs * inputs
    engine: dict[str, Any] = {
        "outputs_per_cycle": outputs,
        "inputs_per_cycle": inputs,
        "sparsity_mode": sparsity_mode,
        "formats": FORMATS[sparsity_mode],
        "granule": [1, min(inputs, 256)] if sparsity_mode == "block_skip" else [1, 1],
        "block_row_outputs": outputs,
        "decoded_bytes_per_cycle": float(min(macs, inputs)),
    }
    for rate in ("lut_elems_per_cycle", "elementwise_ops_per_cycle"):
        engine |= {rate: float(macs)} if base[rate] > macs else {}
    memories = load_profile(MICRONPU_BASE).memories
    energies = UNKNOWN | {("memories", name, "pj_per_byte"): None for name in memories}
    return {("engine", key): value for key, value in engine.items()} | energies


def based_text(
    name: str,
    path: Path,
    *,
    description: str,
    based_on: Sequence[str],
    changes: Mapping[KeyPath, Any],
    sizes: Sizes,
    head: str,
) -> str:
    """A profile for `path` that is laid over others and changes a few values; all of them are assumed."""
    start = (
        f"{head}# What is not said here is as in what it is based on; `npuexplore profile show` lists all.\n"
        f"schema: npuexplore.profile/1\nname: {plain_or_quoted(name)}\n"
        f"description: {plain_or_quoted(description)}\nbased_on: [{', '.join(based_on)}]\nsources: []\n"
    )
    told = size_changes(drafted(start, path).profile, sizes) | dict(changes)
    return edited_yaml(start, changes=told, appended={"sources": _assumed(told)}, last="sources")


def copied_text(source: Path, *, name: str, changes: Mapping[KeyPath, Any], folder: Path) -> str:
    """A copy of a file under another name, its comments, order and sources kept.

    folder : where the copy will lie; relative paths in `based_on` are seen from there.
    """
    text = source.read_text(encoding="utf-8-sig")
    named: dict[KeyPath, Any] = {("name",): name}
    for index, entry in enumerate(read_located(source, what="hardware profile").data.get("based_on") or ()):
        lasting = lasting_name(entry, source, folder=folder, profiles=files_by_name())
        named |= {("based_on", index): lasting} if lasting != entry else {}
    return edited_yaml(
        text, changes=named | dict(changes), appended={"sources": _assumed(changes)}, last="sources"
    )


def size_changes(profile: HardwareProfile, sizes: Sizes) -> dict[KeyPath, Any]:
    """The key paths of given sizes: the memories are those of the default memory mode."""
    mode = profile.memory_modes[profile.default_memory_mode]
    given: dict[KeyPath, Any] = {
        ("clock_hz",): sizes.clock_hz,
        ("memories", mode.activations, "capacity_bytes"): sizes.sram_bytes,
        ("memories", mode.storage, "capacity_bytes"): sizes.flash_bytes,
    }
    return {path: value for path, value in given.items() if value is not None}


def drafted(text: str, path: Path) -> LocatedProfile:
    """The text as the profile that it will be at `path`; raises BadInput with the line."""
    return located_text(locate_yaml(text, where=printable(path)), path)


def parts() -> dict[str, list[str]]:
    """Engines among the shipped parts, and the systems that suit each."""
    known = {key: path for key, path in fragments().items() if key != HOST}
    engines = [
        key.removeprefix("parts/")
        for key, path in known.items()
        if key.startswith("parts/") and "engine" in _data(path)
    ]
    systems = [key.removeprefix("systems/") for key in known if key.startswith("systems/")]
    return {
        part: [system for system in systems if system.startswith(_generation(part))]
        for part in sorted(engines)
        if any(system.startswith(_generation(part)) for system in systems)
    }


def cores() -> dict[str, str]:
    """The plainest shipped profile for every Cortex-M core that has one."""
    found: dict[str, HardwareProfile] = {}
    for profile in map(load_profile, list_profiles()):
        core = getattr(profile.engine, "core", None)
        if core is not None and (core not in found or _plainness(profile) < _plainness(found[core])):
            found[core] = profile
    return {core: found[core].name for core in sorted(found)}


def _plainness(profile: HardwareProfile) -> tuple[int, bool, float]:
    """Least for few memories, energies that are not known, and memories that are fast."""
    slowest = min(region.bytes_per_cycle for region in profile.memories.values())
    return len(profile.memories), profile.energy.active_power_mw is not None, -slowest


def _assumed(changes: Mapping[KeyPath, Any]) -> list[dict[str, Any]]:
    """One entry of sources for all new figures."""
    keys = [
        ".".join(map(str, path))
        for path, value in changes.items()
        if isinstance(value, int | float) or (isinstance(value, list) and isinstance(value[0], int))
    ]
    return [{"of": keys, "source": "assumed", "cite": CITE}] if keys else []


def _generation(part: str) -> str:
    return part.rsplit("-", 1)[0].replace("-", "_")


def _data(path: Path) -> Any:
    return parse_yaml(path.read_text(encoding="utf-8"), where=printable(path))
