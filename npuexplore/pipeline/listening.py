"""Running a trained network over sound files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npuexplore.audio.sources import Pair, load_pairs
from npuexplore.audio.stft import front_end
from npuexplore.audio.wav import read_audio, write_wav
from npuexplore.errors import BadInput
from npuexplore.pipeline.checkpoints import TrainedNetwork, find_model, read_network
from npuexplore.train.enhance import enhance
from npuexplore.train.evaluate import Quality, evaluate

EVALUATE_SCHEMA = "npuexplore.evaluate/1"


def score_network(trained: TrainedNetwork, pairs: Sequence[Pair]) -> Quality:
    """Scores of a network over pairs. Raises BadInput naming a pair that cannot be scored."""
    return evaluate(
        trained.params,
        pairs,
        front_end(trained.network),
        trained.network,
        feature_scale=trained.feature_scale,
        plan=trained.plan,
    )


def evaluate_folders(model: str, *, clean: Path, noisy: Path, runs: Path) -> dict[str, Any]:
    """Scores of a network over two folders of equally named files. Raises BadInput."""
    trained = read_network(find_model(model, runs=runs))
    rate_hz = trained.network.frame_clock.sample_rate_hz
    quality = score_network(trained, load_pairs(clean, noisy, rate_hz=rate_hz))
    return {
        "schema": EVALUATE_SCHEMA,
        "model": model,
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
