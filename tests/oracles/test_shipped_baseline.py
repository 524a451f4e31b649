"""Float networks of this repository on recorded CHiME-2 pairs, scored from the checkpoints themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from npuexplore.pipeline.listening import evaluate_folders

REPOSITORY = Path(__file__).parents[2]
PAIRS = REPOSITORY.parent / "shared" / "audio" / "chime2"
WIDE = str(REPOSITORY / "docs" / "results" / "quality" / "wide" / "network.npz")


@pytest.mark.skipif(not PAIRS.is_dir(), reason="no shared/audio/chime2 beside this checkout: recorded pairs")
@pytest.mark.parametrize(
    ("network", "sdr_db", "si_sdr_db"),
    [("tinylstm", 2.82, 2.31), (WIDE, 3.54, 3.06)],
    ids=["shipped", "wide"],
)
def test_a_network_gains_what_its_card_says(network: str, sdr_db: float, si_sdr_db: float) -> None:
    found = evaluate_folders(network, clean=PAIRS / "clean", noisy=PAIRS / "noisy", runs=Path("runs"))
    assert found["mean"]["sdr_improvement_db"] == pytest.approx(sdr_db, abs=0.02)
    assert found["mean"]["si_sdr_improvement_db"] == pytest.approx(si_sdr_db, abs=0.02)
