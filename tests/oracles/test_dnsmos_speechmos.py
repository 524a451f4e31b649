"""Our DNSMOS, which only borrows the weights, against the whole of speechmos."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from npuexplore.audio.perception import dnsmos

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    speechmos = pytest.importorskip("speechmos.dnsmos", reason='needs the extra: pip install ".[oracles]"')


@pytest.mark.parametrize("seconds", [0.3, 4.4, 9.01, 13.7])
def test_opinions_equal_those_of_speechmos(seconds: float) -> None:
    rng = np.random.default_rng(int(10 * seconds))
    samples = 0.1 * rng.standard_normal(int(16_000 * seconds))
    samples *= np.abs(np.sin(np.arange(samples.size) / 2_500.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = speechmos.run(samples, 16_000)
    ours = dnsmos(estimate=samples, rate_hz=16_000)
    expected = [theirs[name] for name in ("sig_mos", "bak_mos", "ovrl_mos")]
    assert ours == pytest.approx(expected, abs=1e-5)
