"""`timings.json`: durations, dates and the machine; all of a run that may differ between equal runs."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime

from npuexplore.documents.atomic import write_json
from npuexplore.pipeline.run_directory import RunDirectory

TIMINGS_SCHEMA = "npuexplore.timings/1"


def add_seconds(run: RunDirectory, stage: str, seconds: float) -> None:
    """Adds to a stage's seconds; a run that was stopped and resumed sums up."""
    try:
        document = json.loads(run.timings.read_text(encoding="utf-8"))
        known = {str(name): float(value) for name, value in document["seconds"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        known = {}
    known[stage] = round(known.get(stage, 0.0) + seconds, 2)
    write_json(
        run.timings,
        {
            "schema": TIMINGS_SCHEMA,
            "seconds": known,
            "updated": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": platform.node(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
    )
