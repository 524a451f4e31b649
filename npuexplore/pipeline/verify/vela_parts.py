"""What replays of Vela's figures share: parts and systems by Vela's names, cases in groups, slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.compression.mlw.levels import CLIP_SIGMAS
from npuexplore.cost.ethos_u.pricing import Placement
from npuexplore.cost.traffic import Route, route_of
from npuexplore.documents.shipped import shipped_folder
from npuexplore.errors import BadInput
from npuexplore.hardware.ethos_u import EthosU
from npuexplore.hardware.load import compose_profile
from npuexplore.hardware.profile import HardwareProfile
from npuexplore.pipeline.verify.tables import LINE, known_values, line_of

PLACE_COLUMNS = ("accelerator", "system_config", "memory_mode")
MEMORY_COLUMNS = ("sram_access_cycles", "dram_access_cycles", "flash_access_cycles")


@dataclass(frozen=True)
class Place:
    """A part in a system in a memory mode, and the rows of a table that ran there."""

    engine: EthosU
    route: Route
    rows: NDArray[np.intp]


def places(table: pd.DataFrame, path: Path) -> Iterator[Place]:
    """Every part, system and memory mode of a table; raises BadInput for one that we do not know."""
    known_values(table, "accelerator", path, allowed=_shipped("parts"))
    systems = table.assign(system_config=table["system_config"].str.lower())
    known_values(systems, "system_config", path, allowed=_shipped("systems"))
    groups = systems.groupby(list(PLACE_COLUMNS), sort=False).indices
    for (accelerator, system, mode), rows in groups.items():
        profile = _profile(accelerator, system)
        if mode not in profile.memory_modes:
            raise BadInput(
                f"{path}:{line_of(table, int(rows[0]))}: memory_mode: got {mode!r}; system {system} has "
                f"{', '.join(profile.memory_modes)}"
            )
        assert isinstance(profile.engine, EthosU)
        yield Place(profile.engine, route_of(profile, mode), rows)


def known_structures(table: pd.DataFrame, path: Path) -> None:
    """Raises BadInput for a grid that recorded weights do not have."""
    known_values(
        table.assign(bits=table["bits"].astype(str)),
        "bits",
        path,
        allowed=[str(bits) for bits in CLIP_SIGMAS],
    )


def slice_bounds(table: pd.DataFrame, path: Path, *, outputs: str) -> list[tuple[int, ...]]:
    """Bounds of the depth slices of each row, `0|16|64`; raises BadInput for cells that are no bounds.

    outputs : column with what the last bound must be
    """
    found = []
    for cell, last, line in zip(table["ofm_depth_slices"], table[outputs], table[LINE], strict=True):
        parts = cell.split("|")
        bounds = tuple(int(part) for part in parts if part.isdigit())
        rising = len(bounds) == len(parts) and list(bounds) == sorted(set(bounds))
        if not rising or bounds[0] != 0 or bounds[-1] != last or len(bounds) < 2:
            raise BadInput(
                f"{path}:{line}: ofm_depth_slices: got {cell!r}; "
                f"give rising bounds from 0 to {last}, as in 0|{last}"
            )
        found.append(bounds)
    return found


def placement_of(route: Route) -> Placement:
    """Where tensors lie by default: state beside the network's own tensors, gate values near the engine."""
    return Placement(
        memories=route.memories,
        tensors={"network": route.network_io, "state": route.network_io, "scratch": route.activations},
        weights=route.weights,
        staging=route.staging,
    )


@lru_cache(maxsize=64)
def _profile(part: str, system: str) -> HardwareProfile:
    return compose_profile(part, system)


def _shipped(folder: str) -> set[str]:
    return {path.stem for path in (shipped_folder("hw_profiles") / folder).glob("ethos*.yaml")}
