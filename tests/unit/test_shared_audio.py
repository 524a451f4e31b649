from __future__ import annotations

import csv
from pathlib import Path

import pytest

from npuexplore.audio.metrics import sdr_db, si_sdr_db
from npuexplore.audio.sources import SplitSpec, load_corpus
from npuexplore.audio.wav import read_audio

pytestmark = pytest.mark.shared

PUBLISHED_SDR_TOLERANCE_DB = 0.005
"""The published scores come from another implementation: 0.0016 dB is the largest difference seen."""


def test_sdr_of_the_noisy_chime2_utterances_is_the_published_one(shared_folder: Path) -> None:
    chime2 = shared_folder / "audio" / "chime2"
    with (chime2 / "published_scores.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["model"] == "baseline"]
    compared = 0
    for row in rows:
        name = f"{row['utt']}_snr{row['snr']}.flac"
        if not (chime2 / "clean" / name).is_file():
            continue
        clean, noisy = (read_audio(chime2 / side / name, rate_hz=16_000) for side in ("clean", "noisy"))
        published = float(row["sdr_dirty"]), float(row["sisdr_dirty"])
        assert sdr_db(estimate=noisy, reference=clean) == pytest.approx(
            published[0], abs=PUBLISHED_SDR_TOLERANCE_DB
        )
        assert si_sdr_db(estimate=noisy, reference=clean) == pytest.approx(published[1], abs=1e-4)
        compared += 1
    assert compared == 18


def test_the_shared_corpus_keeps_people_and_noise_files_apart(shared_folder: Path) -> None:
    spec = SplitSpec(same_speaker=(("en_allison", "es_allison"),))
    corpus = load_corpus(shared_folder / "audio", rate_hz=16_000, split=spec)
    splits = (corpus.train, corpus.validation, corpus.test)
    speakers = [{r.group for r in split.speech} for split in splits]
    assert sum(len(names) for names in speakers) == len(set().union(*speakers)) == 7
    assert sum(len(split.noise) for split in splits) == len({r.name for split in splits for r in split.noise})
    assert len({r.group for r in corpus.test.noise}) >= 5
    assert len(corpus.pairs) == 18
    assert corpus.pairs_name == "chime2"
    assert corpus.pairs_evaluation_only
