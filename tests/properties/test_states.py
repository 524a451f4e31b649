from __future__ import annotations

import numpy as np
import pytest
from cost_cases import network_of

from npuexplore.compression.plan import STRUCTURES, PlanBatch
from npuexplore.cost import estimate as estimate_module
from npuexplore.cost import states
from npuexplore.cost.estimate import estimate
from npuexplore.hardware.load import load_profile
from npuexplore.workload.network import Network

NETWORK = network_of(
    {"kind": "lstm", "name": "first", "hidden_units": 24},
    {"kind": "gru", "name": "second", "hidden_units": 17},
    {"kind": "dense", "name": "third", "output_features": 20, "activation": "relu"},
    bands=19,
)


def coarse_plans(network: Network, count: int, *, seed: int) -> PlanBatch:
    """Random plans over so few choices that layers meet in the same states."""
    rng = np.random.default_rng(seed)
    shape = (count, len(network.layers))
    structure = rng.integers(0, 4, shape).astype(np.int8)
    structure[:, -1] = 0
    is_block = structure == STRUCTURES.index("block")
    return PlanBatch(
        structure=structure,
        sparsity_frac=np.where(structure == 0, 0.0, rng.choice([0.25, 0.5, 0.8], shape)),
        block_rows=np.where(is_block, 4, 1),
        block_columns=np.where(is_block, 4, 1),
        weight_bits=rng.choice([4, 8], shape),
        activation_bits=np.full(shape, 8),
        skip_rate_frac=np.zeros(count),
    )


@pytest.mark.parametrize("name", ["ethos-u55-128", "micronpu-block16", "stm32f746"])
def test_layers_costed_once_per_state_cost_what_they_cost_one_by_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile, plans = load_profile(name), coarse_plans(NETWORK, 900, seed=3)

    by_state = estimate(profile, NETWORK, plans)
    monkeypatch.setattr(states, "FEWEST_PLANS", 10**9)
    one_by_one = estimate(profile, NETWORK, plans)

    for field, values in vars(one_by_one.layers).items():
        if field == "memory_cycles":
            for region, cycles in values.items():
                assert np.array_equal(by_state.layers.memory_cycles[region], cycles), region
        else:
            assert np.array_equal(getattr(by_state.layers, field), values), field
    assert np.array_equal(by_state.flash_bytes, one_by_one.flash_bytes)
    assert np.array_equal(by_state.sram_bytes, one_by_one.sram_bytes)


@pytest.mark.parametrize("name", ["ethos-u85-256", "micronpu-block16"])
def test_runs_of_plans_share_their_states(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    profile, plans = load_profile(name), coarse_plans(NETWORK, 900, seed=5)

    in_one_run = estimate(profile, NETWORK, plans)
    monkeypatch.setattr(estimate_module, "CHUNK_PLANS", 280)  # the last run is too short to look for states
    in_four_runs = estimate(profile, NETWORK, plans)

    assert np.array_equal(in_four_runs.layers.cycles, in_one_run.layers.cycles)
    assert np.array_equal(in_four_runs.layers.weight_bytes, in_one_run.layers.weight_bytes)
    assert np.array_equal(in_four_runs.sram_bytes, in_one_run.sram_bytes)


def test_few_states_are_found_among_many_plans() -> None:
    from npuexplore.compression.shapes import plan_shapes
    from npuexplore.workload.counts import network_tables

    tables = network_tables(NETWORK)
    shapes = plan_shapes(tables, coarse_plans(NETWORK, 900, seed=3))

    found = states.distinct_states(shapes, tables)

    assert found is not None
    assert found.shapes.units.shape[0] <= 2 * (1 + 3 * 3) * 4
    for layer in range(len(NETWORK.layers)):
        assert np.array_equal(found.shapes.units[found.index[layer], layer], shapes.units[:, layer])
        assert np.array_equal(found.shapes.zeros_frac[found.index[layer], layer], shapes.zeros_frac[:, layer])
