"""Quality of a network over pairs of clean and noisy signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from npuexplore.audio.metrics import sdr_db, si_sdr_db
from npuexplore.audio.perception import dnsmos, pesq, require, stoi
from npuexplore.audio.sources import Pair
from npuexplore.audio.stft import FrontEnd
from npuexplore.compression.plan import CompressionPlan
from npuexplore.errors import BadInput
from npuexplore.train.enhance import Signal, enhance
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

Metric = Literal["sdr", "si_sdr", "stoi", "pesq", "dnsmos"]
Progress = Callable[[int, int], None]
"""Called with (pairs done, pairs in all)."""
Scores = Callable[..., tuple[float, ...]]
"""Of (estimate, reference, rate_hz), all by keyword."""


@dataclass(frozen=True)
class Measure:
    """How a metric scores a signal, and what its scores are called: STEM_in, STEM_out, STEM_improvement."""

    scores: Scores
    stems: tuple[str, ...]
    unit: str = ""
    """What ends the names of its scores."""


METRICS: dict[Metric, Measure] = {
    "sdr": Measure(lambda *, rate_hz, **signals: (sdr_db(**signals),), ("sdr",), "_db"),
    "si_sdr": Measure(lambda *, rate_hz, **signals: (si_sdr_db(**signals),), ("si_sdr",), "_db"),
    "stoi": Measure(lambda **signals: (stoi(**signals),), ("stoi",)),
    "pesq": Measure(lambda **signals: (pesq(**signals),), ("pesq",)),
    "dnsmos": Measure(
        lambda *, reference, **signals: dnsmos(**signals), ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")
    ),
}
DISTORTION: tuple[Metric, ...] = ("sdr", "si_sdr")


@dataclass(frozen=True)
class FileQuality:
    """Scores of one pair: sdr_in_db, sdr_out_db, sdr_improvement_db, si_sdr_in_db, ..."""

    name: str
    scores: dict[str, float]


@dataclass(frozen=True)
class Quality:
    """Scores per pair and their means."""

    files: tuple[FileQuality, ...]
    mean: dict[str, float]


def evaluate(
    params: Mapping[str, Mapping[str, Any]],
    pairs: Sequence[Pair],
    fe: FrontEnd,
    network: Network,
    *,
    feature_scale: FloatArray,
    plan: CompressionPlan | None = None,
    metrics: Sequence[Metric] = DISTORTION,
    on_progress: Progress | None = None,
) -> Quality:
    """Scores of the noisy and of the enhanced signals against the clean ones, per pair and mean.

    Raises BadInput naming the pair that cannot be scored, or when there is none, and EnvironmentLacking for a
    metric whose package is not installed.
    """
    for metric in metrics:
        require(metric)
    noisy = [pair.noisy for pair in pairs]
    enhanced = enhance(params, noisy, fe, network, feature_scale=feature_scale, plan=plan)
    return score(pairs, enhanced, rate_hz=fe.sample_rate_hz, metrics=metrics, on_progress=on_progress)


def score(
    pairs: Sequence[Pair],
    enhanced: Sequence[Signal],
    *,
    rate_hz: int,
    metrics: Sequence[Metric] = DISTORTION,
    on_progress: Progress | None = None,
) -> Quality:
    """`evaluate` for signals that are already enhanced, in the order of the pairs.

    An enhanced signal shorter than its pair is scored on the samples it has; the noisy one on all.
    """
    if not pairs:
        raise BadInput("evaluation: got no pairs of clean and noisy signals; at least one is needed")
    files = []
    for done, (pair, estimate) in enumerate(zip(pairs, enhanced, strict=True), start=1):
        files.append(FileQuality(pair.name, _scores(pair, estimate, metrics, rate_hz=rate_hz)))
        if on_progress is not None:
            on_progress(done, len(pairs))
    names = files[0].scores
    return Quality(
        tuple(files), {name: float(np.mean([file.scores[name] for file in files])) for name in names}
    )


def _scores(pair: Pair, estimate: Signal, metrics: Sequence[Metric], *, rate_hz: int) -> dict[str, float]:
    scores: dict[str, float] = {}
    heard = pair.clean[: estimate.size]
    for measure in (METRICS[metric] for metric in metrics):
        try:
            before = measure.scores(estimate=pair.noisy, reference=pair.clean, rate_hz=rate_hz)
            after = measure.scores(estimate=estimate, reference=heard, rate_hz=rate_hz)
        except BadInput as error:
            raise BadInput(f"{pair.name}: {error}") from None
        for stem, first, second in zip(measure.stems, before, after, strict=True):
            scores[f"{stem}_in{measure.unit}"] = first
            scores[f"{stem}_out{measure.unit}"] = second
            scores[f"{stem}_improvement{measure.unit}"] = second - first
    return scores
