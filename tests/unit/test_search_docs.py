"""docs/search.md: its example runs, and the limits that it names are those of the code."""

import re
from pathlib import Path

from npuexplore.search.engines.auto import ELITES
from npuexplore.search.engines.exact import ENUMERATED_DESIGNS
from npuexplore.search.engines.separable import TRIED_PLANS

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")


def test_the_example_finds_plans_within_its_limit():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(block, names)
    assert 10 < len(names["plans"]) == len(names["front"].objectives)
    assert names["front"].objectives[:, 2].max() <= 0.6


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert f"at most {ENUMERATED_DESIGNS:,} designs" in PAGE
    assert f"{TRIED_PLANS} random plans" in PAGE
    assert f"up to {ELITES} elites" in PAGE
