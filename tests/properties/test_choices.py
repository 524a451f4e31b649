from __future__ import annotations

import tracemalloc
from dataclasses import fields
from functools import lru_cache

import numpy as np
import pytest
from cost_cases import network_of
from hypothesis import given, settings
from hypothesis import strategies as st

from npuexplore.compression.plan import CompressionPlan, LayerPlan
from npuexplore.cost import choices as choices_module
from npuexplore.cost.choices import ChoiceTables, choice_tables, totals_of_choices
from npuexplore.cost.estimate import estimate
from npuexplore.cost.result import Totals
from npuexplore.errors import BadInput
from npuexplore.hardware.load import load_profile
from npuexplore.workload.network import FrameClock

NETWORK = network_of(
    {"kind": "dense", "name": "first", "output_features": 210, "activation": "tanh"},
    {"kind": "lstm", "name": "second", "hidden_units": 124},
    {"kind": "gru", "name": "third", "hidden_units": 97},
    bands=19,
).model_copy(update={"frame_clock": FrameClock(window_samples=64, hop_samples=32)})
"""Its window is so short that a layer, not the front end, is the fullest step."""
INNER = [
    LayerPlan(),
    LayerPlan(weight_bits=4, activation_bits=16),
    LayerPlan(structure="weight", sparsity_frac=0.7),
    LayerPlan(structure="block", block=(4, 4), sparsity_frac=0.5),
    LayerPlan(structure="unit", sparsity_frac=0.5),
    LayerPlan(structure="unit", sparsity_frac=0.8, activation_bits=16),
]
CHOICES = [INNER, INNER[::-1], INNER[1:], INNER[:4]]
SKIP_RATES = (0.0, 0.25)
PROFILES = [
    ("ethos-u55-128", None),
    ("ethos-u55-128", "Sram_Only"),
    ("micronpu-block16", None),
    ("stm32f746", None),
]

rows = st.lists(
    st.tuples(*(st.integers(0, len(each) - 1) for each in CHOICES), st.integers(0, 1)), min_size=1, max_size=6
)


@lru_cache
def tables_of(name: str, mode: str | None) -> ChoiceTables:
    return choice_tables(load_profile(name), NETWORK, CHOICES, skip_rates_frac=SKIP_RATES, memory_mode=mode)


@pytest.mark.parametrize(("name", "mode"), PROFILES)
@given(rows=rows)
@settings(max_examples=15, deadline=None)
def test_tables_say_of_every_plan_what_the_full_model_says(
    name: str, mode: str | None, rows: list[tuple[int, ...]]
) -> None:
    picked = np.array(rows)
    plans = [
        CompressionPlan(
            layers={layer.name: CHOICES[i][row[i]] for i, layer in enumerate(NETWORK.layers)},
            skip_rate_frac=SKIP_RATES[row[-1]],
        )
        for row in rows
    ]

    by_table = totals_of_choices(tables_of(name, mode), picked[:, :-1], picked[:, -1])
    in_full = estimate(load_profile(name), NETWORK, plans, memory_mode=mode)

    for field in fields(Totals):
        expected, got = getattr(in_full, field.name), getattr(by_table, field.name)
        assert (expected is None) == (got is None), field.name
        assert expected is None or np.array_equal(got, expected), field.name


def test_looking_up_in_runs_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = choice_tables(load_profile("micronpu-block16"), NETWORK, CHOICES)
    picked = np.random.default_rng(1).integers(0, 4, (50, 4))

    whole = totals_of_choices(tables, picked)
    monkeypatch.setattr(choices_module, "CHUNK_PLANS", 7)
    in_runs = totals_of_choices(tables, picked)

    assert np.array_equal(whole.cycles, in_runs.cycles)
    assert np.array_equal(whole.sram_bytes, in_runs.sram_bytes)


def test_no_plans_have_no_totals() -> None:
    tables = choice_tables(load_profile("stm32f746"), NETWORK, CHOICES)

    assert totals_of_choices(tables, np.empty((0, 4), np.int64)).cycles.shape == (0,)


def test_a_layer_without_choices_is_refused() -> None:
    with pytest.raises(BadInput, match="needs 4, one for each layer"):
        choice_tables(load_profile("stm32f746"), NETWORK, CHOICES[:3])


def test_memory_beside_the_result_does_not_grow_with_the_plans() -> None:
    tables = choice_tables(load_profile("micronpu-block16"), NETWORK, CHOICES)
    picked = np.random.default_rng(2).integers(0, 4, (60_000, 4))

    def beside_the_result(plans: int) -> int:
        tracemalloc.start()
        result = totals_of_choices(tables, picked[:plans])
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(result.cycles) == plans
        return most - 2 * kept  # runs are joined: for a moment the result is there twice

    assert beside_the_result(60_000) < beside_the_result(20_000) + 1_000_000
