from __future__ import annotations

import pytest
from pydantic import ValidationError

from npuexplore.cost.battery import Cell, Cells, all_battery_hours, battery_hours, shipped_cells

LIPO = Cell(capacity_mah=500.0, loaded_voltage_v=3.7)


def test_hours_are_the_energy_of_a_cell_over_the_power() -> None:
    assert battery_hours(LIPO, average_power_mw=10.0) == pytest.approx(185.0)
    assert battery_hours(LIPO, average_power_mw=20.0) == pytest.approx(92.5)


def test_a_cell_gives_no_hours_for_more_current_than_it_delivers() -> None:
    coin = Cell(capacity_mah=225.0, loaded_voltage_v=3.0, greatest_current_ma=3.0)

    assert battery_hours(coin, average_power_mw=9.0) == pytest.approx(75.0)
    assert battery_hours(coin, average_power_mw=9.1) is None


def test_unknown_power_gives_unknown_hours_of_every_cell() -> None:
    assert set(all_battery_hours(None)) == set(shipped_cells())
    assert set(all_battery_hours(None).values()) == {None}


def test_the_shipped_cells_hold_what_their_sources_say() -> None:
    cells = shipped_cells()

    capacities = {name: cell.capacity_mah for name, cell in cells.items() if name.startswith("zinc-air")}
    assert capacities == {
        "zinc-air-10": 100.0,
        "zinc-air-312": 180.0,
        "zinc-air-13": 310.0,
        "zinc-air-675": 650.0,
    }
    assert all(1.1 <= cells[name].loaded_voltage_v <= 1.3 for name in capacities)


def test_a_cell_whose_figure_has_no_source_is_refused() -> None:
    document = {
        "schema": "npuexplore.cells/1",
        "cells": {"aaa": {"capacity_mah": 1000.0, "loaded_voltage_v": 1.2}},
        "sources": [{"of": ["aaa.capacity_mah"], "source": "datasheet", "cite": "a datasheet"}],
    }

    with pytest.raises(ValidationError, match=r"nothing covers aaa\.loaded_voltage_v"):
        Cells.model_validate(document)
