"""Files of measurements in: rows of text, with their lines, of which some may be selected."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

from npuexplore.documents.strict_yaml import printable
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.calibrate.columns import TIMES, UNITLESS, Columns, normalised, recognised

MAX_FILE_BYTES = 2**20
"""A file longer than this holds something else than measurements."""
MAX_ROWS = 500
"""More rows than anybody measures; a selection keeps files of that size usable."""
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Row:
    """One measurement as it is written."""

    path: str
    line: int
    headers: Mapping[str, str]
    """Header by meaning."""
    cells: Mapping[str, str]
    """Text by meaning; empty cells are left out."""

    def get(self, meaning: str) -> str | None:
        """The text of a cell; None where it is empty or there is no such column."""
        return self.cells.get(meaning)

    def refuse(self, meaning: str, problem: str) -> NoReturn:
        """Raises BadInput with line and column."""
        raise BadInput(f"{self.path}:{self.line}: {self.headers.get(meaning, meaning)}: {problem}")


@dataclass(frozen=True)
class Table:
    """The selected rows of a file."""

    path: str
    rows: tuple[Row, ...]
    ignored: tuple[str, ...]
    left_out: int
    """Rows that were not selected."""


def read_rows(path: Path, *, where: Sequence[str] = ()) -> Table:
    """The rows of a CSV file (or with semicolons or tabs between cells) whose cells match.

    where : `column=pattern`; a row must match every column that is named, and one of its patterns.
    Raises BadInput with line and column for a file that is none, UsageError for a selection that is none.
    """
    shown = printable(path)
    lines = _lines(_text(path, shown), shown)
    if not lines:
        raise BadInput(
            f"{shown}: empty; give a CSV file with a header line (`npuexplore calibrate --example`)"
        )
    (first, headers), body = lines[0], lines[1:]
    _refuse_ragged(body, len(headers), shown)
    kept = _selected(body, headers, where, shown)
    columns = _columns(headers, kept, shown, first)
    if not kept:
        raise BadInput(f"{shown}: a header but no rows; give at least two measurements")
    if len(kept) > MAX_ROWS:
        raise BadInput(f"{shown}: {len(kept):,} rows; select {MAX_ROWS} or fewer with --where column=value")
    named = {meaning: headers[place] for meaning, place in columns.of.items()}
    rows = tuple(_row(shown, line, cells, columns, named) for line, cells in kept)
    return Table(shown, rows, columns.ignored, len(body) - len(kept))


def _row(path: str, line: int, cells: Sequence[str], columns: Columns, named: Mapping[str, str]) -> Row:
    filled = {meaning: cells[place] for meaning, place in columns.of.items() if cells[place]}
    return Row(path, line, named, filled)


def _text(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(f"{shown}: no such file; give a CSV file of measurements") from None
    except IsADirectoryError:
        raise BadInput(f"{shown}: is a folder; give a CSV file of measurements") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput(f"{shown}: cannot be read ({reason}); give a CSV file of measurements") from None
    if len(content) > MAX_FILE_BYTES:
        raise BadInput(f"{shown}: longer than {MAX_FILE_BYTES} bytes; give a file of measurements only")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{shown}: byte {error.start} is not UTF-8 text; give a CSV file") from None


def _lines(text: str, shown: str) -> list[tuple[int, list[str]]]:
    """(line, cells) of everything that is neither empty nor a comment."""
    if "\0" in text:
        raise BadInput(f"{shown}: holds a zero byte; give a CSV file saved as plain text")
    head = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    delimiter = max(DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found: list[tuple[int, list[str]]] = []
    start = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not stripped[0].startswith("#"):
                found.append((start, stripped))
            start = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{shown}:{reader.line_num}: no CSV ({error}); check the quotes of this line"
        ) from None
    return found


def _columns(
    headers: Sequence[str], body: Sequence[tuple[int, Sequence[str]]], shown: str, line: int
) -> Columns:
    names = [normalised(header) for header in headers]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise BadInput(
                f"{shown}:{line}: {headers[place]}: two columns have this name; rename or remove one"
            )
    columns = with_unit_column(recognised(headers), headers, body, shown)
    if not any(unit in columns.of for unit in TIMES):
        vague = [header for header, name in zip(headers, names, strict=True) if name in UNITLESS]
        raise BadInput(
            f"{shown}:{line}: {vague[0]}: in what unit? call it cycles, latency_ms or latency_us"
            if vague
            else f"{shown}:{line}: no column of measurements; add one of cycles, latency_ms or latency_us"
        )
    if "network" not in columns.of:
        missing = [name for name in ("kind", "inputs", "outputs") if name not in columns.of]
        if missing:
            raise BadInput(
                f"{shown}:{line}: column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing; rows "
                "are layers (kind, inputs, outputs) or networks (network)"
            )
    return columns


def with_unit_column(
    columns: Columns, headers: Sequence[str], body: Sequence[tuple[int, Sequence[str]]], shown: str
) -> Columns:
    """The columns of a file whose unit stands in cells (`latency`, `unit`), the same in all rows."""
    names = [normalised(header) for header in headers]
    vague = [place for place, name in enumerate(names) if name in UNITLESS]
    if any(unit in columns.of for unit in TIMES) or "unit" not in names or len(vague) != 1 or not body:
        return columns
    place = names.index("unit")
    first_line, first = body[0][0], normalised(body[0][1][place])
    for line, cells in body:
        unit = normalised(cells[place])
        if unit not in TIMES:
            raise BadInput(
                f"{shown}:{line}: {headers[place]}: got {cells[place]!r}; allowed: {', '.join(TIMES)}"
            )
        if unit != first:
            raise BadInput(
                f"{shown}:{line}: {headers[place]}: got {unit}, while line {first_line} is in {first}; give "
                "one unit in all rows"
            )
    ignored = tuple(header for header in columns.ignored if header not in (headers[place], headers[vague[0]]))
    return Columns({**columns.of, first: vague[0]}, ignored)


def _refuse_ragged(body: Sequence[tuple[int, Sequence[str]]], count: int, shown: str) -> None:
    for line, cells in body:
        if len(cells) != count:
            raise BadInput(
                f"{shown}:{line}: {len(cells)} cells under {count} headers; quote text that holds a comma, "
                "and give every column a cell"
            )


def _selected(
    body: Sequence[tuple[int, list[str]]], headers: Sequence[str], where: Sequence[str], shown: str
) -> list[tuple[int, list[str]]]:
    wanted: dict[int, list[str]] = {}
    names = [normalised(header) for header in headers]
    for condition in where:
        column, equals, pattern = condition.partition("=")
        if not equals or normalised(column) not in names:
            raise UsageError(
                f"--where {condition!r}: write column=value with one of the columns {', '.join(headers)}"
            )
        wanted.setdefault(names.index(normalised(column)), []).append(pattern.strip().lower())
    kept = [
        (line, cells)
        for line, cells in body
        if all(
            any(fnmatchcase(cells[place].lower(), pattern) for pattern in patterns)
            for place, patterns in wanted.items()
        )
    ]
    if body and not kept:
        raise UsageError(f"--where: no row of {shown} matches {' and '.join(where)}; * stands for any text")
    return kept
