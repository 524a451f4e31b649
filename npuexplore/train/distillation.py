"""What the float baseline says of a batch, as further targets of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from npuexplore.compression.sparsity import Params
from npuexplore.train.model import forward
from npuexplore.train.primitives.head import head_loss
from npuexplore.train.primitives.workspace import Workspace
from npuexplore.train.recipe import Distillation
from npuexplore.units import FloatArray
from npuexplore.workload.network import Network

TAUGHT = "mask to teacher"
"""Key of the workspace of what is taught; no layer can bear a name with spaces."""


@dataclass(frozen=True)
class Teacher:
    """The network that is learned from, and how much."""

    params: Params
    spec: Distillation


def teachers_target(
    teacher: Teacher,
    features: FloatArray,
    network: Network,
    *,
    synthesis: FloatArray,
    noisy_power: FloatArray,
) -> dict[str, FloatArray]:
    """Arguments of `head_loss` under which the mask is to do what the teacher's does.

    Spectra: |M X - M' X|^2 over |M' X|^2, M' being the teacher's mask over bins. Masks: the same of bands,
    all of them equally loud.
    """
    bands: FloatArray = forward(teacher.params, features, network)
    if teacher.spec.target == "masks":
        alike = np.eye(bands.shape[2], dtype=bands.dtype)
        return {
            "synthesis": alike,
            "noisy_power": np.ones_like(bands),
            "cross": bands,
            "clean_power": bands * bands,
        }
    bins = bands @ synthesis
    cross = bins * noisy_power
    return {"synthesis": synthesis, "noisy_power": noisy_power, "cross": cross, "clean_power": bins * cross}


def taught_loss(
    loss: Any,
    mask_bands: Any,
    teacher: Teacher,
    target: Mapping[str, Any],
    *,
    workspace: Workspace | None = None,
) -> Any:
    """The loss, of which the teacher's share asks for what the teacher does, in dB."""
    share = mask_bands.dtype.type(teacher.spec.share_frac)
    one = mask_bands.dtype.type(1.0)
    return loss * (one - share) + head_loss(mask_bands, workspace=workspace, **target) * share
