"""How long and how fast to train, as a document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_serializer, model_validator
from pydantic import SerializerFunctionWrapHandler as Wrapped

from npuexplore.documents.model import Model
from npuexplore.train.losses import LossName

Method = Literal["gradual", "learned", "frozen", "offline"]
"""How masks come about; words of the YAML."""
Budget = Literal["layer", "network"]
Ranges = Literal["tracked", "learned"]
Pruner = Literal["asha", "hyperband"]


class FitRecipe(Model):
    """How long and how fast to train."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)]
    batch: Annotated[int, Field(ge=1, le=4_096)] = 16
    loss: LossName = "log_error_ratio"
    """What is made small: `log_error_ratio` is the energy of the error of the spectra against that of the
    speech; `compressed_spectral` the same of spectra compressed to the power 0.3, 70 % of it heedless of
    phase; `si_sdr` is SI-SDR with its sign turned, which leaves the level of the output free. All in dB."""
    peak_rate: PositiveFloat = 2e-3
    final_rate: PositiveFloat = 1e-5
    warmup_steps: Annotated[int, Field(ge=0)] = 200
    """At most a quarter of the steps are spent warming up."""
    clip_norm: PositiveFloat = 1.0
    beta_1: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    beta_2: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.99
    checkpoint_steps: PositiveInt = 200
    blas_threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Processes of one BLAS thread, each of which trains on a share of the batch. Part of the recipe because
    the last bits of sums depend on it."""
    validation_steps: PositiveInt = 100
    """How often the network is tried on voices and noises that it does not learn from; the best is kept."""
    patience: PositiveInt | None = None
    """Validations without a better network after which training stops; without it, all steps are made."""


class Distillation(Model):
    """Learning from the float baseline beside learning from clean speech."""

    target: Literal["spectra", "masks"] = "spectra"
    """What is to be like the baseline's: the enhanced spectra, or the mask bands."""
    share_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """Share of the loss that asks for it."""


class Halving(Model):
    """Plans of about a pick's cost are retrained with it for a while; the best of them becomes the pick."""

    pruner: Pruner = "asha"
    """Who stops candidates: Optuna's successive halving, or its Hyperband, which gives some more time."""
    rivals: Annotated[int, Field(ge=1, le=31)] = 3
    """Plans that compete with each pick."""
    first_rung_steps: PositiveInt = 100
    """Steps of retraining before the first comparison."""
    reduction_factor: Annotated[int, Field(ge=2, le=16)] = 2
    """One in so many goes on from a rung, and the next is after so many times its steps."""


class RetrainRecipe(FitRecipe):
    """How a compressed network is made of a trained one."""

    method: Method = "gradual"
    """`gradual`: the smallest groups of a layer go, more and more of them on a cubic schedule. `learned`:
    thresholds learn with the weights under a steered penalty. `frozen`: the smallest go at once, and the rest
    learns on. `offline`: they go after training, and nothing learns."""
    budget: Budget = "network"
    """Under `learned`: whether every layer keeps what the plan says, or the network as a whole does."""
    distillation: Distillation | None = None
    ranges: Ranges = "tracked"
    """Of outputs without bounds (dense layers with relu or none): `tracked`, a running mean of the largest
    magnitude; or `learned` from there on with the weights."""

    halving: Halving | None = None
    """A competition for the picks; without it, what the search chose is retrained."""

    @model_validator(mode="after")
    def halving_has_something_to_compare(self) -> RetrainRecipe:
        """A rung lies before the end of a retraining in which something learns."""
        if self.halving is None:
            return self
        if self.method == "offline":
            raise ValueError("halving: under method offline nothing learns; leave halving out")
        if self.halving.first_rung_steps >= self.steps:
            raise ValueError(
                f"halving.first_rung_steps: got {self.halving.first_rung_steps}; it must be below steps, "
                f"{self.steps}"
            )
        return self

    @model_serializer(mode="wrap")
    def without_what_is_as_ever(self, wrapped: Wrapped) -> dict[str, Any]:
        """Ranges are mentioned where they are learned, halving where there is any."""
        document: dict[str, Any] = wrapped(self)
        usual = {"ranges": "tracked", "halving": None}
        return {name: value for name, value in document.items() if (name, value) not in usual.items()}
