"""The sound of a study: its corpus, and the mixtures it is calibrated and scored on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from npuexplore.audio.manifest import MANIFEST_NAME
from npuexplore.audio.mixtures import fixed_mixtures
from npuexplore.audio.sources import Corpus, Pair, load_corpus, require_training, sound_files
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.run_directory import digest
from npuexplore.pipeline.study_file import StudyFile
from npuexplore.workload.network import Network

Progress = Callable[[int, int], None]


def data_document(study: StudyFile, folder: Path | None) -> dict[str, Any]:
    """What identifies the data of a run: names and sizes of the sound files, and their manifest.

    Raises UsageError when the study needs a folder and has none, BadInput when there is no such folder.
    """
    if folder is None:
        if study.data == "recorded":
            raise UsageError(
                f"study {study.name}: learns from recorded audio; give its folder with --data FOLDER "
                "(speech/ and noise/), or get one: npuexplore data fetch debian-speech --output FOLDER"
            )
        return {"kind": "demo"}
    if not folder.is_dir():
        raise BadInput(f"--data {folder}: no such folder; give one with speech/ and noise/")
    files = sound_files(folder)
    listing: list[Any] = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]
    manifest = folder / MANIFEST_NAME
    if manifest.is_file():
        listing.append(hashlib.sha256(manifest.read_bytes()).hexdigest())
    return {"kind": "recorded", "files": len(files), "sha256": digest(listing)}


def gather(study: StudyFile, network: Network, folder: Path | None, *, on_progress: Progress) -> Corpus:
    """The corpus that a study learns from. Raises BadInput, or EnvironmentLacking without the demo voices."""
    rate_hz = network.frame_clock.sample_rate_hz
    if folder is None:
        from npuexplore.audio.demo import demo_corpus

        corpus = demo_corpus(
            rate_hz=rate_hz, seed=study.seed, train_minutes=study.demo_minutes, on_progress=on_progress
        )
    else:
        corpus = load_corpus(folder, rate_hz=rate_hz, split=study.split, on_progress=on_progress)
    return require_training(corpus, seconds=segment_samples(study, network) / rate_hz, rate_hz=rate_hz)


def segment_samples(study: StudyFile, network: Network) -> int:
    """Samples of a training mixture."""
    clock = network.frame_clock
    return (study.mixtures.segment_frames - clock.window_frames + 1) * clock.hop_samples


def evaluation_sets(study: StudyFile, network: Network, corpus: Corpus) -> dict[str, tuple[Pair, ...]]:
    """`unseen` (test voices in test noises) and, where the data holds pairs, `pairs`."""
    spec = study.evaluation
    sets = {
        "unseen": fixed_mixtures(
            corpus.test,
            count=spec.mixtures,
            seconds=spec.seconds,
            rate_hz=network.frame_clock.sample_rate_hz,
            snr_db=spec.snr_db,
            seed=study.seed,
        )
    }
    if corpus.pairs:
        sets["pairs"] = corpus.pairs
    return sets


def calibration_set(study: StudyFile, network: Network, corpus: Corpus) -> tuple[Pair, ...]:
    """Mixtures of the validation voices and noises."""
    spec = study.evaluation
    return fixed_mixtures(
        corpus.validation,
        count=spec.calibration_mixtures,
        seconds=spec.seconds,
        rate_hz=network.frame_clock.sample_rate_hz,
        snr_db=spec.snr_db,
        seed=study.seed + 1,
    )


def credits_of(corpus: Corpus) -> tuple[str, ...]:
    """Licences of the training audio, each once."""
    recordings = [*corpus.train.speech, *corpus.train.noise]
    return tuple(sorted({recording.licence for recording in recordings if recording.licence}))
