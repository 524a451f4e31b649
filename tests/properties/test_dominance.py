import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npuexplore.search import dominance
from npuexplore.search.dominance import first_of_equals, front_of_ranks, ranks_of
from npuexplore.search.engines.ranking import fronts_of, survivors
from npuexplore.search.pareto import nondominated

points = st.tuples(st.integers(0, 40), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 6))
)


def beats(left, right):
    return bool((left <= right).all() and (left < right).any())


@pytest.fixture(scope="module", params=[0, 4_096], ids=["swept", "by pivots"])
def way(request):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dominance, "SWEPT_POINTS", request.param)
        patched.setattr(dominance, "FIRST_PIVOTS", 2)
        yield


@settings(max_examples=50, deadline=None)
@given(points)
def test_both_ways_find_the_front_that_comparing_all_pairs_finds(way, rows):
    expected = [not any(beats(other, row) for other in rows) for row in rows]
    assert front_of_ranks(ranks_of(rows)).tolist() == expected


def test_both_ways_agree_on_many_points(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 90, (20_000, 3))
    swept = front_of_ranks(ranks_of(rows))
    monkeypatch.setattr(dominance, "SWEPT_STEPS", 0)
    assert np.array_equal(front_of_ranks(ranks_of(rows)), swept)
    assert np.array_equal(nondominated(rows.astype(float)), swept)


def test_columns_too_wide_to_be_one_number_are_told_apart():
    rows = np.array([[0, 0, 0], [2**40, 0, 1], [2**40, 2**40, 0], [2**40, 2**40, 0]])
    assert first_of_equals(rows).tolist() == [0, 1, 2]


@settings(max_examples=30, deadline=None)
@given(points)
def test_each_front_is_what_is_left_when_the_earlier_ones_are_taken_away(rows):
    front, left, number = fronts_of(rows.astype(float)), np.arange(len(rows)), 0
    while left.size:
        best = left[nondominated(rows[left].astype(float))]
        assert (front[best] == number).all()
        left, number = np.setdiff1d(left, best), number + 1


@settings(max_examples=30, deadline=None)
@given(points, st.integers(1, 30), st.integers(0, 9))
def test_who_survives_is_never_worse_than_who_does_not(rows, count, seed):
    excess = np.maximum(np.random.default_rng(seed).integers(-3, 3, len(rows)), 0).astype(float)
    kept = survivors(rows.astype(float), excess, count=count)
    assert len(set(kept.tolist())) == min(count, len(rows))
    for gone in set(range(len(rows))) - set(kept.tolist()):
        for stays in kept:
            assert excess[stays] <= excess[gone]
            assert excess[gone] > 0 or not beats(rows[gone], rows[stays])
