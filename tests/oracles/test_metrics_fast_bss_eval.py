"""Our SDR against fast_bss_eval's, on what the test against mir_eval is made of and on recorded speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from npuexplore.audio.metrics import sdr_db
from npuexplore.audio.wav import read_audio

fast_bss_eval = pytest.importorskip("fast_bss_eval", reason='needs the extra: pip install ".[oracles]"')

CHIME2 = Path(__file__).parents[3] / "shared" / "audio" / "chime2"


def by_fast_bss_eval(estimate: np.ndarray, reference: np.ndarray) -> float:
    return float(fast_bss_eval.sdr(reference[None], estimate[None])[0])


@pytest.mark.parametrize("samples", [1_000, 16_000, 50_001])
@pytest.mark.parametrize("snr_db", [-6.0, 9.0, 40.0])
def test_sdr_equals_fast_bss_eval(samples: int, snr_db: float) -> None:
    rng = np.random.default_rng([samples, int(snr_db + 10)])
    reference = rng.standard_normal(samples)
    coloured = np.convolve(reference, rng.standard_normal(300) * np.exp(-np.arange(300) / 40.0))[:samples]
    noise = rng.standard_normal(samples)
    noise *= np.sqrt((coloured @ coloured) / (noise @ noise)) * 10.0 ** (-snr_db / 20.0)
    estimate = coloured + noise
    ours = sdr_db(estimate=estimate, reference=reference)
    assert ours == pytest.approx(by_fast_bss_eval(estimate, reference), abs=1e-6)


@pytest.mark.skipif(not CHIME2.is_dir(), reason="no shared/audio/chime2 beside this checkout: recorded pairs")
@pytest.mark.parametrize("system", ["noisy", "tinylstm_fp32", "tinylstm_int8"])
def test_sdr_of_recordings_equals_both_peers(system: str) -> None:
    from test_metrics_mir_eval import by_mir_eval

    for path in sorted((CHIME2 / system).glob("*.flac"))[::6]:
        estimate = read_audio(path, rate_hz=16_000).astype(np.float64)
        reference = read_audio(CHIME2 / "clean" / path.name, rate_hz=16_000)[: estimate.size]
        ours = sdr_db(estimate=estimate, reference=reference)
        assert ours == pytest.approx(by_mir_eval(estimate, reference.astype(np.float64)), abs=1e-6)
        assert ours == pytest.approx(by_fast_bss_eval(estimate, reference.astype(np.float64)), abs=1e-6)
