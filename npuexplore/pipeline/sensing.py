"""The stage that measures what compressing one layer at a time costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npuexplore.audio.stft import front_end
from npuexplore.pipeline.checkpoints import read_network
from npuexplore.pipeline.data import calibration_set
from npuexplore.pipeline.quality import calibration_batch, measure_sensitivity
from npuexplore.pipeline.run_directory import read_stage, write_stage
from npuexplore.pipeline.study_job import Sound, StudyJob


def sensitivity_stage(job: StudyJob, sound: Sound, baseline: Path) -> list[dict[str, Any]]:
    """The rows of `measure_sensitivity`, measured once for a run."""
    if stored := read_stage(job.run, "sensitivity"):
        return list(stored["rows"])
    problem = job.problem
    geometry = front_end(problem.network)
    batch = calibration_batch(calibration_set(problem.study, problem.network, sound.read()), geometry)
    with job.timed("sensitivity"):
        rows = measure_sensitivity(
            read_network(baseline),
            job.space,
            batch,
            geometry,
            loss=problem.study.baseline.loss,
            on_progress=lambda done, total: job.tell("sensitivity", done, total, ""),
        )
    write_stage(job.run, "sensitivity", {"rows": rows})
    return rows
