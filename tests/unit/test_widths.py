"""Weights of 2, 4, 8 and 16 bits, activations of 8 and 16: they train, on grids that are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npuexplore.audio.mixtures import SpectralBatch
from npuexplore.compression import clipping
from npuexplore.compression.clipping import REACHES, reach_fracs
from npuexplore.compression.plan import CompressionPlan, LayerPlan, uniform_plan
from npuexplore.compression.quantize import fake_quantise, integer_weights, quantise, weight_steps
from npuexplore.pipeline.checkpoints import TrainedNetwork, read_network, write_network
from npuexplore.train.fit import FitRecipe, fit
from npuexplore.train.model import Treatment, forward, init_params
from npuexplore.workload.network import Network

BANDS = 6
NETWORK = Network.model_validate(
    {
        "schema": "npuexplore.network/1",
        "name": "tiny",
        "frame_clock": {"window_samples": 16, "hop_samples": 8},
        "bands": BANDS,
        "layers": [
            {"kind": "lstm", "name": "lstm", "hidden_units": 10},
            {"kind": "dense", "name": "fc", "output_features": 8, "activation": "relu"},
            {"kind": "dense", "name": "mask", "output_features": BANDS, "activation": "sigmoid"},
        ],
    }
)
ONES = np.ones(BANDS, np.float32)


def batch_at(step: int) -> SpectralBatch:
    """Speech that comes and goes band by band, in noise that stays."""
    rng = np.random.default_rng([7, step])
    clean = 4.0 * rng.exponential(size=(12, 4, BANDS)) * (rng.random((12, 4, BANDS)) > 0.5)
    noisy = clean + rng.exponential(size=(12, 4, BANDS))
    arrays = np.log10(noisy), noisy, clean, clean
    return SpectralBatch(*(array.astype(np.float32) for array in arrays))


def plan_of(weight_bits: int, activation_bits: int = 8) -> CompressionPlan:
    choice = {"weight_bits": weight_bits, "activation_bits": activation_bits, "scales": "channel"}
    return uniform_plan(NETWORK, LayerPlan.model_validate(choice))


@pytest.mark.parametrize("activation_bits", [8, 16])
@pytest.mark.parametrize("weight_bits", [2, 4, 8, 16])
def test_every_width_trains_and_ends_on_its_grid(
    weight_bits: int, activation_bits: int, tmp_path: Path
) -> None:
    plan = plan_of(weight_bits, activation_bits)
    params = init_params(NETWORK, rng=np.random.default_rng(0))
    recipe = FitRecipe(steps=80, peak_rate=0.02, warmup_steps=3)

    result = fit(
        NETWORK, params, batch_at, recipe, synthesis=np.eye(BANDS, dtype=np.float32),
        feature_scale=ONES, plan=plan,
    )  # fmt: skip

    assert result.losses[-10:].mean() < result.losses[:10].mean() - 0.5
    write_network(tmp_path / "net.npz", TrainedNetwork(NETWORK, result.params, ONES, plan, {}))
    found = read_network(tmp_path / "net.npz")
    top = 2 ** (weight_bits - 1) - 1
    for layer, entry in integer_weights(found.params, plan, NETWORK).items():
        for name, (codes, steps) in entry.items():
            assert codes.dtype == (np.int8 if weight_bits <= 8 else np.int16)
            largest = np.abs(codes.astype(int)).reshape(steps.size, -1).max(axis=1)
            assert largest.tolist() == [top] * steps.size
            on_grid = codes * steps.repeat(codes.shape[0] // steps.size)[:, None]
            np.testing.assert_allclose(on_grid, result.params[layer][name], rtol=2e-6)
    outputs = forward(found.params, batch_at(0).features, NETWORK, Treatment(plan))
    assert np.array_equal(outputs * 2**15, np.rint(outputs * 2**15))
    assert np.array_equal(outputs * 2**8, np.rint(outputs * 2**8)) == (activation_bits == 8)


def heavy_tailed(count: int = 4_000) -> np.ndarray:
    return np.random.default_rng(1).standard_t(4, (2, count)).astype(np.float32)


def test_two_bits_are_ternary_and_keep_more_than_the_very_largest_weights() -> None:
    codes, steps = quantise(heavy_tailed(), bits=2, groups=2)

    assert set(np.unique(codes)) == {-1, 0, 1}
    assert (steps < 0.7 * np.abs(heavy_tailed()).max(axis=1)).all()
    assert (codes != 0).mean() > 3 * (np.abs(heavy_tailed()) > 0.5 * np.abs(heavy_tailed()).max()).mean()


@pytest.mark.parametrize("bits", [2, 4])
def test_the_step_is_that_of_the_candidates_with_the_least_error(bits: int) -> None:
    weights, top = heavy_tailed(), 2 ** (bits - 1) - 1
    chosen = weight_steps(weights, bits=bits, groups=2)

    for row, step in zip(weights.astype(np.float64), chosen, strict=True):
        steps = REACHES * np.abs(row).max() / top
        rounded = np.clip(np.rint(row / steps[:, None]), -top, top) * steps[:, None]
        errors = (np.abs(row - rounded) ** clipping.EXPONENT).mean(axis=1)
        nearest = int(np.abs(steps - step).argmin())
        assert steps[nearest] == pytest.approx(step, rel=1e-6)
        assert errors[nearest] <= 1.01 * errors.min()  # the histogram's bins are not nothing
        assert errors[nearest] < 0.9 * errors[-1]


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bits", [2, 4])
def test_rounding_twice_changes_nothing(bits: int, groups: int) -> None:
    weights = heavy_tailed().reshape(16, -1)
    weights[np.random.default_rng(3).random(weights.shape) < 0.7] = 0.0
    once = fake_quantise(weights, bits=bits, groups=groups)

    np.testing.assert_allclose(fake_quantise(once, bits=bits, groups=groups), once, rtol=1e-6)
    halved = once.astype(np.float16).astype(np.float32)
    for one, other in ((weights, once), (weights, halved)):
        assert np.array_equal(
            quantise(one, bits=bits, groups=groups)[0], quantise(other, bits=bits, groups=groups)[0]
        )


@pytest.mark.parametrize("bits", [2, 4])
def test_few_large_weights_on_a_grid_of_many_keep_it(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    sizes = np.full((1, 500_000), min(1.0, 3.0 / top))
    sizes[0, 0] = 1.0
    assert reach_fracs(sizes, np.ones(1), bits=bits).tolist() == [1.0]


@pytest.mark.parametrize("bits", [8, 16])
def test_wide_weights_reach_to_the_largest_one(bits: int) -> None:
    weights = heavy_tailed()
    largest = np.abs(weights).max(axis=1)
    assert np.array_equal(
        weight_steps(weights, bits=bits, groups=2), largest / np.float32(2 ** (bits - 1) - 1)
    )
