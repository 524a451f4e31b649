"""A study: one YAML file that says what is searched, on which part, with which data and how long."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_serializer
from pydantic import SerializerFunctionWrapHandler as Wrapped

from npuexplore.audio.augment import DecibelRange
from npuexplore.audio.mixtures import MixtureRecipe
from npuexplore.audio.sources import SplitSpec
from npuexplore.documents.model import NAME_PATTERN, Model, Name
from npuexplore.documents.shipped import find_document
from npuexplore.documents.strict_yaml import read_document
from npuexplore.errors import UsageError
from npuexplore.search.space import SpaceSpec
from npuexplore.search.spec import SearchSpec
from npuexplore.train.fit import FitRecipe, RetrainRecipe

MOST_PARTS = 16
"""Profiles of a shortlist."""


class StartSpec(Model):
    """What a training begins with. A base of its own, so that `start` is read before `steps`."""

    start: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None
    """Trained float network to start from: `tinylstm`, path of a checkpoint, or RUN:baseline. A run knows it
    by the digest of its contents. Without it, weights are random at the start."""


class BaselineRecipe(FitRecipe, StartSpec):
    """How the float baseline comes about: trained, fine-tuned from a start, or the start as it is."""

    steps: Annotated[int, Field(ge=0, le=10_000_000)]
    """0 takes the start as it is."""

    @field_validator("steps")
    @classmethod
    def no_steps_need_a_start(cls, steps: int, info: ValidationInfo) -> int:
        """Random weights that nothing is taught are no baseline."""
        if steps == 0 and info.data.get("start") is None:
            raise ValueError(
                "got 0, which only a baseline with a start may have; give at least 1, or name a trained "
                "network with `start`"
            )
        return steps

    @model_serializer(mode="wrap")
    def without_a_start_that_is_none(self, wrapped: Wrapped) -> dict[str, Any]:
        """A start is mentioned where there is one."""
        document: dict[str, Any] = wrapped(self)
        return {name: value for name, value in document.items() if (name, value) != ("start", None)}


class Limits(Model):
    """What a plan must keep to; the part's own flash, SRAM and deadline always hold."""

    quality_loss_db: Annotated[float, Field(gt=0.0, le=30.0)] = 1.0
    """Largest predicted loss of SI-SDR against the float baseline."""
    deadline_share_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the deadline that the network and its front end may take."""
    reserved_flash_bytes: Annotated[int, Field(ge=0)] = 0
    """Flash that something else on the part uses."""
    reserved_sram_bytes: Annotated[int, Field(ge=0)] = 0
    """SRAM that something else on the part uses."""
    slack_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Share of what is left of flash, SRAM, a memory for weights and the deadline that a plan must leave
    free, because estimates are not exact."""

    @model_serializer(mode="wrap")
    def without_slack_that_is_none(self, wrapped: Wrapped) -> dict[str, Any]:
        """Slack is mentioned where there is some."""
        document: dict[str, Any] = wrapped(self)
        return {name: value for name, value in document.items() if (name, value) != ("slack_frac", 0.0)}


class EvaluationSpec(Model):
    """Mixtures of voices and noises that training never heard."""

    mixtures: Annotated[int, Field(ge=2, le=1_000)] = 30
    seconds: Annotated[float, Field(ge=1.0, le=60.0)] = 5.0
    snr_db: DecibelRange = (-5.0, 15.0)
    calibration_mixtures: Annotated[int, Field(ge=2, le=1_000)] = 16
    """Mixtures of the validation voices on which one-shot compression is measured."""


class PickSpec(Model):
    """Which plans of the front are retrained."""

    count: Annotated[int, Field(ge=3, le=32)] = 4
    recovery_frac: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2
    """Share of the one-shot loss that is expected to stay after retraining (assumed until picks tell)."""
    most_uncertain: bool | None = None
    """Also retrain the plan of the front whose loss is least sure, from which the most is learned. Where not
    said: with `rounds`, in every round but the last."""

    @model_serializer(mode="wrap")
    def without_what_is_not_said(self, wrapped: Wrapped) -> dict[str, Any]:
        """Whether to try the most uncertain plan is mentioned where the study says it."""
        document: dict[str, Any] = wrapped(self)
        return {name: value for name, value in document.items() if (name, value) != ("most_uncertain", None)}


class StudyFile(Model):
    """The main job, complete."""

    schema_version: Literal["npuexplore.study/1"] = Field(alias="schema")
    name: Name
    description: str = ""
    profile: str | tuple[str, ...]
    """Shipped name or path of a hardware profile; of a list, the search chooses a part for every plan."""
    memory_mode: str | None = None
    network: str
    """Shipped name or path of a network."""
    data: Literal["demo", "recorded"] = "demo"
    """`demo` synthesises speech and noise; `recorded` needs --data."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    split: SplitSpec = SplitSpec()
    mixtures: MixtureRecipe = MixtureRecipe()
    baseline: BaselineRecipe
    space: SpaceSpec
    search: SearchSpec
    limits: Limits = Limits()
    picks: PickSpec = PickSpec()
    rounds: Annotated[int, Field(ge=1, le=8)] = 1
    """How often to search, retrain picks and learn from them what retraining leaves of a loss; each round
    searches with what the rounds before told."""
    retrain: RetrainRecipe
    evaluation: EvaluationSpec = EvaluationSpec()
    demo_minutes: Annotated[float, Field(ge=1.0, le=600.0)] = 18.0
    """Minutes of synthesised training speech when `data` is `demo`."""

    @field_validator("profile", mode="before")
    @classmethod
    def one_profile_or_a_shortlist(cls, given: Any) -> Any:
        """A name, or a list of different ones; a list of one is that one."""
        names = given if isinstance(given, list | tuple) else [given]
        if not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"got {given!r}; give the name or the path of a profile, or a list of them")
        if not 1 <= len(names) <= MOST_PARTS or len(set(names)) < len(names):
            raise ValueError(f"got {list(names)}; list 1 to {MOST_PARTS} profiles, each once")
        return names[0] if len(names) == 1 else tuple(names)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The one profile, or the shortlist."""
        return (self.profile,) if isinstance(self.profile, str) else self.profile

    @model_serializer(mode="wrap")
    def without_a_single_round(self, wrapped: Wrapped) -> dict[str, Any]:
        """Rounds are mentioned where there are several."""
        document: dict[str, Any] = wrapped(self)
        return {name: value for name, value in document.items() if (name, value) != ("rounds", 1)}


def load_study(name_or_path: str | Path) -> tuple[StudyFile, Path]:
    """A study by shipped name or path, and where it lies. Raises BadInput."""
    path = find_document(str(name_or_path), "studies")
    return read_document(path, StudyFile, what="study"), path


def run_name(text: str) -> str:
    """`text` as the name of a run directory. Raises UsageError for a path or an odd name."""
    if not re.fullmatch(NAME_PATTERN, text):
        raise UsageError(
            f"--name {text!r}: not a folder name; use letters, digits, dot, dash and underscore, up to 64"
        )
    return text
