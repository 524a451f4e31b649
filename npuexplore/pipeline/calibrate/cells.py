"""Numbers in cells: plain ones, or one sentence with line and column."""

from __future__ import annotations

import math
import re

from npuexplore.pipeline.calibrate.table import Row

LARGEST_FIGURE = 1e15
LEAST_FIGURE = 1e-9
"""Less than this is 0."""


def number(row: Row, meaning: str) -> float:
    """A finite number; raises BadInput with line and column for anything else."""
    text = row.get(meaning)
    if text is None:
        row.refuse(meaning, "empty; give a number")
    try:
        value = float(text) if re.fullmatch(r"[-+0-9.eE]+", text) else math.nan
    except ValueError:
        value = math.nan
    if not abs(value) <= LARGEST_FIGURE:
        hint = ""
        if re.search(r"[0-9]\s*[a-zA-Zµμ]", text):
            hint = ", the unit stands in the header"
        elif "," in text or " " in text:
            hint = ", with a point and without separators"
        row.refuse(meaning, f"got {shown(text)}; give one plain number{hint}")
    return value


def positive(row: Row, meaning: str) -> float:
    """A number above 0."""
    value = number(row, meaning)
    if value < LEAST_FIGURE:
        row.refuse(meaning, f"got {row.get(meaning)}; give a number above 0")
    return value


def whole(row: Row, meaning: str, most: int) -> int:
    """A whole number from 0 to `most`."""
    value = number(row, meaning)
    if value != int(value) or not 0 <= value <= most:
        row.refuse(meaning, f"got {row.get(meaning)}; give a whole number up to {most:,}")
    return int(value)


def shown(text: str) -> str:
    """A text as it is shown in messages: short, in quotes, in one line."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return repr(plain if len(plain) <= 60 else f"{plain[:57]}...")
