"""Several parts searched at once, against looking at every design with the estimator of its own part."""

import numpy as np
import pytest
from shortlist_cases import (
    OBJECTIVES,
    PARTS,
    ROWS,
    SPACE,
    WEIGHT_MEMORY,
    by_hand,
    evaluator,
    full_model,
    limits_by_chance,
    modelled,
)

from npuexplore.search.evaluation import evaluate_parts
from npuexplore.search.space import plans_from

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_plan_gets_the_figures_and_limits_of_its_own_part(seed):
    limits = limits_by_chance(seed)
    plans = plans_from(SPACE, ROWS)
    together = full_model(limits)(plans)
    names = [limit.name for limit in together.constraints]
    assert names == list(dict.fromkeys(each.name for name in PARTS for each in limits[name]))
    for part, name in enumerate(PARTS):
        own = np.flatnonzero(plans.part == part)
        alone = evaluator(name, limits[name])(plans.take(own))
        assert np.array_equal(together.objectives[own], alone.objectives)
        columns = [names.index(limit.name) for limit in limits[name]]
        assert np.array_equal(together.violations[np.ix_(own, columns)], alone.violations)
        others = np.setdiff1d(np.arange(len(names)), columns)
        assert (together.violations[np.ix_(own, others)] == -1.0).all()
    objectives, feasible = by_hand(limits)
    assert np.array_equal(together.objectives, objectives)
    assert np.array_equal(together.feasible, feasible)
    assert 0 < feasible.sum() < len(feasible)


@pytest.mark.parametrize("first", range(len(PARTS)))
def test_limits_of_a_batch_are_those_of_its_first_plan(first):
    limits = limits_by_chance(1)
    rows = np.concatenate([ROWS[ROWS[:, 0] == first][:1], ROWS])
    own = {limit.name: limit.limit for limit in limits[PARTS[first]]}
    for said in (
        full_model(limits)(plans_from(SPACE, rows)),
        modelled(limits)(SPACE).evaluate(rows),
    ):
        assert {limit.name: limit.limit for limit in said.constraints if np.isfinite(limit.limit)} == own
    assert (WEIGHT_MEMORY in own) == (PARTS[first] == "max78000")


def test_batches_of_one_part_have_the_columns_of_all():
    limits = limits_by_chance(2)
    evaluate, plans = full_model(limits), plans_from(SPACE, ROWS)
    whole = evaluate(plans)
    for part in range(len(PARTS)):
        own = np.flatnonzero(plans.part == part)
        assert np.array_equal(evaluate(plans.take(own)).violations, whole.violations[own])


def test_one_function_alone_is_returned_as_it_is():
    alone = evaluator(PARTS[0], limits_by_chance(0)[PARTS[0]])
    assert evaluate_parts([alone]) is alone


@pytest.mark.parametrize("seed", SEEDS)
def test_the_look_up_of_all_parts_says_what_their_estimators_say(seed):
    limits = limits_by_chance(seed)
    shuffled = np.random.default_rng(seed).permutation(ROWS)
    said = modelled(limits)(SPACE).evaluate(shuffled)
    expected = full_model(limits)(plans_from(SPACE, shuffled))
    assert said.objectives.shape == (len(ROWS), len(OBJECTIVES))
    assert np.allclose(said.objectives, expected.objectives, rtol=1e-12, atol=0)
    assert np.allclose(said.violations, expected.violations, rtol=1e-12, atol=1e-12)
    assert said.constraints == expected.constraints


def test_no_designs_are_no_points():
    shortlist = modelled(limits_by_chance(0))(SPACE)
    said = shortlist.evaluate(ROWS[:0])
    assert said.objectives.shape == (0, 3)
    assert said.violations.shape == (0, len(shortlist.constraints))
