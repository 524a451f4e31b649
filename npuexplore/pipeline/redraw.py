"""Drawing a report again from the results that lie in a run directory."""

from __future__ import annotations

import json
from pathlib import Path

from npuexplore.documents.atomic import write_text
from npuexplore.errors import BadInput
from npuexplore.pipeline.results import RESULTS_SCHEMA
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.report.page import render_page


def redraw(folder: Path) -> Path:
    """Writes report.html of a finished run; returns its path. Raises BadInput without usable results."""
    run = RunDirectory(folder)
    try:
        results = json.loads(run.results.read_text(encoding="utf-8"))
        if results["schema"] != RESULTS_SCHEMA:
            raise ValueError
        page = render_page(results)
    except FileNotFoundError:
        raise BadInput(
            f"{run.results}: not there; finish the run with `npuexplore study resume {folder}`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"{run.results}: not results of this version ({RESULTS_SCHEMA}); run the study again"
        ) from None
    write_text(run.report, page)
    return run.report
