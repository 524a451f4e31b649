"""Running a trained network over sound files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npuexplore.audio.perception import NEEDS, installed, require
from npuexplore.audio.sources import Pair, load_enhanced, load_pairs
from npuexplore.audio.stft import front_end
from npuexplore.audio.wav import read_audio, write_wav
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network
from npuexplore.train.enhance import enhance
from npuexplore.train.evaluate import (
    DISTORTION,
    METRICS,
    Metric,
    Progress,
    Quality,
    evaluate,
    score,
)
from npuexplore.train.skipped import skipped_frac
from npuexplore.train.skipping import is_gated

EVALUATE_SCHEMA = "npuexplore.evaluate/1"
ENHANCED_RATE_HZ = 16_000
"""The rate at which files of unknown origin are scored."""


def score_network(
    trained: TrainedNetwork,
    pairs: Sequence[Pair],
    *,
    metrics: Sequence[Metric] = DISTORTION,
    on_progress: Progress | None = None,
) -> Quality:
    """Scores of a network over pairs. Raises BadInput naming a pair that cannot be scored."""
    return evaluate(
        trained.params,
        pairs,
        front_end(trained.network),
        trained.network,
        feature_scale=trained.feature_scale,
        plan=trained.plan,
        metrics=metrics,
        on_progress=on_progress,
    )


def skipped_share(trained: TrainedNetwork, pairs: Sequence[Pair]) -> float | None:
    """Share of the frames of pairs that a network skips; None for one without a gate."""
    if not is_gated(trained.params):
        return None
    return skipped_frac(
        trained.params,
        [pair.noisy for pair in pairs],
        front_end(trained.network),
        trained.network,
        feature_scale=trained.feature_scale,
        plan=trained.plan,
    )


def evaluate_folders(
    model: str,
    *,
    clean: Path,
    noisy: Path,
    runs: Path,
    metrics: Sequence[Metric] = DISTORTION,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores of a network over two folders of equally named files. Raises BadInput."""
    trained = read_network(find_model(model, runs=runs))
    rate_hz = trained.network.frame_clock.sample_rate_hz
    pairs = load_pairs(clean, noisy, rate_hz=rate_hz)
    quality = score_network(trained, pairs, metrics=metrics, on_progress=on_progress)
    return _document(quality, model=model)


def metrics_to_score(asked: Sequence[str]) -> tuple[Metric, ...]:
    """The metrics asked for, each once; where none is, all that are installed.

    Raises UsageError for an unknown one, EnvironmentLacking for one whose package is not there.
    """
    for name in asked:
        if name not in METRICS:
            raise UsageError(f"--metric {name!r}: not known; choose from {', '.join(METRICS)}")
        require(name)
    return tuple(metric for metric in METRICS if metric in asked) or tuple(
        metric for metric in METRICS if installed(metric)
    )


def not_installed() -> tuple[str, ...]:
    """The metrics that an extra would bring and that are not there."""
    return tuple(name for name in NEEDS if not installed(name))


def evaluate_enhanced(
    enhanced: Path,
    *,
    clean: Path,
    noisy: Path,
    metrics: Sequence[Metric] = DISTORTION,
    on_progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores of files that any system has enhanced, at 16 kHz. Raises BadInput."""
    pairs = load_pairs(clean, noisy, rate_hz=ENHANCED_RATE_HZ)
    signals = load_enhanced(enhanced, pairs, rate_hz=ENHANCED_RATE_HZ)
    quality = score(pairs, signals, rate_hz=ENHANCED_RATE_HZ, metrics=metrics, on_progress=on_progress)
    return _document(quality, enhanced=str(enhanced))


def _document(quality: Quality, **what: str) -> dict[str, Any]:
    return {
        "schema": EVALUATE_SCHEMA,
        **what,
        "files": [{"name": item.name, **item.scores} for item in quality.files],
        "mean": quality.mean,
    }


def enhance_file(model: str, *, source: Path, target: Path, runs: Path) -> int:
    """Writes `source` with its noise reduced to `target`; returns how many samples were clipped.

    Raises BadInput for a file that cannot be used, also when target and source are the same.
    """
    if target.is_dir():
        raise BadInput(f"{target}: is a folder; name the WAV file to write")
    if target.suffix.lower() != ".wav":
        raise BadInput(f"{target}: only WAV can be written; name it {target.stem}.wav")
    if target.exists() and source.exists() and target.samefile(source):
        raise BadInput(f"{target}: is the recording itself; name another file to write")
    trained = read_network(find_model(model, runs=runs))
    rate_hz = trained.network.frame_clock.sample_rate_hz
    noisy = read_audio(source, rate_hz=rate_hz)
    enhanced = enhance(
        trained.params,
        [noisy],
        front_end(trained.network),
        trained.network,
        feature_scale=trained.feature_scale,
        plan=trained.plan,
    )
    return write_wav(target, enhanced[0], rate_hz=rate_hz)
