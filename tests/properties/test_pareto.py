import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npuexplore.search.pareto import (
    crowding,
    feasible_front,
    hypervolume,
    hypervolume_frac,
    knee,
    nondominated,
)


def points(*, fewest=1, most=12):
    """Few values on a coarse grid, so that ties and duplicates are common."""
    shape = st.tuples(st.integers(fewest, most), st.integers(2, 4))
    return shape.flatmap(lambda s: arrays(np.float64, s, elements=st.integers(0, 5).map(float)))


def dominates(left, right):
    return bool((left <= right).all() and (left < right).any())


def covered_cells(objectives, reference):
    """Hypervolume by counting unit cells of an integer grid."""
    cells = itertools.product(*(range(int(side)) for side in reference))
    return sum(any((point <= cell).all() for point in objectives) for cell in map(np.array, cells))


@given(points())
def test_the_front_is_exactly_what_brute_force_finds(objectives):
    expected = [not any(dominates(other, point) for other in objectives) for point in objectives]
    assert nondominated(objectives).tolist() == expected


@given(points(fewest=1, most=30))
def test_every_point_off_the_front_is_beaten_by_one_on_it(objectives):
    keep = nondominated(objectives)
    assert keep.any()
    for point in objectives[~keep]:
        assert any(dominates(other, point) for other in objectives[keep])


@given(points(), st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_change_the_front(objectives, random):
    order = list(range(len(objectives)))
    random.shuffle(order)
    assert nondominated(objectives)[order].tolist() == nondominated(objectives[order]).tolist()


@given(points(fewest=0, most=7))
def test_hypervolume_is_the_number_of_cells_that_are_covered(objectives):
    reference = np.full(objectives.shape[1], 6.0)
    assert hypervolume(objectives, reference=reference) == covered_cells(objectives, reference)


@given(points())
def test_one_more_point_never_lowers_the_hypervolume(objectives):
    reference = np.full(objectives.shape[1], 5.0)
    fewer = hypervolume(objectives[:-1], reference=reference)
    assert fewer <= hypervolume(objectives, reference=reference) + 1e-9


@given(points())
def test_dominated_points_add_no_hypervolume(objectives):
    reference = np.full(objectives.shape[1], 6.0)
    front = objectives[nondominated(objectives)]
    assert hypervolume(front, reference=reference) == hypervolume(objectives, reference=reference)


@given(points(), st.integers(0, 3))
def test_stretching_an_objective_stretches_the_hypervolume(objectives, column):
    column %= objectives.shape[1]
    stretched, reference = objectives.copy(), np.full(objectives.shape[1], 6.0)
    stretched[:, column] *= 2.0
    wide = reference.copy()
    wide[column] *= 2.0
    expected = 2.0 * hypervolume(objectives, reference=reference)
    assert hypervolume(stretched, reference=wide) == pytest.approx(expected)


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_of_scattered_points_agrees_with_sampling(objectives):
    rng = np.random.default_rng(objectives)
    scattered = rng.random((30, objectives))
    samples = rng.random((40_000, objectives))
    covered = np.zeros(len(samples), bool)
    for point in scattered:
        covered |= (samples >= point).all(axis=1)
    assert hypervolume(scattered, reference=np.ones(objectives)) == pytest.approx(covered.mean(), abs=0.01)


def test_hypervolume_of_a_thousand_points_on_a_sphere_is_close_to_its_limit():
    directions = np.abs(np.random.default_rng(1).normal(size=(1_000, 3)))
    shell = 1.0 - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert hypervolume(shell, reference=np.ones(3)) == pytest.approx(np.pi / 6, abs=0.03)


@given(points(fewest=1, most=20))
def test_the_knee_is_on_the_front_of_its_points(objectives):
    front = objectives[nondominated(objectives)]
    chosen = front[knee(front)]
    assert not any(dominates(other, chosen) for other in objectives)


@given(points(fewest=1, most=12))
def test_the_ends_of_every_objective_have_endless_room(objectives):
    room = crowding(objectives)
    for column in objectives.T:
        if column.min() < column.max():
            assert np.isinf(room[column == column.min()]).any()
            assert np.isinf(room[column == column.max()]).any()


@given(points(fewest=1, most=12), st.data())
def test_only_feasible_points_are_on_the_feasible_front(objectives, data):
    feasible = data.draw(arrays(np.bool_, len(objectives)))
    front = feasible_front(objectives, feasible)
    assert feasible[front].all()
    candidates = objectives[feasible]
    for index in np.flatnonzero(feasible):
        beaten = any(dominates(other, objectives[index]) for other in candidates)
        assert (index in front) == (not beaten)


def test_the_covered_share_lies_between_nothing_and_everything():
    corner = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert hypervolume_frac(corner, np.array([True, True])) == 1.0
    assert hypervolume_frac(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([True, True])) == 0.0
    assert hypervolume_frac(np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]), np.full(3, True)) == 0.25
    assert hypervolume_frac(corner, np.array([False, False])) == 0.0
    assert hypervolume_frac(np.array([[1.0, 2.0]]), np.array([True])) == 1.0
