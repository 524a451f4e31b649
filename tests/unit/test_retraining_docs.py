"""docs/retraining.md: its example is a recipe, and what it names exists."""

import re
from pathlib import Path
from typing import get_args

import yaml

from npuexplore.train.fit import RetrainRecipe
from npuexplore.train.recipe import Method

PAGE = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text(encoding="utf-8")


def test_the_example_is_a_recipe_with_the_values_that_hold_where_nothing_is_said():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    recipe = RetrainRecipe.model_validate(yaml.safe_load(block)["retrain"])
    plain = RetrainRecipe(steps=recipe.steps)
    spec = recipe.distillation
    assert recipe.model_copy(update={"patience": None, "distillation": None}) == plain
    assert spec == type(spec)()


def test_every_method_has_a_row():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(get_args(Method))
