"""Which cores, toolchains and kernels a reference of counted Cortex-M kernels may name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from npuexplore.pipeline.verify.tables import known_values

KERNEL_COLUMNS = ("core", "toolchain", "kernel")


def known_names(table: pd.DataFrame, path: Path, *, known: Sequence[tuple[str, str, str]]) -> None:
    """Raises BadInput for a row whose core, toolchain or kernel is not known.

    known : cores, toolchains and kernels that there is a table of.
    """
    for column, allowed in zip(KERNEL_COLUMNS, zip(*known, strict=True), strict=True):
        known_values(table, column, path, allowed=set(allowed))
