import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scalar_chain import all_rows, outcome, outcomes

from npuexplore.errors import BadInput
from npuexplore.search.engines import dynamic
from npuexplore.search.engines.chain import Chain, Figure, Link, Peak
from npuexplore.search.engines.dynamic import Tolerance, chain_front
from npuexplore.search.pareto import nondominated


@st.composite
def chains(draw, *, limited=True):
    """Small chains with whole numbers, and decibels in steps of 1/64, so that sums are exact."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sums = draw(st.integers(2, 3))
    choices = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    has_peak = draw(st.booleans())
    links, states = [], 1
    for layer, own in enumerate(choices):
        state = rng.integers(0, states, choices[layer - 1]) if layer else np.zeros(1, int)
        adds = rng.integers(0, 30, (states, own, sums)).astype(float)
        adds[..., -1] /= 64
        inside = rng.integers(0, 9, (2, states, own)).astype(float) if has_peak else (None, None)
        links.append(Link(state, adds, alive=inside[0], into=inside[1]))
        states = int(rng.integers(1, 4))

    def limit(scale):
        return (
            float(rng.integers(10, 25 * len(choices) + 20)) * scale
            if limited and rng.random() < 0.5
            else np.inf
        )

    figures = [
        Figure(
            f"sum {column}",
            float(rng.integers(0, 9)),
            limit=limit(1.0),
            wanted=column == 0 or rng.random() < 0.6,
        )
        for column in range(sums - 1)
    ]
    figures.append(Figure("loss", absolute=True, limit=limit(1 / 64)))
    peak = None
    if has_peak:
        peak = Peak(
            start=float(rng.integers(0, 5)),
            outlet=rng.integers(0, 9, choices[-1]).astype(float),
            shares=bool(rng.random() < 0.5),
            on_top=0 if rng.random() < 0.5 else None,
            limit=limit(1.0),
        )
    return Chain(tuple(links), tuple(figures), peak)


def absolute_columns(chain):
    wanted = [figure.absolute for figure in chain.figures if figure.wanted]
    return np.array(wanted + [False] * (chain.peak is not None))


def front_points(objectives):
    return np.unique(objectives[nondominated(objectives)], axis=0)


@pytest.fixture(scope="module", params=[(7, 2), (1_000_000, 0)], ids=["in pieces", "at once"])
def pieces(request):
    most_candidates, few_choices = request.param
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dynamic, "MOST_CANDIDATES", most_candidates)
        patched.setattr(dynamic, "FEW_CHOICES", few_choices)
        yield


@given(chain=chains())
@settings(max_examples=25, deadline=None)
def test_without_a_tolerance_the_front_is_what_looking_at_every_row_gives(pieces, chain):
    expected = outcomes(chain, all_rows(chain))
    found = outcomes(chain, chain_front(chain).choices.tolist())
    assert len(found) == len(chain_front(chain).choices)
    assert np.array_equal(front_points(found), front_points(expected))


@given(chain=chains(), eps=st.sampled_from([(0.03, 0.0), (0.1, 0.05), (0.4, 0.2), (0.0, 0.3)]))
@settings(max_examples=25, deadline=None)
def test_every_row_within_limits_has_one_within_limits_that_is_near_it(pieces, chain, eps):
    eps_frac, eps_db = eps
    front = chain_front(chain, Tolerance(eps_frac, eps_db)).choices.tolist()
    assert all(outcome(chain, row)[1] for row in front)
    found, absolute = outcomes(chain, front), absolute_columns(chain)
    for point in outcomes(chain, all_rows(chain)):
        allowed = np.where(absolute, point + eps_db, point * (1 + eps_frac))
        assert (found <= allowed + 1e-12).all(axis=1).any()


def test_a_tolerance_keeps_fewer_points_of_a_long_front():
    costs = 10.0 ** np.random.default_rng(5).uniform(0, 2, (4, 1, 40))
    figures = np.stack([costs, 100.0 / costs], axis=-1)
    links = tuple(Link(np.zeros(1 if layer == 0 else 40, int), figures[layer]) for layer in range(4))
    chain = Chain(links, (Figure("one"), Figure("two")))
    exact, near = chain_front(chain), chain_front(chain, Tolerance(0.1))
    assert 10 < len(near.choices) < len(exact.choices) / 3


def test_an_impossible_limit_leaves_nothing():
    chain = Chain((Link(np.zeros(1, int), np.full((1, 3, 1), 5.0)),), (Figure("sum", limit=4.0),))
    assert chain_front(chain).choices.shape == (0, 1)


@pytest.mark.parametrize("eps", [-0.1, 1.5, float("nan")])
def test_a_tolerance_that_is_none_is_refused(eps):
    with pytest.raises(BadInput, match=r"search\.eps_frac: got .*; give a number from 0 \(exact\) to 1"):
        Tolerance(eps)


@pytest.mark.parametrize("seed", range(4))
def test_the_errors_of_all_layers_together_stay_within_the_tolerance(seed):
    costs = 10.0 ** np.random.default_rng(seed).uniform(0, 2, (5, 1, 12))
    figures = np.stack([costs, 100.0 / costs], axis=-1)
    links = tuple(Link(np.zeros(1 if layer == 0 else 12, int), figures[layer]) for layer in range(5))
    chain = Chain(links, (Figure("one"), Figure("two")))
    exact, near = (
        outcomes(chain, chain_front(chain, each).choices.tolist()) for each in (Tolerance(), Tolerance(0.5))
    )
    apart = (near / exact[:, None]).max(axis=2).min(axis=1)
    assert 1.02 < apart.max() <= 1.5
