import numpy as np
import pytest
import toy_search

from npuexplore.errors import BadInput
from npuexplore.search.engines import exact
from npuexplore.search.engines.auto import auto_search, spread
from npuexplore.search.engines.evolve import Evolution, evolve
from npuexplore.search.engines.exact import exact_search
from npuexplore.search.engines.separable import separable_model
from npuexplore.search.pareto import hypervolume, nondominated

SIZES = (9, 9, 9, 9, 2)


def two_hills(rows):
    """Cheap or good, with one limit that a third of all designs break."""
    cost = rows @ np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    loss = ((8 - rows[:, :4]) ** 1.5).sum(axis=1) - 3.0 * rows[:, 4]
    return np.stack([cost, loss], axis=1), (rows[:, :1] + rows[:, 1:2]) / 10.0 - 1.0


def every_design():
    return np.indices(SIZES).reshape(len(SIZES), -1).T


def true_front():
    objectives, violations = two_hills(every_design())
    kept = objectives[(violations <= 0).all(axis=1)]
    return np.unique(kept[nondominated(kept)], axis=0)


class Counting:
    """An evaluation that remembers what it was asked."""

    def __init__(self, evaluate=two_hills):
        self.evaluate, self.asked = evaluate, []

    def __call__(self, rows):
        self.asked.append(rows.copy())
        return self.evaluate(rows)


def test_evolution_comes_close_to_the_true_front():
    found = evolve(SIZES, two_hills, Evolution(2_000, population=60), seed=1)
    front = true_front()
    corner = front.max(axis=0) * 1.01 + 1.0
    assert (found.violations <= 0).all()
    covered = hypervolume(found.objectives, reference=corner)
    assert covered > 0.99 * hypervolume(front, reference=corner)


def test_no_design_is_evaluated_twice_and_none_beyond_the_number():
    counting = Counting()
    found = evolve(SIZES, counting, Evolution(1_001, population=40), seed=2)
    asked = np.concatenate(counting.asked)
    assert len(asked) == found.evaluations == 1_001
    assert len(np.unique(asked, axis=0)) == 1_001
    assert max(map(len, counting.asked)) <= 40


def test_the_same_seed_gives_the_same_front_and_another_seed_other_designs():
    first, again, other = (evolve(SIZES, two_hills, Evolution(600), seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.genomes, again.genomes)
    assert not np.array_equal(first.genomes, other.genomes)


def test_the_front_is_of_everything_that_was_evaluated():
    counting = Counting()
    found = evolve(SIZES, counting, Evolution(3_000, population=20), seed=5)
    objectives, violations = two_hills(np.concatenate(counting.asked))
    kept = objectives[(violations <= 0).all(axis=1)]
    assert np.array_equal(np.unique(found.objectives, axis=0), np.unique(kept[nondominated(kept)], axis=0))
    assert np.array_equal(two_hills(found.genomes)[0], found.objectives)


def test_seeds_are_evaluated_first_and_nothing_better_is_lost():
    front = true_front()
    objectives, violations = two_hills(every_design())
    seeds = every_design()[
        (violations <= 0).all(axis=1) & (objectives[:, None] == front).all(axis=2).any(axis=1)
    ]
    counting = Counting()
    found = evolve(SIZES, counting, Evolution(len(seeds) + 50, population=30), seed=6, seeds=seeds)
    assert np.array_equal(counting.asked[0][: len(seeds)], seeds)
    assert np.array_equal(np.unique(found.objectives, axis=0), front)


def test_a_space_that_is_used_up_ends_the_search_with_its_whole_front():
    found = evolve((3, 3, 3, 3, 2), two_hills, Evolution(100_000, population=10), seed=7)
    assert found.evaluations <= 3**4 * 2
    assert found.evaluations > 0.9 * 3**4 * 2


def test_without_a_feasible_design_the_least_infeasible_is_found():
    def hopeless(rows):
        objectives, _ = two_hills(rows)
        return objectives, 1.0 + rows.sum(axis=1, keepdims=True)

    found = evolve(SIZES, hopeless, Evolution(3_000, population=40), seed=8)
    assert found.genomes.tolist() == [[0, 0, 0, 0, 0]]


@pytest.mark.parametrize("seeds", [[[0, 0, 0, 0]], [[0, 0, 0, 0, 2]], [[-1, 0, 0, 0, 0]]])
def test_seeds_that_are_no_designs_are_refused(seeds):
    with pytest.raises(BadInput, match="each needs 5 choices"):
        evolve(SIZES, two_hills, Evolution(100), seed=9, seeds=np.array(seeds))


def test_figures_that_are_not_finite_are_refused():
    with pytest.raises(BadInput, match="not a finite number"):
        evolve(SIZES, lambda rows: (two_hills(rows)[0] * np.nan, two_hills(rows)[1]), Evolution(100), seed=1)


@pytest.mark.parametrize("wrong", [{"population": 3}, {"evaluations": 0}])
def test_too_little_to_evolve_is_refused(wrong):
    with pytest.raises(BadInput, match="needs a population of at least 4 and at least 1 evaluation"):
        Evolution(**{"evaluations": 10, **wrong})


def toy_model():
    from npuexplore import load_profile

    return separable_model(
        toy_search.SPACE,
        load_profile("micronpu-block16"),
        objectives=("latency_ms", "flash_bytes", "quality_loss_db"),
        constraints=(),
        loss_db=lambda plans: toy_search.costs_of(plans)["quality_loss_db"],
    )


def test_auto_starts_the_full_model_from_the_front_of_the_separable_one(monkeypatch):
    monkeypatch.setattr(exact, "ENUMERATED_DESIGNS", 0)
    model = toy_model()

    def full(rows):
        evaluation = model.evaluate(rows)
        twisted = evaluation.objectives.copy()
        twisted[:, 2] += 0.3 * (rows[:, 0] != rows[:, 4])
        return twisted, evaluation.violations

    counting = Counting(full)
    warm = auto_search(model, counting, evaluations=400, seed=1, population=50, elites=60)
    cold = evolve(
        [len(each.choices) for each in toy_search.SPACE.parameters],
        full,
        Evolution(400, population=50),
        seed=1,
    )
    assert np.array_equal(counting.asked[0][: len(warm.elites)], warm.elites)
    assert warm.evolved.evaluations == sum(map(len, counting.asked)) == 400
    everything = np.concatenate([warm.evolved.objectives, cold.objectives])
    best = nondominated(everything)
    assert best[: len(warm.evolved.objectives)].mean() > best[len(warm.evolved.objectives) :].mean()


def test_auto_without_evolution_is_the_exact_front_spread_out():
    model = toy_model()
    front = exact_search(model)
    alone = auto_search(
        model, lambda rows: (model.evaluate(rows).objectives, np.zeros((len(rows), 1))), evaluations=8, seed=1
    )
    assert len(alone.elites) == 8
    rows = {tuple(row) for row in front.rows.tolist()}
    assert {tuple(row) for row in alone.elites.tolist()} <= rows


def test_points_are_spread_from_the_best_of_each_objective_to_the_farthest():
    line = np.stack([np.arange(101.0), 100.0 - np.arange(101.0)], axis=1)
    assert spread(line, count=5)[:3].tolist() == [0, 100, 50]
    gaps = np.diff(np.sort(spread(line, count=5)))
    assert gaps.max() <= 26
    assert spread(np.zeros((3, 2)), count=2).tolist() == [0]
    assert spread(np.zeros((0, 2)), count=2).tolist() == []
