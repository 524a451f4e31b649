"""How good a front is said to be: measures with known answers, and references that are what they say."""

import numpy as np
import pytest
from test_search_engines import job_in, searched, summed_loss

from npuexplore.pipeline.objectives import constraints_of
from npuexplore.search import proof
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.look_up import look_up
from npuexplore.search.proof import coverage, prove, reference_of


@pytest.fixture
def job(tmp_path):
    return job_in(tmp_path, "exact")


def full_model(job, loss=summed_loss):
    problem = job.problem
    return look_up(
        job.space,
        problem.profile,
        objectives=problem.study.search.objectives,
        constraints=constraints_of(problem, with_quality=True),
        loss_db=loss,
    )


def test_coverage_counts_points_that_are_reached_in_every_objective():
    reference = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]])
    found = np.array([[1.05, 1.0], [2.0, 0.2]])
    assert coverage(found, reference, np.array([0.1, 0.1])) == 1 / 3
    assert coverage(found, reference, np.array([0.1, 0.3])) == 2 / 3
    assert coverage(found[:0], reference, np.array([1.0, 1.0])) == 0.0


def test_coverage_in_pieces_is_coverage_at_once(monkeypatch):
    points = np.random.default_rng(0).random((50, 3))
    whole = coverage(points[:20], points, np.full(3, 0.1))
    monkeypatch.setattr(proof, "COMPARED", 60)
    assert coverage(points[:20], points, np.full(3, 0.1)) == whole


def test_a_reference_gets_finer_as_long_as_that_is_cheap(job, monkeypatch):
    full = full_model(job)
    assert reference_of(full).kind == "enumerated"
    monkeypatch.setattr(proof, "ENUMERATED_DESIGNS", 0)
    assert reference_of(full).tolerance == Tolerance()
    monkeypatch.setattr(proof, "CHEAP", (10**9, -1, 0))
    coarse = reference_of(full)
    assert (coarse.kind, coarse.tolerance) == ("tolerance", Tolerance(0.1, 0.05))


def test_a_front_beside_a_coarse_reference_is_proved_up_to_its_tolerance(job, monkeypatch):
    result, full = searched(job), full_model(job)
    exact = prove(result, full, seed=1)
    assert exact.hypervolume_frac_at_least == exact.found.hypervolume_frac == pytest.approx(1.0)
    monkeypatch.setattr(proof, "ENUMERATED_DESIGNS", 0)
    monkeypatch.setattr(proof, "LADDER", (Tolerance(1e-4, 1e-3), Tolerance()))
    monkeypatch.setattr(proof, "CHEAP", (-1,))
    coarse = prove(result, full, seed=1)
    assert coarse.reference.tolerance == Tolerance(1e-4, 1e-3)
    assert 0.5 < coarse.hypervolume_frac_at_least < 0.9999
    assert coarse.found.hypervolume_frac == pytest.approx(1.0)
    known = prove(result, full, seed=1, within=Tolerance())
    assert known.reference.kind == "exact"
    assert known.hypervolume_frac_at_least == pytest.approx(1.0)


def test_random_plans_find_less_and_all_of_them_everything(job):
    result, full = searched(job), full_model(job)
    random = prove(result, full, seed=1).random
    assert random.evaluations == result.evaluations
    assert random.hypervolume_frac < 1.0
    assert random.coverage_frac < 1.0


def test_large_fronts_are_measured_on_points_spread_over_them(job, monkeypatch):
    result, full = searched(job), full_model(job)
    whole = prove(result, full, seed=1)
    monkeypatch.setattr(proof, "MEASURED_POINTS", {3: 6})
    some = prove(result, full, seed=1)
    assert some.document()["measured_points_max"] == 6 < len(result.front)
    assert some.found.hypervolume_frac == whole.found.hypervolume_frac == pytest.approx(1.0)
    assert some.random.hypervolume_frac == pytest.approx(whole.random.hypervolume_frac, abs=0.2)


def test_equal_arguments_give_equal_proofs(job):
    result, full = searched(job), full_model(job)
    assert prove(result, full, seed=3).document() == prove(result, full, seed=3).document()
    assert prove(result, full, seed=3).random != prove(result, full, seed=4).random
