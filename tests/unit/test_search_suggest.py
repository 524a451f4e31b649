"""Optuna's samplers as the search asks them: parents, children, seeds."""

import numpy as np
import pytest
from toy_search import NETWORK, SPACE, evaluator

from npuexplore.search.pareto import nondominated
from npuexplore.search.record import Trial
from npuexplore.search.seeds import screened_plans, uniform_plans
from npuexplore.search.space import keys_of, params_of, plans_from, random_choices
from npuexplore.search.storage import quiet_optuna
from npuexplore.search.suggest import propose, select_parents


def trials_of(rows, objectives=None, violations=None):
    """Trials of choice rows, evaluated unless their values are given."""
    evaluation = evaluator()(plans_from(SPACE, rows))
    objectives = evaluation.objectives if objectives is None else objectives
    violations = evaluation.violations if violations is None else violations
    return [
        Trial(index, "mixed", 0, params_of(SPACE, row), tuple(objectives[index]), tuple(violations[index]))
        for index, row in enumerate(rows)
    ]


def children(history, **changes):
    request = {"sampler": "nsga2", "count": 40, "population": 20, "seed": [1], "seen": set(), **changes}
    with quiet_optuna():
        return propose(SPACE, history=history, **request)


def alike(params, other):
    return np.mean([params[name] == other[name] for name in params])


def test_parents_are_the_best_of_the_pool_and_keep_its_order():
    rng = np.random.default_rng(1)
    rows = random_choices(SPACE, rng, 60)
    pool = trials_of(rows, violations=np.full((60, 2), -1.0))
    front = nondominated(np.array([trial.objectives for trial in pool]))
    with quiet_optuna():
        parents = select_parents(pool, SPACE, population=40)
    numbers = [trial.number for trial in parents]
    assert len(numbers) == 40
    assert numbers == sorted(numbers)
    assert set(np.flatnonzero(front)) <= set(numbers)


def test_what_breaks_a_limit_is_no_parent_while_enough_others_keep_it():
    rows = random_choices(SPACE, np.random.default_rng(2), 60)
    violations = np.where(np.arange(60)[:, None] < 25, -1.0, 0.5) * np.ones((60, 2))
    objectives = np.ones((60, 3)) * np.where(np.arange(60)[:, None] < 25, 9.0, 1.0)
    with quiet_optuna():
        parents = select_parents(trials_of(rows, objectives, violations), SPACE, population=20)
    assert all(trial.number < 25 for trial in parents)


def test_children_take_after_their_parents():
    row = random_choices(SPACE, np.random.default_rng(3), 1)
    parents = trials_of(np.repeat(row, 20, axis=0))
    kin = np.mean([alike(child, parents[0].params) for child in children(parents)])
    strangers = np.mean([alike(child, parents[0].params) for child in children([])])
    assert kin > 0.75 > 0.6 > strangers


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_no_plan_is_proposed_twice_or_again(sampler):
    parents = trials_of(random_choices(SPACE, np.random.default_rng(4), 20))
    seen = set(keys_of(SPACE, [trial.params for trial in parents]))
    keys = keys_of(SPACE, children(parents, sampler=sampler, seen=seen))
    assert len(set(keys)) == len(keys) == 40
    assert not seen & set(keys)


def test_proposals_depend_on_their_seed_only():
    parents = trials_of(random_choices(SPACE, np.random.default_rng(5), 20))
    assert children(parents) == children(parents)
    assert children(parents) != children(parents, seed=[2])


def test_screened_plans_are_on_the_front_of_what_was_screened():
    asked = []

    def watching(plans):
        asked.append(plans)
        return evaluator()(plans)

    chosen = screened_plans(SPACE, watching, screened=500, count=8, seed=[1], seen=set())
    screened = evaluator()(asked[0])
    best = screened.objectives[screened.feasible][nondominated(screened.objectives[screened.feasible])]
    own = evaluator()(
        plans_from(SPACE, np.array([[p.choices.index(c[p.name]) for p in SPACE.parameters] for c in chosen]))
    )
    assert len(chosen) == 8
    assert own.feasible.all()
    assert all((best == row).all(axis=1).any() for row in own.objectives)
    for column in range(3):
        assert own.objectives[:, column].min() == best[:, column].min()


def test_screening_nothing_feasible_chooses_nothing():
    def hopeless(plans):
        found = evaluator()(plans)
        return type(found)(found.objectives, np.ones_like(found.violations), found.constraints)

    assert screened_plans(SPACE, hopeless, screened=50, count=8, seed=[1], seen=set()) == []


def test_uniform_plans_are_spread_and_new():
    every = uniform_plans(SPACE, count=1000, seen=set())
    few = uniform_plans(SPACE, count=5, seen=set())
    assert len(few) == 5
    assert (few[0], few[-1]) == (every[0], every[-1])
    seen = set(keys_of(SPACE, every[:3]))
    assert not seen & set(keys_of(SPACE, uniform_plans(SPACE, count=1000, seen=seen)))
    assert len(every) == len(set(keys_of(SPACE, every))) > len(NETWORK.layers)
