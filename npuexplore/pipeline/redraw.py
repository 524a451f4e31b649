"""Reading the results that lie in a run directory, and drawing their report again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from npuexplore.documents.atomic import write_text
from npuexplore.errors import BadInput
from npuexplore.pipeline.results import RESULTS_SCHEMA
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.report.page import render_page

REQUIRED_KEYS = {"study", "network", "baseline", "front", "picks", "evaluations"}
PROFILE_KEYS = {"profile", "profiles"}
"""One of them: the only part, or those of a shortlist."""


def read_results(run: RunDirectory) -> dict[str, Any]:
    """`results.json` of a finished run. Raises BadInput without usable results."""
    try:
        results = json.loads(run.results.read_text(encoding="utf-8"))
        known = REQUIRED_KEYS.issubset(results) and len(PROFILE_KEYS.intersection(results)) == 1
        if results["schema"] != RESULTS_SCHEMA or not known:
            raise ValueError
        return dict(results)
    except FileNotFoundError:
        raise BadInput(
            f"{run.results}: not there; finish the run with `npuexplore study resume {run.folder}`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise unusable_results(run) from None


def redraw(folder: Path) -> Path:
    """Writes report.html of a finished run; returns its path. Raises BadInput without usable results."""
    run = RunDirectory(folder)
    results = read_results(run)
    try:
        page = render_page(results)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        raise unusable_results(run) from None
    write_text(run.report, page)
    return run.report


def unusable_results(run: RunDirectory) -> BadInput:
    """The sentence for results that lack something."""
    return BadInput(
        f"{run.results}: not results of this version ({RESULTS_SCHEMA}); "
        "remove the file and run the study again"
    )
