"""Hours that named cells last at an estimate's average power."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, model_validator

from npuexplore.documents.model import Model, Name
from npuexplore.documents.shipped import shipped_folder
from npuexplore.documents.strict_yaml import read_document
from npuexplore.hardware.profile import Source

Positive = Annotated[float, Field(gt=0, le=1e6)]


class Cell(Model):
    """One battery cell."""

    capacity_mah: Positive
    """Rated capacity."""
    loaded_voltage_v: Positive
    """Mean voltage while it delivers it."""
    greatest_current_ma: Positive | None = None
    """What it can deliver for long; null where nobody has published it."""


class Cells(Model):
    """Named cells, every figure with its source."""

    schema_version: Literal["npuexplore.cells/1"] = Field(alias="schema")
    cells: Annotated[Mapping[Name, Cell], Field(min_length=1)]
    sources: Annotated[tuple[Source, ...], Field(strict=False)]

    @model_validator(mode="after")
    def every_figure_has_a_source(self) -> Cells:
        """A number without a source is not a fact."""
        covered = {key for entry in self.sources for key in entry.of}
        for name, cell in self.cells.items():
            for figure, value in cell:
                if value is not None and not covered & {name, f"{name}.{figure}"}:
                    raise ValueError(
                        f"sources: nothing covers {name}.{figure}; add an entry with of, source and cite"
                    )
        return self


@lru_cache(maxsize=1)
def shipped_cells() -> Mapping[str, Cell]:
    """The cells that come with npuexplore."""
    path = shipped_folder("hw_profiles") / "batteries" / "cells.yaml"
    return read_document(path, Cells, what="list of cells").cells


def battery_hours(cell: Cell, *, average_power_mw: float) -> float | None:
    """Hours until the cell is empty; None where it cannot deliver the current.

    >>> battery_hours(Cell(capacity_mah=180.0, loaded_voltage_v=1.25), average_power_mw=2.5)
    90.0
    """
    current_ma = average_power_mw / cell.loaded_voltage_v
    if cell.greatest_current_ma is not None and current_ma > cell.greatest_current_ma:
        return None
    return cell.capacity_mah / current_ma


def all_battery_hours(average_power_mw: float | None) -> dict[str, float | None]:
    """Hours by cell; all None where the power is unknown."""
    cells = shipped_cells()
    if not average_power_mw:
        return dict.fromkeys(cells)
    return {name: battery_hours(cell, average_power_mw=average_power_mw) for name, cell in cells.items()}
