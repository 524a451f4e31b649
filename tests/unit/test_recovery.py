"""What retraining leaves of one-shot losses: guessed, then fitted to retrained picks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_quality import NETWORK, SPACE, invented_rows

from npuexplore.pipeline.quality import sensitivity_model
from npuexplore.pipeline.recovery import GUESS, TERMS, fitted_recovery, guessed_recovery, recovery_of
from npuexplore.search.space import plans_from, random_choices

TRUE = np.array([0.05, 0.3, 0.4, 0.2, 0.1, 0.5])
LOSSES = st.lists(st.floats(0.0, 20.0), min_size=len(TERMS), max_size=len(TERMS))


def one_shot_losses(picks, *, seed=1, scale_db=3.0):
    return np.random.default_rng(seed).uniform(0.0, scale_db, (picks, len(TERMS)))


def test_the_fit_finds_the_recovery_that_made_the_losses():
    one_shot = one_shot_losses(400)
    found = fitted_recovery(one_shot, 0.05 + one_shot @ TRUE, recovery_frac=0.2)
    assert found.fractions == pytest.approx(TRUE, abs=0.01)
    assert found.offset_db == pytest.approx(0.05, abs=0.02)
    assert found.noise_db < 0.02


def test_few_picks_come_closer_than_the_guess():
    one_shot, later = one_shot_losses(8), one_shot_losses(50, seed=2)
    found = fitted_recovery(one_shot, one_shot @ TRUE, recovery_frac=0.2)
    guess = guessed_recovery(0.2)
    apart = [np.abs(each.loss_db(later) - later @ TRUE).mean() for each in (found, guess)]
    assert apart[0] < 0.3 * apart[1]


def test_without_picks_the_guess_holds():
    guess = guessed_recovery(0.2)
    assert guess.offset_db == 0.0
    assert guess.fractions == pytest.approx([0.2] * len(TERMS))
    assert guess.noise_db == pytest.approx(GUESS.noise_db)
    one_shot = one_shot_losses(5)
    np.testing.assert_allclose(guess.loss_db(one_shot), 0.2 * one_shot.sum(axis=1), rtol=1e-6)


def test_the_guess_is_as_unsure_as_it_says():
    """One term: the noise, the offset, the mean and the term's own distance, squared and summed."""
    one_shot = np.eye(1, len(TERMS)) * 3.0
    spread = [GUESS.noise_db, GUESS.offset_db, 3.0 * 0.2 * GUESS.together_frac, 3.0 * 0.2 * GUESS.apart_frac]
    assert guessed_recovery(0.2).uncertainty_db(one_shot) == pytest.approx([np.hypot.reduce(spread)])


def test_a_term_that_no_pick_tells_of_follows_the_others():
    one_shot = np.zeros((6, len(TERMS)))
    one_shot[:, 0] = np.arange(1.0, 7.0)
    found = fitted_recovery(one_shot, 0.05 * one_shot[:, 0], recovery_frac=0.2)
    assert found.fractions[0] == pytest.approx(0.05, abs=0.005)
    assert 0.05 < found.fractions[1] < 0.2


def test_uncertainty_grows_away_from_what_was_retrained():
    one_shot = np.zeros((4, len(TERMS)))
    one_shot[:, 0] = [0.5, 1.0, 1.5, 2.0]
    found = fitted_recovery(one_shot, 0.1 * one_shot[:, 0], recovery_frac=0.2)
    near, far, other = np.zeros((3, len(TERMS)))
    near[0], far[0], other[1] = 2.0, 8.0, 2.0
    unsure = found.uncertainty_db(np.stack([near, far, other]))
    assert unsure[0] < unsure[1]
    assert unsure[0] < unsure[2]
    before = guessed_recovery(0.2).uncertainty_db(np.stack([near, far, other]))
    assert (unsure < before).all()


def test_picks_that_contradict_each_other_leave_more_doubt():
    one_shot = one_shot_losses(8)
    agreed = fitted_recovery(one_shot, 0.2 * one_shot.sum(axis=1), recovery_frac=0.2)
    odd = np.where(np.arange(8) % 2, 1.0, -1.0)
    argued = fitted_recovery(one_shot, 0.2 * one_shot.sum(axis=1) + odd, recovery_frac=0.2)
    assert argued.noise_db > 3.0 * agreed.noise_db
    assert (argued.uncertainty_db(one_shot) > agreed.uncertainty_db(one_shot)).all()


@given(st.lists(st.tuples(LOSSES, st.floats(-3.0, 10.0)), max_size=6), LOSSES, LOSSES)
def test_a_fit_never_predicts_a_gain_and_never_less_for_more(picks, less, more):
    one_shot = np.array([each for each, _ in picks], np.float64).reshape(len(picks), len(TERMS))
    found = fitted_recovery(one_shot, np.array([loss for _, loss in picks]), recovery_frac=0.2)
    low = np.minimum(less, more)
    losses = found.loss_db(np.stack([low, np.array(more)]))
    assert 0.0 <= losses[0] <= losses[1]
    assert np.isfinite(found.uncertainty_db(one_shot_losses(3))).all()


def test_a_model_with_what_picks_told_is_a_sum_over_layers_that_a_document_holds():
    rows = invented_rows(np.random.default_rng(1))
    one_shot = one_shot_losses(5)
    found = fitted_recovery(one_shot, one_shot @ TRUE, recovery_frac=0.2)
    model = sensitivity_model([*rows, {"recovery": found.document()}], NETWORK, recovery_frac=0.2)
    plans = plans_from(SPACE, random_choices(SPACE, np.random.default_rng(2), 100))
    np.testing.assert_array_equal(model.loss_db(plans), found.loss_db(model.one_shot_db(plans)))
    np.testing.assert_allclose(model.one_shot_db(plans).sum(axis=1), model.summed_db(plans))
    assert recovery_of(found.document()).fractions == found.fractions


def test_losses_by_term_say_what_made_them():
    model = sensitivity_model(invented_rows(np.random.default_rng(1)), NETWORK, recovery_frac=0.2)
    plans = plans_from(SPACE, random_choices(SPACE, np.random.default_rng(2), 200))
    terms = model.one_shot_db(plans)
    for code, term in enumerate(TERMS[:4], start=1):
        assert (terms[~(plans.structure == code).any(axis=1), code - 1] == 0.0).all(), term
    assert (terms[:, TERMS.index("bits")] > 0.0).all()
    assert (terms[:, TERMS.index("skip")] == 0.0).all()
