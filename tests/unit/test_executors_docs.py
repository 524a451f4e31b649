"""docs/executors.md: its example is a recipe, its commands and options exist, its numbers are the code's."""

import re
import tomllib
from pathlib import Path

import yaml

from npuexplore.pipeline import dask_cluster, shared_folder
from npuexplore.pipeline.executors import PROTOCOLS, cluster_address, executor_of
from npuexplore.search.halving import STUDY_NAME, Rungs
from npuexplore.search.rivals import COST_SLACK_FRAC
from npuexplore.train.recipe import Halving, RetrainRecipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "executors.md").read_text(encoding="utf-8")


def test_the_example_is_a_recipe_with_the_values_that_hold_where_nothing_is_said():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    recipe = RetrainRecipe.model_validate(yaml.safe_load(block)["retrain"])
    assert recipe.halving == Halving()
    rungs = Rungs("asha", Halving().first_rung_steps, Halving().reduction_factor, recipe.steps)
    first, *rest = rungs.all
    assert f"first_rung_steps: {first}   # then {', '.join(map(str, rest))}: times" in PAGE


def test_every_executor_of_the_table_can_be_named(tmp_path):
    names = re.findall(r"^\| .*?`([a-z:/A-Z]+)` \|", PAGE, re.MULTILINE)
    assert {name.partition("://")[0] for name in names} == {"processes", *PROTOCOLS}
    for name in names:
        executor_of(name.replace("HOST:PORT", "lab-1:8786"), workers=1, folder=tmp_path)
    assert cluster_address("dask://lab-1:8786") == "tcp://lab-1:8786"
    assert "dask worker tcp://lab-1:8786" in PAGE


def test_the_extra_that_the_page_installs_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["dask"]
    assert [re.match(r"\w+", text)[0] for text in extra] == ["dask", "distributed"]
    assert 'pip install "npuexplore[dask]"' in PAGE


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert f"every worker for {dask_cluster.PATIENCE_SECONDS:.0f} s" in PAGE
    assert f"by more than {COST_SLACK_FRAC:.0%}".replace("%", " %") in PAGE
    assert f"study `{STUDY_NAME}`" in PAGE
    for name in ("npuexplore", "Python", *shared_folder.DECIDING):
        assert name in PAGE.partition("**Versions**")[2].partition("\n\n")[0]
