"""docs/many-machines.md: its options, numbers and names are those of the code."""

import re
from pathlib import Path

import typer

from npuexplore.cli import study, worker
from npuexplore.search.shared_search import FIRST_ROUND, HEARTBEAT_S
from npuexplore.search.storage_faults import MASK

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "many-machines.md").read_text(encoding="utf-8")


def options_of(function):
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return {name for parameter in typer.main.get_command(app).params for name in parameter.opts}


def test_every_option_of_a_worker_is_explained_and_there_are_no_others():
    explained = set(re.findall(r"^\| `(--[a-z]+)` \|", PAGE, flags=re.MULTILINE))
    assert explained == {name for name in options_of(worker.worker) if name.startswith("--")}


def test_the_options_of_a_study_that_are_named_exist():
    assert {"--storage", "--heartbeat", "--fresh"} <= options_of(study.run)
    assert "--storage" in options_of(study.resume)


def test_the_numbers_and_names_are_those_of_the_code():
    assert f"each `--heartbeat` seconds ({HEARTBEAT_S}, an option" in PAGE
    assert f"`NAME-{FIRST_ROUND}-2`" in PAGE
    assert f"reads `{MASK}`" in " ".join(PAGE.split())


def test_the_pages_that_it_links_to_exist():
    links = re.findall(r"\]\(([a-z-]+\.md)\)", PAGE)
    assert links
    assert all((DOCS / link).is_file() for link in links)
