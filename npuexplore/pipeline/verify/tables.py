"""Reference tables in: CSV files whose columns and cells are checked before anything is computed."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from npuexplore.errors import BadInput

LARGEST_WHOLE = 2**40


def read_table(path: Path) -> pd.DataFrame:
    """A reference file as text cells; raises BadInput for one that is no table."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{path}: not UTF-8 text; give a CSV file") from None
    except pd.errors.EmptyDataError:
        raise BadInput(f"{path}: empty; give a CSV file with a header line") from None
    except (pd.errors.ParserError, ValueError) as error:
        raise BadInput(f"{path}: no CSV table ({_first_line(error)}); give a CSV file") from None
    if table.empty:
        raise BadInput(f"{path}: a header but no rows; give at least one reference row")
    return table


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
    numbers = {name: _numbers(table[name], path, whole=name in wholes) for name in (*wholes, *fractions)}
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
    values[~blank] = _numbers(cells[~blank], path, whole=False)
    return values


def known_values(table: pd.DataFrame, name: str, path: Path, *, allowed: Collection[str]) -> None:
    """Raises BadInput for a cell of a column that is not one of the values allowed."""
    strange = ~table[name].isin(list(allowed))
    if strange.any():
        line = int(np.argmax(strange.to_numpy()))
        raise BadInput(
            f"{path}:{line + 2}: {name}: got {table[name].iloc[line]!r}; "
            f"allowed: {', '.join(sorted(allowed))}"
        )


def _numbers(cells: pd.Series, path: Path, *, whole: bool) -> pd.Series:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(np.float64)
    good = np.isfinite(values) & (values >= 0) & (values <= LARGEST_WHOLE)
    if whole:
        good &= np.floor(np.where(good, values, 0)) == np.where(good, values, 0)
    if not good.all():
        line = int(np.argmin(good))
        row = int(cells.index[line])
        kind = "a whole number from 0" if whole else "a number from 0"
        raise BadInput(f"{path}:{row + 2}: {cells.name}: got {cells.iloc[line]!r}; give {kind}")
    return pd.Series(values.astype(np.int64) if whole else values, index=cells.index)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["unreadable"])[0]
