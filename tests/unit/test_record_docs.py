"""docs/record.md: its examples run, and what it names is in the code."""

import re
from pathlib import Path

import pytest

from npuexplore.search.genes import GRID
from npuexplore.search.record import STUDY_NAME
from npuexplore.search.storage import quiet_optuna
from npuexplore.search.storage_faults import DATABASES, MASK, MEMORY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "record.md").read_text(encoding="utf-8")


def test_the_examples_leave_a_study_that_optuna_opens_and_one_that_evolved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    first, second = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with quiet_optuna():
        exec(first, names)
        assert names["study"].metric_names == ["latency_ms", "flash_bytes"]
        assert names["study"].trials[0].values == [2.5, 90_000.0]
        exec(second, names)
    designs = {tuple(trial.params.values()) for trial in names["study"].trials}
    assert len(designs) == 20


def test_what_the_page_names_is_in_the_code(cli):
    assert all(f"`{kind}" in PAGE for kind in (*DATABASES, MEMORY))
    assert f"`{STUDY_NAME}` in a journal" in PAGE
    assert f"`{MASK}`" in PAGE
    assert f"{GRID:,} values" in PAGE
    shown = cli("study", "repair", "--help").out
    assert all(option in shown for option in ("--salvage", "--dry-run", "--json"))


def test_the_benchmark_and_the_pages_that_it_points_to_exist():
    assert (ROOT / "benchmarks" / "record_speed.py").is_file()
    for page in re.findall(r"\]\(([a-z-]+\.md)\)", PAGE):
        assert (ROOT / "docs" / page).is_file(), page


@pytest.mark.parametrize("extra", ["postgresql"])
def test_the_extra_exists(extra):
    assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
