"""Reference tables in: CSV files whose columns and cells are checked before anything is computed."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.errors import BadInput

LARGEST_WHOLE = 2**40
LINE = "line of the file"
"""A column that every table gets, for what is said of bad cells."""


def read_table(path: Path) -> pd.DataFrame:
    """A reference file as text cells; raises BadInput for one that is no table."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        lines = _lines(path)[1:]
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not UTF-8 text; give a CSV file") from None
    except pd.errors.EmptyDataError:
        raise BadInput(f"{path}: empty; give a CSV file with a header line") from None
    except (pd.errors.ParserError, ValueError, csv.Error) as error:
        raise BadInput(f"{path}: no CSV table ({_first_line(error)}); give a CSV file") from None
    if table.empty:
        raise BadInput(f"{path}: a header but no rows; give at least one reference row")
    return table.assign(**{LINE: lines if len(lines) == len(table) else range(2, len(table) + 2)})


def line_of(table: pd.DataFrame, place: int) -> int:
    """Line of the file that a row of a table came from, whatever rows were left out before.

    place : of the row in the table, from 0 ; a table that was not read has a header on the line before it
    """
    return int(table[LINE].iloc[place]) if LINE in table.columns else place + 2


def typed_table(
    table: pd.DataFrame,
    path: Path,
    *,
    texts: Collection[str],
    wholes: Collection[str],
    fractions: Collection[str],
) -> pd.DataFrame:
    """The same table with numbers in its number columns; raises BadInput for what is missing or is none.

    Columns that are not named stay text.
    """
    missing = [name for name in (*texts, *wholes, *fractions) if name not in table.columns]
    if missing:
        raise BadInput(
            f"{path}: columns {', '.join(missing)} are missing; a file of this name has "
            f"{', '.join((*texts, *wholes, *fractions))}"
        )
    numbers = {name: _numbers(table, name, path, whole=name in wholes) for name in (*wholes, *fractions)}
    return table.assign(**numbers)


def reference_column(
    table: pd.DataFrame, name: str, path: Path, *, blanks: bool = False
) -> NDArray[np.float64]:
    """(n,) figures to compare with; an empty cell is NaN where blanks are allowed.

    Whole numbers that a file may hold are exact in float64.
    """
    cells = table[name]
    blank = (cells.str.strip() == "").to_numpy(np.bool_) & blanks
    values = np.full(len(cells), np.nan)
    values[~blank] = _numbers(table[~blank], name, path, whole=False)
    return values


def known_values(table: pd.DataFrame, name: str, path: Path, *, allowed: Collection[str]) -> None:
    """Raises BadInput for a cell of a column that is not one of the values allowed."""
    strange = ~table[name].isin(list(allowed))
    if strange.any():
        place = int(np.argmax(strange.to_numpy()))
        raise BadInput(
            f"{path}:{line_of(table, place)}: {name}: got {table[name].iloc[place]!r}; "
            f"allowed: {', '.join(sorted(allowed))}"
        )


def _numbers(table: pd.DataFrame, name: str, path: Path, *, whole: bool) -> pd.Series:
    cells = table[name]
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    good = np.isfinite(values) & (values >= 0) & (values <= LARGEST_WHOLE)
    if whole:
        good &= np.floor(np.where(good, values, 0)) == np.where(good, values, 0)
    if not good.all():
        place = int(np.argmin(good))
        kind = "a whole number from 0" if whole else "a number from 0"
        line = line_of(table, place)
        raise BadInput(f"{path}:{line}: {name}: got {cells.iloc[place]!r}; give {kind}")
    return pd.Series(values.astype(np.int64) if whole else values, index=cells.index)


def _lines(path: Path) -> list[int]:
    """Lines at which the header and the rows begin; blank lines are none."""
    found, start = list[int](), 1
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream)
        for cells in reader:
            if len(cells) > 1 or any(cell.strip() for cell in cells):
                found.append(start)
            start = reader.line_num + 1
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["unreadable"])[0]
