"""Losses by the names that studies give them. All are in dB, and lower is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from npuexplore.train.primitives.head import compressed_distance, head_loss
from npuexplore.train.primitives.si_sdr import si_sdr_loss

LossName = Literal["log_error_ratio", "compressed_spectral", "si_sdr"]
Loss = Callable[..., Any]
"""Of (mask_bands, synthesis=, noisy_power=, cross=, clean_power=, workspace=)."""

LOSSES: Mapping[LossName, Loss] = {
    "log_error_ratio": head_loss,
    "compressed_spectral": partial(head_loss, distance=compressed_distance),
    "si_sdr": si_sdr_loss,
}
