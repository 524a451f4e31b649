"""Quality of a network over pairs of clean and noisy signals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from npuexplore.audio.metrics import sdr_db, si_sdr_db
from npuexplore.audio.sources import Pair
from npuexplore.audio.stft import FrontEnd
from npuexplore.compression.plan import CompressionPlan
from npuexplore.errors import BadInput
from npuexplore.train.enhance import Signal, enhance
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

Metric = Literal["sdr", "si_sdr"]
METRICS: dict[Metric, Callable[..., float]] = {"sdr": sdr_db, "si_sdr": si_sdr_db}


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
    metrics: Sequence[Metric] = ("sdr", "si_sdr"),
) -> Quality:
    """Scores of the noisy and of the enhanced signals against the clean ones, per pair and mean.

    Raises BadInput naming the pair that cannot be scored, or when there is none.
    """
    noisy = [pair.noisy for pair in pairs]
    enhanced = enhance(params, noisy, fe, network, feature_scale=feature_scale, plan=plan)
    return score(pairs, enhanced, metrics=metrics)


def score(
    pairs: Sequence[Pair], enhanced: Sequence[Signal], *, metrics: Sequence[Metric] = ("sdr", "si_sdr")
) -> Quality:
    """`evaluate` for signals that are already enhanced, in the order of the pairs."""
    if not pairs:
        raise BadInput("evaluation: got no pairs of clean and noisy signals; at least one is needed")
    files = tuple(
        FileQuality(pair.name, _scores(pair, estimate, metrics))
        for pair, estimate in zip(pairs, enhanced, strict=True)
    )
    names = files[0].scores
    return Quality(files, {name: float(np.mean([file.scores[name] for file in files])) for name in names})


def _scores(pair: Pair, estimate: Signal, metrics: Sequence[Metric]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for metric in metrics:
        try:
            before = METRICS[metric](estimate=pair.noisy, reference=pair.clean)
            after = METRICS[metric](estimate=estimate, reference=pair.clean)
        except BadInput as error:
            raise BadInput(f"{pair.name}: {error}") from None
        scores[f"{metric}_in_db"] = before
        scores[f"{metric}_out_db"] = after
        scores[f"{metric}_improvement_db"] = after - before
    return scores
