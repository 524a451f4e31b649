"""The stage that searches, and the choice of what to retrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from npuexplore.pipeline.objectives import constraints_of, evaluator, refuse_lossy
from npuexplore.pipeline.problem import Problem
from npuexplore.pipeline.quality import SensitivityModel
from npuexplore.pipeline.run_directory import digest, read_stage, write_stage
from npuexplore.pipeline.study_job import StudyJob
from npuexplore.pipeline.worker import search_with_others, shared_place
from npuexplore.search.driver import describe_search, run_search
from npuexplore.search.engines.candidates import found_by_engine
from npuexplore.search.engines.dynamic import Tolerance
from npuexplore.search.engines.look_up import LookUp, look_up
from npuexplore.search.engines.shortlist import FullModel, Shortlist
from npuexplore.search.evaluation import Evaluate
from npuexplore.search.parts import only_part
from npuexplore.search.picks import PickList, choose_picks
from npuexplore.search.proof import prove
from npuexplore.search.result import Found, SearchResult
from npuexplore.search.shared_search import Place, describe_together
from npuexplore.search.space import Space, dominant_structures, plans_from, single_structure
from npuexplore.search.spec import SearchSpec
from npuexplore.units import FloatArray


@dataclass(frozen=True)
class _Searching:
    """A study's search, and where it keeps what it has found."""

    job: StudyJob
    model: SensitivityModel
    name: str
    context: str
    place: Place | None
    """The database that the search is shared in, if it is."""

    @property
    def spec(self) -> SearchSpec:
        """Who searches, and how long."""
        return self.job.problem.study.search

    @property
    def seed(self) -> int:
        """The study's seed."""
        return self.job.problem.study.seed

    @property
    def journal(self) -> Path:
        """Optuna's record."""
        return self.job.run.folder / f"{self.name}.log"

    @cached_property
    def evaluate(self) -> Evaluate:
        """The full model."""
        return evaluator(self.job.problem, self.model.loss_db)

    @cached_property
    def whole(self) -> FullModel:
        """The full model of the study's space by look-up."""
        return self._modelled(self.job.space)

    def modelled(self, space: Space) -> FullModel:
        """The same of a part of the space."""
        return self.whole if space is self.job.space else self._modelled(space)

    def _modelled(self, space: Space) -> FullModel:
        problem = self.job.problem
        if not problem.others:
            return self._on(problem, space)
        alone = [only_part(space, part.profile.name) for part in problem.parts]
        return Shortlist(space, tuple(map(self._on, problem.parts, alone)))

    def _on(self, problem: Problem, space: Space) -> LookUp:
        """Of one part."""
        return look_up(
            space,
            problem.profile,
            objectives=self.spec.objectives,
            constraints=constraints_of(problem, with_quality=True),
            loss_db=self.model.loss_db,
            memory_mode=problem.study.memory_mode,
        )


def search_stage(
    job: StudyJob, model: SensitivityModel, rows: Sequence[Mapping[str, Any]], *, name: str = "search"
) -> SearchResult:
    """What the study's engine finds, and how good it is; goes on where it was stopped.

    rows : measured sensitivities that the model is made of ; name : of its journal and stages in the run
    """
    searching = _Searching(job, model, name, digest([job.inputs, rows]), shared_place(job, name))
    with job.timed("search"):
        found = None if searching.spec.engine == "optuna" else _found(searching)
        if searching.place is None:
            result = run_search(
                job.space,
                searching.spec,
                searching.evaluate,
                journal=searching.journal,
                seed=searching.seed,
                context=searching.context,
                found=found,
                on_trials=lambda done, total: job.tell(name, done, total, ""),
            )
        else:
            result = search_with_others(
                job, model, rows, place=searching.place, name=name, context=searching.context, found=found
            )
    return replace(result, facts=_facts(searching, result, found))


def _found(searching: _Searching) -> Found:
    """What the engine finds before Optuna's record is written, found once for a run."""
    job, stage = searching.job, f"{searching.name}-found"
    stored = read_stage(job.run, stage)
    if stored is None or stored["context"] != searching.context:
        found = found_by_engine(
            job.space,
            searching.spec,
            searching.evaluate,
            searching.modelled,
            seed=searching.seed,
            on_part=lambda done, total: job.tell("exact search", done, total, ""),
            on_evaluations=lambda done, total: job.tell("evolution", done, total, ""),
        )
        stored = {
            "context": searching.context,
            "evaluations": found.evaluations,
            "looked_at": found.looked_at,
            "designs": [" ".join(map(str, row)) for row in found.rows.tolist()],
        }
        write_stage(job.run, stage, stored)
    designs = np.array([[int(index) for index in design.split()] for design in stored["designs"]])
    evaluation = searching.evaluate(plans_from(job.space, designs))
    return Found(designs, evaluation, stored["evaluations"], stored["looked_at"])


def _facts(searching: _Searching, result: SearchResult, found: Found | None) -> dict[str, Any]:
    """Who searched and how good the front is, proved once for a run; Optuna's study says so too."""
    job = searching.job
    stored = read_stage(job.run, searching.name)
    if stored is None or stored["context"] != searching.context:
        with job.timed("proof"):
            facts = _proved(searching, result, found)
        stored = {"context": searching.context, "facts": facts}
        described = {key: value for key, value in facts.items() if key not in ("proof", "optuna")}
        described |= {key: facts["proof"][key] for key in ("hypervolume_frac", "coverage_frac", "reference")}
        _describe(searching, {**described, "front_sha256": result.front_sha256})
        write_stage(job.run, searching.name, stored)
    return dict(stored["facts"])


def _describe(searching: _Searching, facts: Mapping[str, Any]) -> None:
    if searching.place is not None:
        describe_together(searching.place, searching.spec, facts=facts)
        return
    describe_search(
        searching.job.space,
        searching.spec,
        journal=searching.journal,
        seed=searching.seed,
        context=searching.context,
        facts=facts,
    )


def _proved(searching: _Searching, result: SearchResult, found: Found | None) -> dict[str, Any]:
    spec = searching.spec
    within = Tolerance(spec.eps_frac, spec.eps_db) if spec.engine == "exact" else None
    searching.job.tell("proof", 0, 1, "")
    proof = prove(result, searching.whole, seed=searching.seed, within=within)
    searching.job.tell("proof", 1, 1, "")
    tolerances = {"eps_frac": spec.eps_frac, "eps_db": spec.eps_db}
    facts: dict[str, Any] = {
        "engine": spec.engine,
        "seed": searching.seed,
        "evaluations": result.evaluations,
        "looked_at": 0 if found is None else found.looked_at,
        **(tolerances if spec.engine in ("exact", "auto") else {}),
        "front_points": len(result.front),
        "recorded": result.recorded,
    }
    if proof.before is not None and spec.engine == "auto":
        facts["optuna"] = {
            "trials": len(result.plans) - result.suggested_from,
            "front_points": proof.added_points,
            "hypervolume_frac_before": proof.before.document()["hypervolume_frac"],
            "hypervolume_frac_after": proof.found.document()["hypervolume_frac"],
        }
    return {**facts, "proof": proof.document()}


def chosen_picks(job: StudyJob, found: SearchResult, *, uncertainty_db: FloatArray | None = None) -> PickList:
    """What is worth retraining. Raises LimitsNotMet where nothing is within the limits.

    uncertainty_db : (P,) how unsure each loss is, where the least sure plan is to be a pick
    """
    study = job.problem.study
    loss_db = found.objectives[:, found.objective_names.index("quality_loss_db")]
    refuse_lossy(job.problem, loss_db, found.violations)
    return choose_picks(
        found.objectives,
        found.objective_names,
        feasible=found.feasible,
        structures=dominant_structures(found.plans, job.problem.network),
        single=single_structure(found.plans),
        parts=job.problem.parts_of(found.plans),
        part_order=study.profiles,
        loss_limit_db=study.limits.quality_loss_db,
        count=study.picks.count,
        required=job.space.structures,
        uncertainty_db=uncertainty_db,
    )
