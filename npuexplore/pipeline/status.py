"""What of a run is finished, and how to go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npuexplore.pipeline.problem import problem_of
from npuexplore.pipeline.run_directory import RunDirectory, read_manifest, read_stage
from npuexplore.pipeline.study_job import Request

STATUS_SCHEMA = "npuexplore.status/1"


def request_of(folder: Path, *, data: Path | None, workers: int, executor: str | None = None) -> Request:
    """The request that a run directory was started with. Raises BadInput."""
    problem = problem_of(read_manifest(RunDirectory(folder))["inputs"], where=folder)
    return Request(problem=problem, folder=folder, data=data, workers=workers, executor=executor)


def status_of(folder: Path) -> dict[str, Any]:
    """Stage by stage, what is there. Raises BadInput for a folder that is no run."""
    run = RunDirectory(folder)
    problem = problem_of(read_manifest(run)["inputs"], where=folder)
    picks = sorted(path.stem for path in (run.folder / "picks").glob("*.npz"))
    under_way = sorted(path.stem for path in (run.folder / "training").glob("*.npz"))
    searched = run.journal.is_file()
    return {
        "schema": STATUS_SCHEMA,
        "study": problem.study.name,
        "finished": run.results.is_file() and run.report.is_file(),
        "stages": {
            "baseline": _state(run.baseline.is_file(), "baseline" in under_way),
            "sensitivity": _state(read_stage(run, "sensitivity") is not None, False),
            "search": _state(
                read_stage(run, "search") is not None or bool(picks) or run.results.is_file(), searched
            ),
            "picks": ", ".join(picks) or _state(False, bool(set(under_way) - {"baseline"})),
            "report": _state(run.report.is_file(), False),
        },
    }


def _state(finished: bool, started: bool) -> str:
    return "finished" if finished else "under way" if started else "to do"
