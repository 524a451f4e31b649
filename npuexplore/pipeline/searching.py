"""The stage that searches, and the choice of what to retrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from npuexplore.pipeline.objectives import evaluator, refuse_lossy
from npuexplore.pipeline.quality import SensitivityModel
from npuexplore.pipeline.run_directory import digest
from npuexplore.pipeline.study_job import StudyJob
from npuexplore.search.driver import SearchResult, run_search
from npuexplore.search.picks import PickList, choose_picks
from npuexplore.search.space import dominant_structures, single_structure


def search_stage(job: StudyJob, model: SensitivityModel, rows: Sequence[Mapping[str, Any]]) -> SearchResult:
    """Every trial of the search; goes on where the journal stops."""
    with job.timed("search"):
        return run_search(
            job.space,
            job.problem.study.search,
            evaluator(job.problem, model.loss_db),
            journal=job.run.journal,
            seed=job.problem.study.seed,
            context=digest([job.inputs, rows]),
            on_trials=lambda done, total: job.tell("search", done, total, ""),
        )


def chosen_picks(job: StudyJob, found: SearchResult) -> PickList:
    """What is worth retraining. Raises LimitsNotMet where nothing is within the limits."""
    study = job.problem.study
    loss_db = found.objectives[:, found.objective_names.index("quality_loss_db")]
    refuse_lossy(job.problem, loss_db, found.violations)
    return choose_picks(
        found.objectives,
        found.objective_names,
        feasible=found.feasible,
        structures=dominant_structures(found.plans, job.problem.network),
        single=single_structure(found.plans),
        loss_limit_db=study.limits.quality_loss_db,
        count=study.picks.count,
        required=job.space.structures,
    )
