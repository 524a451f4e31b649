"""Predicted against achieved: the figures, and who is counted in which round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from npuexplore.pipeline.agreement import agreement_document, closeness, kendall_tau

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8)


def pick(name, number, predicted, achieved):
    return {
        "name": name,
        "round": number,
        "predicted": {"quality_loss_db": predicted},
        "achieved": {"quality_loss_db": achieved},
    }


@given(PAIRS)
def test_tau_is_scipys_where_picks_are_told_apart_and_within_its_range(pairs):
    left, right = np.array(pairs, np.float64).T
    tau = kendall_tau(left, right)
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        assert tau is None
    else:
        assert tau == pytest.approx(kendalltau(left, right).statistic, abs=1e-4)
        assert -1.0 <= tau <= 1.0


def test_tau_counts_pairs_in_order_against_pairs_that_are_not():
    assert kendall_tau(np.arange(4.0), np.arange(4.0) ** 2) == 1.0
    assert kendall_tau(np.arange(4.0), -np.arange(4.0)) == -1.0
    assert kendall_tau(np.arange(4.0), np.array([0.0, 1.0, 3.0, 2.0])) == pytest.approx(4 / 6, abs=1e-4)
    assert kendall_tau(np.array([1.0]), np.array([1.0])) is None


def test_a_loss_predicted_too_high_is_a_bias_above_0():
    close = closeness(np.array([0.5, 0.4]), np.array([0.2, 0.5]))
    assert close["mean_absolute_error_db"] == pytest.approx(0.2)
    assert close["bias_db"] == pytest.approx(0.1)


def test_nothing_is_said_of_no_picks():
    none = np.zeros(0)
    assert set(closeness(none, none).values()) == {None}


def test_every_round_counts_its_own_picks_and_its_refit_all_so_far():
    picks = [pick("a", 1, 0.4, 0.1), pick("b", 1, 0.6, 0.2), pick("a-r3", 3, 0.2, 0.3)]
    figures = {"offset_db": 0.0, "recovery_frac": {}, "noise_db": 0.1}
    refits = [
        {"recovery": figures, "predicted_db": {"a": 0.1, "b": 0.2}},
        {"recovery": figures, "predicted_db": {"a": 0.1, "b": 0.2}},
        {"recovery": figures, "predicted_db": {"a": 0.1, "b": 0.2, "a-r3": 0.6}},
    ]
    found = agreement_document(
        picks, recovery_frac=0.2, summed_db={"a": 2.0, "b": 3.0, "a-r3": 1.0}, refits=refits
    )
    first, second, third = found["rounds"]
    assert (first["picks"], second["picks"], third["picks"]) == (["a", "b"], [], ["a-r3"])
    assert first["mean_absolute_error_db"] == pytest.approx(0.35)
    assert first["bias_db"] == pytest.approx(0.35)
    assert first["refit"]["mean_absolute_error_db"] == 0.0
    assert second["bias_db"] is None
    assert third["bias_db"] == pytest.approx(-0.1)
    assert third["refit"]["bias_db"] == pytest.approx(0.1)
    assert found["mean_absolute_error_db"] == pytest.approx((0.3 + 0.4 + 0.1) / 3, abs=1e-4)
    assert found["recovery_frac_fitted"] == pytest.approx((0.2 + 0.6 + 0.3) / 14, abs=1e-4)


def test_a_single_round_has_no_refit():
    found = agreement_document([pick("a", 1, 0.4, 0.1)], recovery_frac=0.2, summed_db={"a": 2.0})
    assert [set(each) for each in found["rounds"]] == [
        {"round", "picks", "kendall_tau", "mean_absolute_error_db", "bias_db"}
    ]
