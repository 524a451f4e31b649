"""What a replay is: a function from the cases of a reference file to our figures for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[Any]
Ours = Mapping[str, Values]
"""Our figures, (n,) by quantity; NaN where a quantity does not cover a row, left out where it covers none."""


@dataclass(frozen=True)
class Replay:
    """How one kind of reference file is replayed."""

    texts: tuple[str, ...]
    """Columns of a case that hold words."""
    wholes: tuple[str, ...]
    """Columns of a case that hold whole numbers."""
    fractions: tuple[str, ...]
    """Columns of a case that hold other numbers."""
    quantities: tuple[str, ...]
    """Reference columns that are compared where the file has them."""
    groupings: tuple[tuple[str, ...], ...]
    """Sets of columns by whose values errors are given apart."""
    run: Callable[[pd.DataFrame, Path], Ours]
    """Figures of all rows of a typed table; the path is for what is said of bad cells."""
    usable: Callable[[pd.DataFrame, Path], tuple[NDArray[np.bool_], list[str]]] | None = None
    """(n,) rows that can be replayed, and sentences about the others; None where all can."""
    compared_with: Mapping[str, str] = field(default_factory=dict)
    """Reference columns of quantities that bear another name."""
    blank_references: str = ""
    """What an empty reference cell means (such rows are left out, and the sentence says so); where it says
    nothing, every reference must be a number."""
    labels: Callable[[pd.DataFrame], Mapping[str, Values]] | None = None
    """Further columns to group by, (n,) each, made from the typed table."""
    rows: Callable[[pd.DataFrame, Path], list[dict[str, Any]]] | None = None
    """What is printed of each row beside the figures; None where the figures say it all."""
