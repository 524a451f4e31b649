"""How long and how fast to train, as a document."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from npuexplore.documents.model import Model


class FitRecipe(Model):
    """How long and how fast to train."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)]
    batch: Annotated[int, Field(ge=1, le=4_096)] = 16
    peak_rate: PositiveFloat = 2e-3
    final_rate: PositiveFloat = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 200
    """At most a quarter of the steps are spent warming up."""
    clip_norm: PositiveFloat = 1.0
    beta_1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    beta_2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    checkpoint_steps: PositiveInt = 200
    blas_threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Each trains on a share of the batch. Part of the recipe because the last bits of sums depend on it."""
