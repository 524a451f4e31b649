"""The part as a choice of the search: what a design, a plan and a narrowed space know of it."""

from dataclasses import replace

import numpy as np
import optuna
import toy_search

from npuexplore.search.islands import islands_of
from npuexplore.search.parts import by_part, only_part, part_column, part_names
from npuexplore.search.sampler import EvolveSampler
from npuexplore.search.space import (
    SpaceSpec,
    all_choices,
    choice_row,
    only_structure,
    params_of,
    plan_keys,
    plans_from,
    space_for,
)
from npuexplore.search.storage import quiet_optuna
from npuexplore.search.suggest import distributions
from npuexplore.search.uniform import uniform_choices

NAMES = ("ethos-u55-128", "micronpu-block16", "stm32f746")
SPEC = SpaceSpec(tied=True, sparsity_frac=(0.0, 0.5), weight_bits=(8,))
SPACE = space_for(SPEC, toy_search.NETWORK, parts=NAMES)


def test_the_part_is_the_first_parameter_and_multiplies_the_designs():
    alone = space_for(SPEC, toy_search.NETWORK)
    assert SPACE.parameters[0].name == "profile"
    assert SPACE.parameters[0].choices == part_names(SPACE) == NAMES
    assert SPACE.parameters[1:] == alone.parameters
    assert SPACE.designs == 3 * alone.designs


def test_a_study_of_one_part_has_no_such_choice():
    alone = space_for(SPEC, toy_search.NETWORK, parts=NAMES[:1])
    assert alone == space_for(SPEC, toy_search.NETWORK)
    assert part_names(alone) == ()
    assert part_column(alone) is None
    assert by_part(alone) == {}
    assert plans_from(alone, all_choices(alone)).part is None


def test_a_plan_knows_the_position_of_its_part():
    rows = all_choices(SPACE)
    plans = plans_from(SPACE, rows)
    assert np.array_equal(plans.part, rows[:, 0])
    assert plans.take(np.array([len(rows) - 1, 0])).part.tolist() == [2, 0]


def test_a_narrowed_space_still_counts_the_parts_of_the_study():
    narrowed = only_structure(only_part(SPACE, "stm32f746"), "weight")
    assert narrowed.parameters[0].choices == ("stm32f746",)
    assert set(plans_from(narrowed, all_choices(narrowed)).part.tolist()) == {2}
    assert part_names(narrowed) == NAMES
    assert list(by_part(narrowed)) == ["stm32f746"]
    assert by_part(SPACE) == {name: only_part(SPACE, name) for name in NAMES}


def test_equal_plans_on_two_parts_are_different_designs():
    rows = all_choices(SPACE)
    plans = plans_from(SPACE, rows)
    keys, alone = plan_keys(plans), plan_keys(replace(plans, part=None))
    assert len(set(keys)) == 3 * len(set(alone))
    own = [set(np.array(alone)[rows[:, 0] == part].tolist()) for part in range(3)]
    assert own[0] == own[1] == own[2]


def test_params_name_the_part():
    row = [1] + [0] * (len(SPACE.parameters) - 1)
    params = params_of(SPACE, row)
    assert params["profile"] == "micronpu-block16"
    assert choice_row(SPACE, params) == row


def test_plans_that_treat_all_layers_alike_are_there_for_every_part():
    alone = uniform_choices(space_for(SPEC, toy_search.NETWORK))
    rows = uniform_choices(SPACE)
    for part in range(len(NAMES)):
        assert np.array_equal(rows[rows[:, 0] == part, 1:], alone)


def test_each_structure_and_each_part_is_an_island():
    islands = islands_of(SPACE)
    assert list(islands) == ["weight", "block", "unit", *(f"on {name}" for name in NAMES)]
    assert islands["unit"] == only_structure(SPACE, "unit")
    assert islands["on stm32f746"] == only_part(SPACE, "stm32f746")
    assert list(islands_of(space_for(SPEC, toy_search.NETWORK))) == ["weight", "block", "unit"]
    dense = SPEC.model_copy(update={"structures": ("weight",)})
    assert islands_of(space_for(dense, toy_search.NETWORK)) == {}


def test_a_sampler_of_optuna_sees_the_part_as_a_choice_by_name():
    seen = []

    def objective(trial):
        seen.append(trial.suggest_categorical("profile", NAMES))
        assert dict(trial.distributions) == {"profile": distributions(SPACE)["profile"]}
        return NAMES.index(seen[-1]), 1.0

    with quiet_optuna():
        study = optuna.create_study(directions=["minimize"] * 2, sampler=EvolveSampler(population=4, seed=1))
        study.optimize(objective, n_trials=6)
    assert set(seen) == set(NAMES)
    assert study.best_trials[0].params == {"profile": NAMES[0]}
