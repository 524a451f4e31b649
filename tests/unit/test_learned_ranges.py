"""Ranges of outputs without bounds: tracked as they are seen, or learned with the weights."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import getval

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.quantize import output_grid
from npuexplore.compression.sparsity import layer_masks
from npuexplore.train.fit import FitResult, FitState, RetrainRecipe, fit
from npuexplore.train.model import Treatment, forward, init_params
from npuexplore.train.params import OBSERVED
from npuexplore.train.primitives.quant import fq_range
from npuexplore.train.tape import value_and_gradients
from npuexplore.workload.network import Network

BANDS = 4
NETWORK = Network.model_validate(
    {
        "schema": "npuexplore.network/1",
        "name": "tiny",
        "frame_clock": {"window_samples": 16, "hop_samples": 8},
        "bands": BANDS,
        "layers": [
            {"kind": "gru", "name": "gru", "hidden_units": 5},
            {"kind": "dense", "name": "up", "output_features": 6, "activation": "relu"},
            {"kind": "dense", "name": "through", "output_features": 5, "activation": "none"},
            {"kind": "dense", "name": "mask", "output_features": BANDS, "activation": "sigmoid"},
        ],
    }
)
SYNTHESIS = np.eye(BANDS, dtype=np.float32)
PLAN = CompressionPlan()


def straight_through(values: Any, span: Any, activation: str, bits: int) -> Any:
    """The grid op by op: rounding is a constant that is added, limits are those of the gradient."""
    grid = output_grid(activation, bits, 1.0)
    ratio = values / (span / grid.high)
    within = (getval(ratio) >= grid.low - 0.5) & (getval(ratio) <= grid.high + 0.5)
    limit = np.where(getval(ratio) > 0, grid.high, grid.low)
    codes = np.clip(np.rint(getval(ratio)), grid.low, grid.high)
    passed = anp.where(within, ratio, limit)
    return (passed + (codes - getval(passed))) * (span / grid.high)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("activation", ["relu", "none"])
def test_gradients_equal_those_of_the_naive_straight_through_grid(activation: str, bits: int) -> None:
    rng = np.random.default_rng(1)
    values, weights = 2.0 * rng.standard_normal((5, 3, 7)), rng.standard_normal((5, 3, 7))
    if activation == "relu":
        values = np.maximum(values, 0.0)
    arrays = {"x": values, "span": np.array(1.7)}

    ours = value_and_gradients(
        lambda a: anp.sum(fq_range(a["x"], a["span"], activation=activation, bits=bits) * weights), arrays
    )
    naive = value_and_gradients(
        lambda a: anp.sum(straight_through(a["x"], a["span"], activation, bits) * weights), arrays
    )

    assert ours[0] == pytest.approx(naive[0], rel=1e-13)
    np.testing.assert_allclose(ours[1]["x"], naive[1]["x"], rtol=0, atol=1e-14)
    assert ours[1]["span"] == pytest.approx(naive[1]["span"], rel=1e-11)
    assert abs(naive[1]["span"]) > 0.1


def test_float32_stays_float32() -> None:
    arrays = {"x": np.ones((2, 3), np.float32), "span": np.array(0.5, np.float32)}
    _, gradients = value_and_gradients(
        lambda a: anp.sum(fq_range(a["x"], a["span"], activation="relu", bits=8)), arrays
    )
    assert {gradient.dtype for gradient in gradients.values()} == {np.dtype(np.float32)}
    assert gradients["span"].shape == ()
    assert gradients["span"] == 6.0


def batch_at(step: int) -> SpectralBatch:
    rng = np.random.default_rng([3, step])
    clean = rng.exponential(size=(10, 4, BANDS))
    noisy = clean + rng.exponential(size=(10, 4, BANDS))
    arrays = np.log10(noisy), noisy, clean, clean
    return SpectralBatch(*(array.astype(np.float32) for array in arrays))


def retrained(steps: int = 40, *, span: float = 3.0, rate: float = 0.02, **options: Any) -> FitResult:
    params = init_params(NETWORK, rng=np.random.default_rng(0))
    for layer in ("up", "through"):
        params[layer][OBSERVED] = np.array(span, np.float32)
    recipe = RetrainRecipe.model_validate(
        {
            "steps": steps, "peak_rate": rate, "warmup_steps": 2, "checkpoint_steps": 5,
            "ranges": options.pop("ranges", "learned"), "method": options.pop("method", "gradual"),
            "blas_threads": options.pop("blas_threads", 1),
        }
    )  # fmt: skip
    return fit(
        NETWORK, params, batch_at, recipe,
        synthesis=SYNTHESIS, feature_scale=np.ones(BANDS, np.float32), plan=PLAN, **options,
    )  # fmt: skip


def spans(result: FitResult) -> list[float]:
    return [float(result.params[layer][OBSERVED]) for layer in ("up", "through")]


def test_descent_finds_the_range_that_rounding_and_clipping_agree_on() -> None:
    x = np.random.default_rng(2).uniform(0.0, 4.0, 2_000)
    span = np.array(0.5)

    def error(a: dict[str, Any]) -> Any:
        return anp.mean((fq_range(x, a["span"], activation="relu", bits=8) - x) ** 2)

    for _ in range(300):
        span = span - value_and_gradients(error, {"span": span})[1]["span"]

    assert span == pytest.approx(4.0, abs=0.05)


def test_the_loss_falls_while_ranges_learn() -> None:
    result = retrained(60, span=0.5)

    assert min(abs(span - 0.5) for span in spans(result)) > 0.01
    assert result.losses[-10:].mean() < result.losses[:10].mean()


def test_ranges_go_on_learning_while_masks_rest() -> None:
    frozen = retrained(10, span=0.05, method="frozen")
    tracked = retrained(10, span=0.05, method="frozen", ranges="tracked")

    assert spans(tracked) == [pytest.approx(0.05)] * 2
    assert all(span != pytest.approx(0.05, rel=1e-3) for span in spans(frozen))


def test_a_range_that_nothing_was_tracked_of_begins_with_what_the_first_batch_shows() -> None:
    seen: dict[str, float] = {}
    params = init_params(NETWORK, rng=np.random.default_rng(0))
    treatment = Treatment(PLAN, layer_masks(params, PLAN, NETWORK))
    forward(params, batch_at(0).features, NETWORK, treatment, observed=seen)

    assert spans(retrained(1, span=0.0)) == pytest.approx([seen["up"], seen["through"]], rel=1e-6)


def test_a_range_stays_positive() -> None:
    assert min(spans(retrained(8, span=0.0011, rate=5.0))) >= 0.001


def test_a_stopped_training_of_ranges_goes_on_to_the_same_bits() -> None:
    kept: list[FitState] = []
    whole = retrained(15, on_checkpoint=kept.append)
    again = retrained(15, state=kept[0])

    assert kept[0].step == 5
    assert "adam_m/up/range" in kept[0].arrays
    for layer, entry in whole.params.items():
        for name, array in entry.items():
            assert np.array_equal(array, again.params[layer][name]), (layer, name)


def test_recipes_mention_ranges_only_where_they_are_learned() -> None:
    assert "ranges" not in RetrainRecipe(steps=1).model_dump(mode="json")
    learned = RetrainRecipe(steps=1, ranges="learned")
    assert RetrainRecipe.model_validate(learned.model_dump(mode="json")) == learned


def test_processes_that_share_a_batch_learn_ranges_as_one_does() -> None:
    alone, shared = retrained(3, span=0.5), retrained(3, span=0.5, blas_threads=2)
    assert spans(shared) == pytest.approx(spans(alone), rel=1e-5)
    assert spans(shared) != [0.5, 0.5]
