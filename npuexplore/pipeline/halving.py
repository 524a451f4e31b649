"""The stage in which plans compete for being picks: retrained rung by rung, and the worse ones stopped.

All of a rung train before any is judged. What is trained is the retraining of a pick, stopped at a rung and
gone on with later, so that a winner ends in the bytes that it would have without rivals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.compression.plan import plan_at
from npuexplore.documents.atomic import write_json
from npuexplore.errors import NpuexploreError
from npuexplore.pipeline.jobs import TrainingJob, train_until
from npuexplore.pipeline.retraining import pick_trainings
from npuexplore.pipeline.run_directory import RunDirectory, digest, read_stage, write_stage
from npuexplore.pipeline.study_job import Sound, StudyJob
from npuexplore.pipeline.workers import Send, Task
from npuexplore.search.halving import Attempt, Rungs, record_attempts, stopped
from npuexplore.search.picks import MOST_UNCERTAIN, Pick, PickList
from npuexplore.search.result import SearchResult
from npuexplore.search.rivals import rivals_of
from npuexplore.search.space import dominant_structures, plan_keys


@dataclass(frozen=True)
class _Rung:
    """A training up to a rung; crosses to another process."""

    job: TrainingJob
    step: int
    told: Path
    """Where the loss there is written."""


@dataclass
class _Group:
    """A pick and its rivals."""

    pick: Pick
    candidates: tuple[Pick, ...]
    """The pick first."""
    losses_db: dict[str, dict[int, float]] = field(default_factory=dict)
    stopped_at: dict[str, int] = field(default_factory=dict)

    @property
    def alive(self) -> list[Pick]:
        """Candidates that nobody has stopped."""
        return [each for each in self.candidates if each.name not in self.stopped_at]

    def attempts(self) -> list[Attempt]:
        """Every candidate so far, in order."""
        return [
            Attempt(each.name, self.losses_db.get(each.name, {}), self.stopped_at.get(each.name))
            for each in self.candidates
        ]

    def judge(self, rungs: Rungs, step: int) -> None:
        """Stops those that the pruner stops at a rung, and at the last one all but the best."""
        alive = self.alive
        verdicts = dict(zip((c.name for c in self.candidates), stopped(self.attempts(), rungs), strict=True))
        best = self._best(alive, step)
        for each in alive:
            if each != best and (verdicts[each.name] or step == rungs.all[-1]):
                self.stopped_at[each.name] = step

    def _best(self, alive: Sequence[Pick], step: int) -> Pick:
        losses = {each.name: self.losses_db[each.name][step] for each in alive}
        finite = [each for each in alive if math.isfinite(losses[each.name])]
        if not finite:
            raise NpuexploreError(
                f"{self.pick.name}: it and all its rivals diverged within {step} steps of retraining; lower "
                "retrain.peak_rate"
            )
        return min(finite, key=lambda each: losses[each.name])


def halving_stage(
    job: StudyJob,
    sound: Sound,
    found: SearchResult,
    chosen: PickList,
    *,
    number: int = 1,
    done: Collection[bytes] = (),
) -> PickList:
    """The picks of a round by their names in the run, each the winner against its rivals.

    number : the round; done : keys of plans that rounds before have retrained, which do not compete again. A
    study without halving keeps the picks that were chosen. Leaves `stages/halving.json` (`halving-2.json` of
    round 2), and Optuna's journal of it in `halving.log` (`halving-2.log`).
    """
    recipe = job.problem.study.retrain
    if recipe.halving is None:
        return replace(chosen, picks=tuple(_named(pick, number) for pick in chosen.picks))
    stage = _stage(number)
    if (stored := read_stage(job.run, stage)) is None:
        rungs = Rungs(
            recipe.halving.pruner,
            recipe.halving.first_rung_steps,
            recipe.halving.reduction_factor,
            recipe.steps,
        )
        with job.timed("halving"):
            groups = _groups(job, found, chosen, number, done)
            _compete(job, sound, found, groups, rungs, job.run.folder / f"{stage}.log")
        stored = _document(job, found, groups, rungs)
        write_stage(job.run, stage, stored)
    return replace(chosen, picks=tuple(Pick(**winner) for winner in stored["winners"]))


def halving_document(run: RunDirectory, rounds: int = 1) -> dict[str, Any]:
    """`halving` of results.json, where plans competed: each with its losses, and where it was stopped.

    Of several rounds, every plan says in which it competed.
    """
    stored = [read_stage(run, _stage(number)) for number in range(1, rounds + 1)]
    kept = [(number, each) for number, each in enumerate(stored, start=1) if each is not None]
    if not kept:
        return {}
    candidates = [
        {**row, **({"round": number} if rounds > 1 else {})}
        for number, each in kept
        for row in each["candidates"]
    ]
    first = kept[0][1]
    return {
        "halving": {"pruner": first["pruner"], "rungs_steps": first["rungs_steps"], "candidates": candidates}
    }


def _stage(number: int) -> str:
    return "halving" if number == 1 else f"halving-{number}"


def _named(pick: Pick, number: int) -> Pick:
    """A pick by the name that no other round gives."""
    return pick if number == 1 else replace(pick, name=f"{pick.name}-r{number}")


def _groups(
    job: StudyJob, found: SearchResult, chosen: PickList, number: int, done: Collection[bytes]
) -> list[_Group]:
    """Picks that are new, with their rivals: plans that no round before has had in a competition.

    With rounds, the least sure pick is there to be learned from and has no rivals.
    """
    study = job.problem.study
    several, halving = study.rounds > 1, study.retrain.halving
    keys = plan_keys(found.plans)
    new = [pick for pick in chosen.picks if keys[pick.index] not in done]
    contested = [pick for pick in new if not (several and pick.name == MOST_UNCERTAIN)]
    known = {*done, *_keys_before(job, number), *(keys[pick.index] for pick in new)} if several else set()
    rivals = rivals_of(
        contested,
        found.objectives,
        found.objective_names,
        feasible=found.feasible & np.array([key not in known for key in keys], bool),
        structures=dominant_structures(found.plans, job.problem.network),
        count=0 if halving is None else halving.rivals,
        parts=job.problem.parts_of(found.plans),
    )
    candidates = [(pick, *rivals.get(pick.name, ())) for pick in new]
    named = [tuple(_named(each, number) for each in group) for group in candidates]
    return [_Group(group[0], group) for group in named]


def _keys_before(job: StudyJob, number: int) -> set[bytes]:
    """Keys of all plans that competed in rounds before."""
    stored = [read_stage(job.run, _stage(before)) or {} for before in range(1, number)]
    return {bytes.fromhex(key) for each in stored for key in each.get("keys", ())}


def _compete(
    job: StudyJob,
    sound: Sound,
    found: SearchResult,
    groups: Sequence[_Group],
    rungs: Rungs,
    journal: Path,
) -> None:
    """Rung after rung, until every group has one candidate left."""
    fingerprint = digest([job.inputs, found.front_sha256])
    trainings: dict[str, TrainingJob] = {}
    for step in rungs.all:
        contested = [group for group in groups if len(group.alive) > 1]
        if not contested:
            break
        if not trainings:
            trainings = pick_trainings(job, sound, found, [c for group in groups for c in group.candidates])
        alive = [trainings[each.name] for group in contested for each in group.alive]
        losses = _run_rung(job, alive, step)
        for group in contested:
            for each in group.alive:
                group.losses_db.setdefault(each.name, {})[step] = losses[each.name]
            group.judge(rungs, step)
        decided = all(len(group.alive) == 1 for group in groups)
        attempts = [attempt for group in groups for attempt in group.attempts() if attempt.losses_db]
        record_attempts(journal, attempts, decided=decided, fingerprint=fingerprint)


def _run_rung(job: StudyJob, trainings: Sequence[TrainingJob], step: int) -> dict[str, float]:
    """The loss of each training at a rung; trains those for which it is not known yet."""
    told = {each.name: each.state.with_name(f"{each.name}-{step}.json") for each in trainings}
    rungs = [_Rung(each, step, told[each.name]) for each in trainings]
    waiting = [rung for rung in rungs if _told_loss(rung.told) is None]
    done = {rung.job.name: 0 for rung in waiting}

    def on_message(name: str, message: tuple[int, float]) -> None:
        done[name], loss_db = message
        job.tell(f"rung {step}", sum(done.values()), step * len(done), f"{name} {loss_db:+.1f} dB")

    job.executor.run([Task(r.job.name, _climb, r) for r in waiting], on_message=on_message)
    losses = {name: _told_loss(path) for name, path in told.items()}
    lost = [name for name, loss_db in losses.items() if loss_db is None]
    if lost:
        raise NpuexploreError(f"{told[lost[0]]}: is gone; run the same command again")
    return {name: loss_db for name, loss_db in losses.items() if loss_db is not None}


def _climb(rung: _Rung, send: Send) -> None:
    loss_db = train_until(
        rung.job, rung.step, on_progress=lambda _, step, __, loss: send((step, float(loss)))
    )
    write_json(rung.told, {"loss_db": loss_db if math.isfinite(loss_db) else None})


def _told_loss(path: Path) -> float | None:
    """The loss that a candidate left at a rung: not a number where it diverged, None where there is none."""
    try:
        loss_db = json.loads(path.read_text(encoding="utf-8"))["loss_db"]
        return math.nan if loss_db is None else float(loss_db)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _document(job: StudyJob, found: SearchResult, groups: Sequence[_Group], rungs: Rungs) -> dict[str, Any]:
    several = job.problem.study.rounds > 1
    keys = plan_keys(found.plans) if several else []
    return {
        **({"keys": [keys[c.index].hex() for group in groups for c in group.candidates]} if several else {}),
        "pruner": rungs.pruner,
        "rungs_steps": list(rungs.all),
        "candidates": [row for group in groups for row in _rows(job, found, group)],
        "winners": [vars(_winner(group)) for group in groups],
    }


def _rows(job: StudyJob, found: SearchResult, group: _Group) -> Iterator[dict[str, Any]]:
    loss = found.objectives[:, found.objective_names.index("quality_loss_db")]
    for each, attempt in zip(group.candidates, group.attempts(), strict=True):
        yield {
            "name": each.name,
            "rival_of": None if each == group.pick else group.pick.name,
            "structure": each.structure,
            "plan": plan_at(found.plans, each.index, job.problem.network).model_dump(mode="json"),
            "predicted_loss_db": round(float(loss[each.index]), 4),
            "validation_loss_db": _by_step(attempt.losses_db),
            "stopped_at_step": attempt.stopped_at,
        }


def _by_step(losses_db: Mapping[int, float]) -> dict[str, float | None]:
    return {str(step): round(x, 4) if math.isfinite(x) else None for step, x in losses_db.items()}


def _winner(group: _Group) -> Pick:
    (winner,) = group.alive
    beaten = len(group.candidates) - 1
    if winner == group.pick or not beaten:
        return winner
    last = max(group.losses_db[winner.name])
    return replace(
        winner,
        why=f"Lost least of {beaten + 1} plans that compete for {group.pick.name}, after {last} steps of "
        f"retraining. {winner.why}",
    )
