import numpy as np
import pytest

from npuexplore.train.optimizer import CHUNK_ELEMS, EPSILON, adam_step, clip_by_norm, learning_rate

SCHEDULE = {"steps": 100, "warmup_steps": 10, "peak_rate": 1.0, "final_rate": 0.01}


@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (CHUNK_ELEMS + 3,)])
def test_adam_follows_the_published_algorithm(shape):
    rng = np.random.default_rng(0)
    parameter, mean, square = rng.standard_normal(shape), np.zeros(shape), np.zeros(shape)
    expected, m, v = np.array(parameter), 0.0, 0.0
    parameter = np.array(parameter)
    for step in range(1, 6):
        gradient = np.asarray(rng.standard_normal(shape))
        adam_step(parameter, gradient, mean, square, step=step, rate=0.1, beta_1=0.9, beta_2=0.99)
        m = 0.9 * m + 0.1 * gradient
        v = 0.99 * v + 0.01 * gradient**2
        unbiased = np.sqrt(v / (1 - 0.99**step)) + EPSILON
        expected = expected - 0.1 * (m / (1 - 0.9**step)) / unbiased
    np.testing.assert_allclose(parameter, expected, rtol=1e-12, atol=1e-14)


def test_adam_keeps_float32():
    arrays = [np.ones(3, np.float32) for _ in range(4)]
    adam_step(*arrays, step=1, rate=0.1, beta_1=0.9, beta_2=0.99)
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    assert arrays[0] == pytest.approx(arrays[0][0])
    assert arrays[0][0] < 1


def test_the_rate_climbs_to_its_peak_and_falls_to_its_end():
    rates = [learning_rate(step, **SCHEDULE) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_a_very_short_run_has_a_rate_for_every_step(steps):
    for step in range(steps):
        rate = learning_rate(step, steps=steps, warmup_steps=200, peak_rate=1.0, final_rate=0.01)
        assert 0 < rate <= 1


def test_gradients_are_scaled_together_and_only_when_too_long():
    gradients = {"a": np.array([[3.0]]), "b": np.array([4.0])}
    assert clip_by_norm(gradients, 10.0) == 5.0
    assert gradients["a"][0, 0] == 3.0
    clip_by_norm(gradients, 1.0)
    assert (gradients["a"][0, 0], gradients["b"][0]) == pytest.approx((0.6, 0.8))
