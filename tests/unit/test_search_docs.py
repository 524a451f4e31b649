"""docs/search.md: its example runs, and the limits that it names are those of the code."""

import re
from pathlib import Path

import pytest
import yaml

from npuexplore.search.engines.auto import ELITES
from npuexplore.search.engines.exact import ENUMERATED_DESIGNS
from npuexplore.search.engines.separable import TRIED_PLANS
from npuexplore.search.proof import COVERED, MEASURED_POINTS, REFEREE_EVALUATIONS
from npuexplore.search.spec import KEYS_OF, SearchSpec

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")


def test_the_example_finds_plans_within_its_limit():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(block, names)
    assert 10 < len(names["plans"]) == len(names["front"].objectives)
    assert names["front"].objectives[:, 2].max() <= 0.6


def test_the_examples_of_studies_are_searches():
    blocks = [yaml.safe_load(block)["search"] for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert {SearchSpec.model_validate(block).engine for block in blocks} == {"auto", "exact"}


@pytest.mark.parametrize("engine", KEYS_OF)
def test_the_table_of_keys_says_which_engine_reads_what(engine):
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (`[a-z`, ]+`) \| (.+?) \| ", PAGE, re.MULTILINE)
    told = {
        key for keys, engines, _ in rows if f"`{engine}`" in engines for key in re.findall("`(.+?)`", keys)
    }
    assert told == KEYS_OF[engine]


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert f"at most {ENUMERATED_DESIGNS:,} designs" in PAGE
    assert f"{TRIED_PLANS} random plans" in PAGE
    assert f"up to {ELITES} elites" in PAGE
    assert f"an evolution of {REFEREE_EVALUATIONS:,} evaluations" in PAGE
    assert f"({COVERED.eps_frac:.0%}, {COVERED.eps_db:g} dB)".replace("%", " %") in PAGE
    assert f"more than {MEASURED_POINTS[3]:,} points (3 objectives; {MEASURED_POINTS[4]:,} of 4)" in PAGE
