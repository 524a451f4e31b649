"""Our SDR against mir_eval's `bss_eval_sources` (BSSEval 3)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from npuexplore.audio.metrics import sdr_db

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    separation = pytest.importorskip(
        "mir_eval.separation", reason='needs the extra: pip install ".[oracles]"'
    )


def by_mir_eval(estimate: np.ndarray, reference: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"(?s).*mir_eval\.separation.*", category=FutureWarning)
        sdr, _, _, _ = separation.bss_eval_sources(reference[None], estimate[None], compute_permutation=False)
    return float(sdr[0])


def speech_like(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Low-passed, pulsing noise: as ill-conditioned as recorded speech."""
    sound = rng.standard_normal(samples)
    for _ in range(4):
        sound = np.convolve(sound, np.hanning(9) / 4.0, mode="same")
    return sound * np.abs(np.sin(np.arange(samples) / 2_000.0))


@pytest.mark.parametrize("samples", [1_000, 16_000, 50_001])
@pytest.mark.parametrize("snr_db", [-6.0, 9.0, 40.0])
@pytest.mark.parametrize("kind", ["white", "speech"])
def test_sdr_equals_mir_eval(samples: int, snr_db: float, kind: str) -> None:
    rng = np.random.default_rng([samples, int(snr_db + 10)])
    reference = rng.standard_normal(samples) if kind == "white" else speech_like(samples, rng)
    coloured = np.convolve(reference, rng.standard_normal(300) * np.exp(-np.arange(300) / 40.0))[:samples]
    noise = rng.standard_normal(samples)
    noise *= np.sqrt((coloured @ coloured) / (noise @ noise)) * 10.0 ** (-snr_db / 20.0)
    estimate = coloured + noise
    ours = sdr_db(estimate=estimate, reference=reference)
    assert ours == pytest.approx(by_mir_eval(estimate, reference), abs=1e-6)
