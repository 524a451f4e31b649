from __future__ import annotations

import csv
from pathlib import Path

import pytest

from npuexplore.audio.perception import installed
from npuexplore.audio.sources import SplitSpec, load_corpus
from npuexplore.pipeline.listening import evaluate_enhanced

pytestmark = pytest.mark.shared

PUBLISHED_SDR_TOLERANCE_DB = 0.01
"""The published scores come from another implementation: 0.005 dB is the largest difference seen."""
SYSTEMS = {"tinylstm_fp32": "baseline", "tinylstm_int8": "pruned_and_quantized_1"}
"""Folder of outputs: what published_scores.csv calls the model."""


@pytest.fixture(scope="module")
def published(shared_folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Rows by model and file name."""
    with (shared_folder / "audio" / "chime2" / "published_scores.csv").open(newline="") as stream:
        return {(row["model"], f"{row['utt']}_snr{row['snr']}"): row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_published_system_scores_as_published(
    shared_folder: Path, published: dict[tuple[str, str], dict[str, str]], system: str
) -> None:
    chime2 = shared_folder / "audio" / "chime2"
    metrics = ("sdr", "si_sdr", "stoi", *(("pesq",) if installed("pesq") else ()))
    document = evaluate_enhanced(
        chime2 / system, clean=chime2 / "clean", noisy=chime2 / "noisy", metrics=metrics
    )
    assert len(document["files"]) == 18
    for item in document["files"]:
        row = published[SYSTEMS[system], item["name"]]
        for side, theirs in (("in", "dirty"), ("out", "proc")):
            assert item[f"sdr_{side}_db"] == pytest.approx(
                float(row[f"sdr_{theirs}"]), abs=PUBLISHED_SDR_TOLERANCE_DB
            )
            assert item[f"si_sdr_{side}_db"] == pytest.approx(float(row[f"sisdr_{theirs}"]), abs=1e-4)
            assert item[f"stoi_{side}"] == pytest.approx(float(row[f"stoi_{theirs}"]), abs=2e-4)
        if "pesq" in metrics:
            assert item["pesq_out"] == pytest.approx(float(row["pesq_wb_proc"]), abs=2e-3)


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
