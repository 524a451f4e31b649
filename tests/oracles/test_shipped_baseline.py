"""The shipped baseline on recorded CHiME-2 pairs, scored from the checkpoint itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from npuexplore.pipeline.listening import evaluate_folders

PAIRS = Path(__file__).parents[3] / "shared" / "audio" / "chime2"


@pytest.mark.skipif(not PAIRS.is_dir(), reason="no shared/audio/chime2 beside this checkout: recorded pairs")
def test_the_shipped_baseline_raises_both_sdr_and_si_sdr_by_one_db():
    mean = evaluate_folders("tinylstm", clean=PAIRS / "clean", noisy=PAIRS / "noisy", runs=Path("runs"))[
        "mean"
    ]
    assert mean["sdr_improvement_db"] >= 1.0
    assert mean["si_sdr_improvement_db"] >= 1.0
