"""Rounds of a study: search, retrain picks, learn from them what retraining leaves of a loss, search again.

What a round learns comes from the calibration mixtures, on which one-shot losses are measured too: the voices
and noises that score a study at its end choose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npuexplore.compression.plan import PlanBatch
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.data import calibration_set
from npuexplore.pipeline.halving import halving_stage
from npuexplore.pipeline.listening import score_network
from npuexplore.pipeline.quality import SensitivityModel, sensitivity_model
from npuexplore.pipeline.recovery import Recovery, fitted_recovery
from npuexplore.pipeline.retraining import retraining_stage
from npuexplore.pipeline.run_directory import read_stage, write_stage
from npuexplore.pipeline.searching import chosen_picks, search_stage
from npuexplore.pipeline.study_job import Sound, StudyJob
from npuexplore.search.picks import Pick
from npuexplore.search.result import SearchResult
from npuexplore.search.space import plan_keys

METRIC = "si_sdr_improvement_db"


@dataclass(frozen=True)
class Retrained:
    """A pick that some round was the first to choose."""

    pick: Pick
    """Its name in the run; its index among the plans of its round."""
    round: int
    key: bytes
    """Of its plan, the same in every round."""
    one_shot_db: NDArray[np.float64]
    """(G,) by TERMS."""
    assumed_db: float
    """Its loss as it would be predicted without any round."""
    predicted_db: float
    """Its loss as it was predicted when it was chosen."""
    uncertainty_db: float
    """And how unsure that was."""
    calibration_db: float | None = None
    """What it really loses on the calibration mixtures, where a round was to learn from it."""


@dataclass(frozen=True)
class Rounds:
    """What all rounds leave."""

    model: SensitivityModel
    """That the last search was made with."""
    found: SearchResult
    """The last search."""
    retrained: tuple[Retrained, ...]
    """The picks of all rounds, in the order in which they were chosen."""
    missing: tuple[str, ...]
    """A sentence for each structure that has no pick."""
    learned: tuple[Recovery, ...]
    """What each round learned from all picks so far; none where there is one round."""

    @property
    def picks(self) -> tuple[Pick, ...]:
        """Every pick, with its index among the plans of the last search; -1 where that has no such plan."""
        place = {key: index for index, key in reversed(list(enumerate(plan_keys(self.found.plans))))}
        return tuple(replace(each.pick, index=place.get(each.key, -1)) for each in self.retrained)

    def refits(self) -> list[dict[str, Any]]:
        """Of each round: what it learned, and what that says of all picks so far."""
        return [
            {
                "recovery": recovery.document(),
                "predicted_db": {
                    each.pick.name: round(float(recovery.loss_db(each.one_shot_db[None])[0]), 4)
                    for each in self.retrained
                    if each.round <= number
                },
            }
            for number, recovery in enumerate(self.learned, start=1)
        ]


def run_rounds(job: StudyJob, sound: Sound, rows: Sequence[Mapping[str, Any]]) -> Rounds | None:
    """Searches and retrains as often as the study says; goes on where it was stopped.

    rows : measured sensitivities. None where only a search was asked for. Raises LimitsNotMet where a search
    finds nothing within the limits.
    """
    study, network = job.problem.study, job.problem.network
    assumed = model = sensitivity_model(rows, network, recovery_frac=study.picks.recovery_frac)
    retrained: list[Retrained] = []
    learned: list[Recovery] = []
    for number in range(1, study.rounds + 1):
        told = [{"recovery": recovery.document()} for recovery in learned[-1:]]
        name = "search" if number == 1 else f"search-{number}"
        found = search_stage(job, model, [*rows, *told], name=name)
        if job.request.until == "search":
            return None
        unsure = _uncertainty(job, found, model, retrained, number)
        chosen = halving_stage(
            job,
            sound,
            found,
            chosen_picks(job, found, uncertainty_db=unsure),
            number=number,
            done={each.key for each in retrained},
        )
        new = _new_picks(chosen.picks, found.plans, assumed, model, retrained, number)
        retraining_stage(job, sound, found, [each.pick for each in new])
        retrained += new
        if study.rounds > 1:
            retrained = _tried(job, sound, retrained)
            learned.append(_learned(retrained, study.picks.recovery_frac))
            model = replace(assumed, recovery=learned[-1]) if number < study.rounds else model
    structures = {each.pick.structure for each in retrained} if study.rounds > 1 else set()
    missing = tuple(m for m in chosen.missing if not any(f"No {name}-sparse" in m for name in structures))
    return Rounds(model, found, tuple(retrained), missing, tuple(learned))


def _uncertainty(
    job: StudyJob,
    found: SearchResult,
    model: SensitivityModel,
    retrained: Sequence[Retrained],
    number: int,
) -> NDArray[np.float64] | None:
    """(P,) how unsure each loss is, where the least sure plan is to be a pick; 0 of retrained plans."""
    study = job.problem.study
    asked = study.picks.most_uncertain
    if not (number < study.rounds if asked is None else asked):
        return None
    unsure = model.uncertainty_db(found.plans)
    if retrained:
        done = {each.key for each in retrained}
        unsure[[key in done for key in plan_keys(found.plans)]] = 0.0
    return unsure


def _new_picks(
    picks: Sequence[Pick],
    plans: PlanBatch,
    assumed: SensitivityModel,
    model: SensitivityModel,
    retrained: Sequence[Retrained],
    number: int,
) -> list[Retrained]:
    """Picks whose plan no round before has retrained."""
    done = {each.key for each in retrained}
    new = []
    for pick in picks:
        own = plans.take(np.array([pick.index]))
        (key,) = plan_keys(own)
        if key in done:
            continue
        figures = (each(own)[0] for each in (assumed.loss_db, model.loss_db, model.uncertainty_db))
        one_shot_db = assumed.one_shot_db(own)[0]
        new.append(Retrained(pick, number, key, one_shot_db, *map(float, figures)))
    return new


def _tried(job: StudyJob, sound: Sound, retrained: Sequence[Retrained]) -> list[Retrained]:
    """The picks with what they lose on the calibration mixtures, against the baseline."""
    names = ["baseline", *(each.pick.name for each in retrained)]
    quality_db = {}
    for done, name in enumerate(names):
        job.tell("calibration", done, len(names), name)
        quality_db[name] = _calibration_db(job, sound, name)
    job.tell("calibration", len(names), len(names), "")
    return [
        replace(each, calibration_db=round(quality_db["baseline"] - quality_db[each.pick.name], 3))
        for each in retrained
    ]


def _calibration_db(job: StudyJob, sound: Sound, name: str) -> float:
    """SI-SDR improvement of a network of the run on the calibration mixtures, scored once."""
    stage = f"calibration-{name}"
    if (stored := read_stage(job.run, stage)) is None:
        with job.timed("calibration"):
            pairs = calibration_set(job.problem.study, job.problem.network, sound.read())
            path = job.run.baseline if name == "baseline" else job.run.pick(name)
            quality = score_network(read_network(path), pairs, metrics=("si_sdr",))
            stored = {METRIC: round(quality.mean[METRIC], 3)}
        write_stage(job.run, stage, stored)
    return float(stored[METRIC])


def _learned(retrained: Sequence[Retrained], recovery_frac: float) -> Recovery:
    achieved = [each.calibration_db for each in retrained if each.calibration_db is not None]
    return fitted_recovery(
        np.array([each.one_shot_db for each in retrained]), np.array(achieved), recovery_frac=recovery_frac
    )
