"""How often a network that skips frames really does, on sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from npuexplore.audio.stft import FrontEnd
from npuexplore.compression.plan import CompressionPlan
from npuexplore.train.apply import skipped_frames
from npuexplore.train.enhance import Signal, scaled_features
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network


def skipped_frac(
    params: Mapping[str, Mapping[str, Any]],
    noisy: Sequence[Signal],
    fe: FrontEnd,
    network: Network,
    *,
    feature_scale: FloatArray,
    plan: CompressionPlan | None = None,
) -> float:
    """Share of the frames of all signals (N,) in which a network holds its states.

    feature_scale : (F,) deviation of each feature. Every signal is heard alone, from a state of zeros.
    """
    skipped = total = 0
    for signal in noisy:
        features, _ = scaled_features(signal[None], fe, feature_scale)
        frames = skipped_frames(params, features, network, plan)
        skipped, total = skipped + int(frames.sum()), total + frames.size
    return skipped / total
