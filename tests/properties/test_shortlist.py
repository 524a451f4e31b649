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
    loss_db,
    modelled,
    points,
)

from npuexplore.errors import BadInput
from npuexplore.search import proof
from npuexplore.search.driver import run_search
from npuexplore.search.engines import exact
from npuexplore.search.engines.candidates import found_by_engine
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.exact import exact_front
from npuexplore.search.evaluation import evaluate_parts
from npuexplore.search.pareto import nondominated
from npuexplore.search.proof import prove, reference_of
from npuexplore.search.space import plan_keys, plans_from
from npuexplore.search.spec import SearchSpec

SEEDS = range(4)
ENGINES = {
    "exact": {"engine": "exact", "eps_frac": 0.0, "eps_db": 0.0},
    "evolve": {"engine": "evolve", "evaluations": 2_000, "population": 20},
    "auto": {"engine": "auto", "evaluations": 400, "population": 20, "trials": 30, "eps_frac": 0.0},
    "optuna": {"trials": 64, "population": 8, "screened_plans": 40},
}


@pytest.fixture(params=["enumerated", "layer by layer"])
def way(request, monkeypatch):
    """How an exact front is made."""
    if request.param == "layer by layer":
        for module in (exact, proof):
            monkeypatch.setattr(module, "ENUMERATED_DESIGNS", 0)
    return request.param


def coupled_loss_db(plans):
    """No sum over layers."""
    return loss_db(plans) + plans.sparsity_frac[:, 0] * plans.sparsity_frac[:, 1]


def true_front(limits):
    """Different points of the front of every design of every part."""
    objectives, feasible = by_hand(limits)
    return points(objectives[feasible][nondominated(objectives[feasible])])


def searched(engine, limits, folder):
    """What an engine finds for a study of all parts."""
    spec, evaluate = SearchSpec(**ENGINES[engine]), full_model(limits)
    found = None
    if engine != "optuna":
        found = found_by_engine(SPACE, spec, evaluate, modelled(limits), seed=1)
    return run_search(SPACE, spec, evaluate, journal=folder / "search.log", seed=1, found=found)


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


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exact_front_is_that_of_every_design_of_every_part(seed, way):
    limits = limits_by_chance(seed)
    shortlist = modelled(limits)(SPACE)
    found = exact_front(shortlist, Tolerance())
    assert np.array_equal(points(found.objectives), true_front(limits))
    confirmed = full_model(limits)(plans_from(SPACE, found.rows))
    assert confirmed.feasible.all()
    assert np.allclose(confirmed.objectives, found.objectives, rtol=1e-12, atol=0)
    assert found.looked_at == sum(exact_front(own, Tolerance()).looked_at for own in shortlist.parts)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exact_front_is_what_the_fronts_of_the_parts_leave(seed, way):
    shortlist = modelled(limits_by_chance(seed))(SPACE)
    alone = np.concatenate([exact_front(own, Tolerance()).objectives for own in shortlist.parts])
    together = exact_front(shortlist, Tolerance()).objectives
    assert np.array_equal(points(together), points(alone[nondominated(alone)]))
    assert len(together) < len(alone)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_front_within_a_tolerance_stands_for_every_design_of_every_part(seed, way):
    limits, tolerance = limits_by_chance(seed), Tolerance(0.2, 0.1)
    found = exact_front(modelled(limits)(SPACE), tolerance).objectives
    near = found[:, None] <= true_front(limits) * [1.2, 1.2, 1.0] + [1e-9, 1e-9, 0.1 + 1e-9]
    assert near.all(axis=2).any(axis=0).all()


def test_a_reference_is_as_sure_as_that_of_its_worst_part(way, monkeypatch):
    limits = limits_by_chance(0)
    shortlist = modelled(limits)(SPACE)
    whole = reference_of(shortlist)
    assert whole.kind == ("exact" if way == "layer by layer" else "enumerated")
    assert whole.tolerance == Tolerance()
    shown = points(np.column_stack([10 ** whole.points[:, :2], whole.points[:, 2]]))
    assert np.allclose(shown, true_front(limits), rtol=1e-9)
    if way == "layer by layer":
        looked_at = [exact_front(own, proof.LADDER[0]).looked_at for own in shortlist.parts]
        assert min(looked_at) < max(looked_at)
        monkeypatch.setattr(proof, "CHEAP", (min(looked_at),) * 3)
        alone = {reference_of(own).tolerance for own in shortlist.parts}
        assert len(alone) > 1
        assert reference_of(shortlist).tolerance == max(alone, key=lambda each: each.eps_frac)


def test_where_one_part_cannot_be_proved_nor_can_the_whole(way):
    limits = limits_by_chance(0)
    apart, coupled = modelled(limits)(SPACE), modelled(limits, coupled_loss_db)(SPACE)
    mixed = type(apart)(SPACE, (*apart.parts[:2], coupled.parts[2]))
    if way == "enumerated":
        assert reference_of(mixed).kind == "enumerated"
        return
    assert reference_of(mixed) is None
    with pytest.raises(BadInput, match="quality_loss_db that is a sum over layers"):
        exact_front(mixed, Tolerance())
    assert len(exact_front(mixed, Tolerance(), relaxed=True).rows) > 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", [0, 3])
def test_every_engine_finds_only_what_the_estimator_of_the_right_part_confirms(tmp_path, engine, seed):
    limits = limits_by_chance(seed)
    result = searched(engine, limits, tmp_path)
    for part, name in enumerate(PARTS):
        own = np.flatnonzero(result.plans.part == part)
        alone = evaluator(name, limits[name])(result.plans.take(own))
        assert np.array_equal(alone.objectives, result.objectives[own])
        assert np.array_equal(alone.feasible, result.feasible[own])
    truth = true_front(limits)
    if engine == "optuna":
        worse = result.objectives[result.front][:, None] >= truth - 1e-9
        assert worse.all(axis=2).any(axis=1).all()
    else:
        assert np.array_equal(points(result.objectives[result.front]), truth)
    assert prove(result, modelled(limits)(SPACE), seed=1).found.coverage_frac > 0.7


@pytest.mark.parametrize("engine", ENGINES)
def test_each_part_has_candidates_of_its_own_however_slow_it_is(tmp_path, engine):
    limits = limits_by_chance(0)
    result = searched(engine, limits, tmp_path)
    for part, (name, alone) in enumerate(zip(PARTS, modelled(limits)(SPACE).parts, strict=True)):
        own = result.objectives[(result.plans.part == part) & result.feasible]
        assert len(own) > 0, name
        if engine != "optuna":
            best = exact_front(alone, Tolerance()).objectives
            assert np.array_equal(points(own[nondominated(own)]), points(best))


@pytest.mark.parametrize("engine", ["exact", "evolve", "auto"])
def test_the_front_comes_first_and_no_design_twice_but_equal_plans_on_two_parts(engine):
    limits = limits_by_chance(0)
    spec = SearchSpec(**ENGINES[engine])
    found = found_by_engine(SPACE, spec, full_model(limits), modelled(limits), seed=1)
    truth = true_front(limits)
    assert np.array_equal(points(found.evaluation.objectives[: len(truth)]), truth)
    keys = plan_keys(plans_from(SPACE, found.rows))
    assert len(set(keys)) == len(keys)
    without = {tuple(row[1:]) for row in found.rows.tolist()}
    assert len(without) < len(keys)


def test_trials_say_which_part_they_are_for(tmp_path):
    optuna = pytest.importorskip("optuna")
    result = searched("optuna", limits_by_chance(0), tmp_path)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "search.log"))
    study = optuna.load_study(study_name="npuexplore", storage=optuna.storages.JournalStorage(backend))
    trials = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    assert [PARTS[part] for part in result.plans.part] == [trial.params["profile"] for trial in trials]
    choices = optuna.distributions.CategoricalDistribution(PARTS)
    assert all(trial.distributions["profile"] == choices for trial in trials)
    assert {trial.user_attrs["island"] for trial in trials} == {
        "weight",
        "unit",
        "mixed",
        *(f"on {name}" for name in PARTS),
    }


def test_a_search_that_is_opened_again_is_the_same(tmp_path):
    first = searched("optuna", limits_by_chance(0), tmp_path)
    journal = (tmp_path / "search.log").read_bytes()
    again = searched("optuna", limits_by_chance(0), tmp_path)
    assert again.front_sha256 == first.front_sha256
    assert (tmp_path / "search.log").read_bytes() == journal
