from __future__ import annotations

import numpy as np
import scalar_mlw
from hypothesis import given
from hypothesis import strategies as st

from npuexplore.compression.mlw.size import stream_bytes

SEEDS = st.integers(0, 2**32 - 1)


def awkward_weights(seed: int, longest: int = 400) -> np.ndarray:
    """Weights of many kinds, and stretches of several of them one after the other."""
    rng = np.random.default_rng([seed])
    parts = [_stretch(rng, int(rng.integers(1, longest))) for _ in range(int(rng.integers(1, 6)))]
    return np.concatenate(parts).astype(np.int16)


def _stretch(rng: np.random.Generator, count: int) -> np.ndarray:
    kind = rng.integers(0, 7)
    if kind == 0:
        return rng.integers(-128, 128, count)
    if kind == 1:
        return np.full(count, rng.integers(-128, 128) * rng.integers(0, 2))
    if kind == 2:
        return rng.choice(rng.integers(-128, 128, 2), count)
    if kind == 3:
        return np.repeat(rng.integers(-30, 30, count // 20 + 1), 20)[:count]
    spread = np.clip(np.rint(rng.laplace(0, rng.uniform(0.3, 30), count)), -128, 127)
    if kind == 4:
        return spread * (rng.random(count) < rng.uniform(0, 0.6))
    if kind == 5:
        return np.where(rng.random(count) < 0.02, rng.integers(-128, 128, count), rng.integers(-2, 3, count))
    return spread


@given(SEEDS)
def test_jumping_from_switch_to_switch_finds_the_size_of_one_weight_at_a_time(seed: int) -> None:
    weights = awkward_weights(seed)

    assert stream_bytes(weights) == scalar_mlw.stream_bytes(weights.tolist())


def test_sections_and_slices_of_long_streams_agree_too() -> None:
    rng = np.random.default_rng([8])
    weights = (rng.integers(-3, 4, 140_000) * (rng.random(140_000) < 0.3)).astype(np.int16)

    assert stream_bytes(weights) == scalar_mlw.stream_bytes(weights.tolist())


@given(SEEDS)
def test_no_stream_is_shorter_than_its_information(seed: int) -> None:
    weights = np.random.default_rng([seed]).integers(-128, 128, 3000).astype(np.int16)

    counts = np.unique(weights, return_counts=True)[1]
    entropy_bits = -(counts * np.log2(counts / weights.size)).sum()
    assert stream_bytes(weights) * 8 >= entropy_bits
