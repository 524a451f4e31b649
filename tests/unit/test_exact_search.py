from dataclasses import replace

import numpy as np
import pytest
import toy_search

from npuexplore import estimate, load_profile
from npuexplore.compression.matrix_plan import MatrixPlan
from npuexplore.compression.plan import STRUCTURES, LayerPlan
from npuexplore.errors import BadInput
from npuexplore.search.engines import exact
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.exact import exact_search
from npuexplore.search.engines.separable import separable_model
from npuexplore.search.evaluation import Constraint
from npuexplore.search.pareto import nondominated
from npuexplore.search.space import SpaceSpec, all_choices, plans_from, space_for

OBJECTIVES = ("mean_latency_ms", "flash_bytes", "quality_loss_db")
LIMITED = ("flash_bytes", "sram_bytes", "latency_ms", "quality_loss_db")
CASES = {
    "units shrink the next layer": SpaceSpec(
        structures=("weight", "unit"),
        sparsity_frac=(0.0, 0.5, 0.9),
        weight_bits=(8,),
        skip_rate_frac=(0.0, 0.25),
    ),
    "layers share their choices": SpaceSpec(
        tied=True, sparsity_frac=(0.0, 0.5, 0.9), activation_bits=(8, 16)
    ),
    "the matrices of a fixed layer differ": SpaceSpec(
        structures=("weight", "unit"),
        sparsity_frac=(0.0, 0.4, 0.8),
        fixed={
            "lstm_1": LayerPlan(
                structure="weight", sparsity_frac=0.5, w_h=MatrixPlan(sparsity_frac=0.8, weight_bits=4)
            )
        },
    ),
    "a layer is left alone": SpaceSpec(
        sparsity_frac=(0.0, 0.4, 0.8),
        blocks=((4, 4),),
        fixed={"gru_2": LayerPlan(structure="unit", sparsity_frac=0.25)},
    ),
}


def losses(plans):
    """In steps of 1/64 dB, so that sums of them are exact."""
    hurt = np.array([0, 40, 60, 90, 50])[plans.structure] * np.array([1.0, 0.5, 2.0])
    per_layer = (
        hurt * plans.sparsity_frac**2 + 6 * (plans.weight_bits == 4) + 3 * (plans.activation_bits == 8)
    )
    return np.rint(per_layer).sum(axis=1) / 64 + np.rint(40 * plans.skip_rate_frac) / 64


def model_of(spec, *, part="ethos-u55-128", objectives=OBJECTIVES, limits=(), loss_db=losses):
    space = space_for(spec, toy_search.NETWORK)
    return separable_model(
        space, load_profile(part), objectives=objectives, constraints=limits, loss_db=loss_db
    )


def by_brute_force(model):
    """(P, M) objectives of every design that keeps the limits, from the full estimator."""
    plans = plans_from(model.space, all_choices(model.space))
    costs = estimate(model.tables.part.profile, model.space.network, plans)

    def values(name):
        return losses(plans) if name == "quality_loss_db" else np.asarray(getattr(costs, name), float)

    kept = np.all([values(limit.name) <= limit.limit for limit in model.constraints] or [True], axis=0)
    return np.stack([values(name) for name in model.objectives], axis=1)[np.broadcast_to(kept, len(plans))]


def within_limits(model):
    """The model with limits that seven of ten designs keep, one by one."""
    every = replace(model, objectives=LIMITED)
    figures = every.evaluate(all_choices(model.space)).objectives
    limits = np.quantile(figures, 0.7, axis=0, method="lower").tolist()
    return replace(model, constraints=tuple(map(Constraint, LIMITED, limits)))


def front_points(objectives):
    return np.unique(objectives[nondominated(objectives)], axis=0)


@pytest.fixture
def layer_by_layer(monkeypatch):
    monkeypatch.setattr(exact, "ENUMERATED_DESIGNS", 0)


@pytest.mark.parametrize("part", ["ethos-u55-128", "micronpu-block16", "stm32f746"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("limited", [False, True])
def test_the_front_is_that_of_every_design_looked_at_with_the_full_model(layer_by_layer, part, case, limited):
    model = model_of(CASES[case], part=part)
    model = within_limits(model) if limited else model
    found, expected = exact_search(model), by_brute_force(model)
    assert len(expected) > 0
    assert (len(expected) < model.space.designs) == limited
    assert np.array_equal(np.unique(found.objectives, axis=0), front_points(expected))


@pytest.mark.parametrize("part", ["ethos-u55-128", "micronpu-block16"])
def test_the_fullest_step_of_memory_can_be_minimised_too(layer_by_layer, part):
    objectives = ("latency_ms", "sram_bytes", "quality_loss_db")
    model = model_of(CASES["units shrink the next layer"], part=part, objectives=objectives)
    expected = front_points(by_brute_force(model))
    assert len(np.unique(expected[:, 1])) > 2
    assert np.array_equal(np.unique(exact_search(model).objectives, axis=0), expected)


def test_energy_can_be_minimised_too(layer_by_layer):
    objectives = ("average_power_mw", "flash_bytes", "quality_loss_db")
    model = model_of(CASES["units shrink the next layer"], part="micronpu-block16", objectives=objectives)
    assert np.array_equal(
        np.unique(exact_search(model).objectives, axis=0), front_points(by_brute_force(model))
    )


def test_energy_that_the_part_does_not_state_is_refused():
    with pytest.raises(BadInput, match="stm32f746 states no energy per operation or byte"):
        model_of(
            CASES["layers share their choices"], part="stm32f746", objectives=("energy_uj", "flash_bytes")
        )


def test_within_a_tolerance_every_design_has_a_near_one_on_the_front(layer_by_layer):
    model = within_limits(model_of(CASES["units shrink the next layer"]))
    found = exact_search(model, Tolerance(0.1, 0.05))
    assert (found.violations <= 0.0).all()
    for point in by_brute_force(model):
        near = found.objectives <= point * [1.1, 1.1, 1.0] + [0, 0, 0.05] + 1e-12
        assert near.all(axis=1).any()
    assert len(found.rows) < len(exact_search(model).rows)


def test_a_small_space_is_looked_at_whole():
    model = model_of(CASES["units shrink the next layer"])
    found = exact_search(model)
    assert found.looked_at == model.space.designs
    assert np.array_equal(np.unique(found.objectives, axis=0), front_points(by_brute_force(model)))


def test_rows_mean_the_plans_whose_objectives_are_given(layer_by_layer):
    model = model_of(CASES["a layer is left alone"])
    found = exact_search(model)
    plans = plans_from(model.space, found.rows)
    assert np.array_equal(found.objectives[:, 2], losses(plans))
    assert (plans.structure[:, 1] == STRUCTURES.index("unit")).all()
    costs = estimate(load_profile("ethos-u55-128"), toy_search.NETWORK, plans)
    assert np.array_equal(found.objectives[:, 0], costs.mean_latency_ms)


def test_a_loss_that_is_no_sum_over_layers_is_refused_with_an_example():
    with pytest.raises(BadInput, match=r"quality_loss_db that is a sum over layers; .*choose evolve or auto"):
        model_of(CASES["a layer is left alone"], loss_db=lambda plans: losses(plans) ** 2)


def test_figures_that_layers_do_not_add_up_to_are_refused_by_name():
    with pytest.raises(BadInput, match="cannot take real_time_factor apart by layers"):
        model_of(CASES["layers share their choices"], objectives=("real_time_factor", "quality_loss_db"))


def test_energy_that_falls_with_time_is_refused():
    profile = load_profile("stm32f746")
    energy = profile.energy.model_copy(update={"active_power_mw": 1.0, "idle_power_mw": 2.0})
    with pytest.raises(BadInput, match=r"its power falls from 2 mW idle to 1 mW at work"):
        separable_model(
            space_for(CASES["layers share their choices"], toy_search.NETWORK),
            profile.model_copy(update={"energy": energy}),
            objectives=("energy_uj", "quality_loss_db"),
            constraints=(),
            loss_db=losses,
        )


def test_too_many_cases_of_shared_choices_are_refused(layer_by_layer, monkeypatch):
    monkeypatch.setattr(exact, "MOST_CASES", 5)
    with pytest.raises(BadInput, match="cases of what layers share, at most 5 are allowed"):
        exact_search(model_of(CASES["layers share their choices"]))


def test_limits_that_nothing_keeps_leave_an_empty_front(layer_by_layer):
    model = model_of(CASES["a layer is left alone"], limits=(Constraint("flash_bytes", 1.0),))
    assert exact_search(model).rows.shape == (0, len(model.space.parameters))
