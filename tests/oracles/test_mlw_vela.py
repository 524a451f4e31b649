"""Encoded sizes against Vela's own coder, on weights that no reference file holds."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import vela_coder

from npuexplore.compression.mlw.size import stream_bytes


@pytest.fixture(scope="module")
def core() -> ctypes.CDLL:
    return vela_coder.library()


def _awkward(seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed])
    parts = [_stretch(rng, int(rng.integers(1, 4000))) for _ in range(int(rng.integers(1, 8)))]
    return np.concatenate(parts).astype(np.int16)


def _stretch(rng: np.random.Generator, count: int) -> np.ndarray:
    spread = np.clip(np.rint(rng.laplace(0, rng.uniform(0.3, 30), count)), -128, 127)
    kinds = [
        rng.integers(-128, 128, count),
        np.zeros(count),
        np.full(count, rng.integers(-128, 128)),
        rng.choice(rng.integers(-128, 128, 2), count),
        np.repeat(rng.integers(-30, 30, count // 20 + 1), 20)[:count],
        spread,
        spread * (rng.random(count) < rng.uniform(0, 0.6)),
        np.where(rng.random(count) < 0.02, rng.integers(-128, 128, count), rng.integers(-2, 3, count)),
    ]
    return kinds[int(rng.integers(0, len(kinds)))]


@pytest.mark.parametrize("seed", range(400))
def test_awkward_streams_take_as_many_bytes_as_vela_gives_them(seed: int, core: ctypes.CDLL) -> None:
    weights = _awkward(seed)

    assert stream_bytes(weights) == vela_coder.encoded_bytes(core, weights)


@pytest.mark.parametrize("count", [1, 131_071, 131_072, 131_073, 300_000])
@pytest.mark.parametrize("kept", [0.0, 0.05, 1.0])
def test_long_streams_are_cut_where_vela_cuts_them(count: int, kept: float, core: ctypes.CDLL) -> None:
    rng = np.random.default_rng([count])
    weights = np.clip(np.rint(rng.normal(0, 30, count)), -127, 127) * (rng.random(count) < kept)

    assert stream_bytes(weights.astype(np.int16)) == vela_coder.encoded_bytes(core, weights)
