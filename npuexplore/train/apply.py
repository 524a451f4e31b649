"""Using parameters without training them: masks of features, one-shot compression. No tape is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import CompressionPlan
from npuexplore.compression.sparsity import Params, layer_masks
from npuexplore.train.model import Treatment, forward, treat_weights
from npuexplore.train.params import copy_params
from npuexplore.train.primitives.skip import Updates
from npuexplore.train.skipping import is_gated
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network


def one_shot(
    params: Mapping[str, Mapping[str, FloatArray]], plan: CompressionPlan, network: Network
) -> Params:
    """Parameters pruned by magnitude and rounded to the plan's bits without any retraining, float32."""
    treatment = Treatment(plan, layer_masks(params, plan, network), frozen=True)
    return copy_params(
        {layer.name: treat_weights(params[layer.name], layer, treatment) for layer in network.layers}
    )


def mask_of(
    params: Mapping[str, Mapping[str, Any]],
    features: FloatArray,
    network: Network,
    plan: CompressionPlan | None = None,
) -> FloatArray:
    """Mask bands (T, B, F) in 0..1 of scaled features (T, B, F).

    With a plan, activations and states are rounded as it says; weights are taken as they are.
    """
    treatment = None if plan is None else Treatment(plan)
    mask: FloatArray = forward(params, features, network, treatment)
    return mask


def held_mask_of(
    params: Mapping[str, Mapping[str, Any]],
    features: FloatArray,
    network: Network,
    *,
    updated: NDArray[np.bool_],
) -> FloatArray:
    """`mask_of` a float network when the frames that are not `updated` (T,) hold every state and the mask.

    The first frame must be updated. A held frame changes nothing, so that the others are run as if they
    followed each other.
    """
    mask = mask_of(params, features[updated], network)
    return np.asarray(mask[np.cumsum(updated) - 1])


def skipped_frames(
    params: Mapping[str, Mapping[str, Any]],
    features: FloatArray,
    network: Network,
    plan: CompressionPlan | None = None,
) -> NDArray[np.bool_]:
    """(T, B) frames of scaled features (T, B, F) in which a network holds its states: none without a gate."""
    if not is_gated(params):
        return np.zeros(features.shape[:2], bool)
    updates = Updates()
    forward(params, features, network, None if plan is None else Treatment(plan), updates=updates)
    return np.asarray(updates.taken == 0.0)
