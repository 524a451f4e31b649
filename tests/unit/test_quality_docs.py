"""docs/quality-model.md: its examples run, and what it names is there."""

import re
from pathlib import Path

import pytest
import yaml

from npuexplore.pipeline.agreement import agreement_document
from npuexplore.pipeline.recovery import GUESS, TERMS
from npuexplore.pipeline.row_cache import rows_file
from npuexplore.pipeline.run_directory import RunDirectory
from npuexplore.pipeline.study_file import PickSpec, StudyFile

PAGE = (Path(__file__).parents[2] / "docs" / "quality-model.md").read_text(encoding="utf-8")


def test_the_example_learns_what_the_page_says():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(block, names)
    learned = names["learned_frac"]
    assert f"`block` comes out at {learned['block']:.2f}" in PAGE
    assert f"nothing was seen, at {learned['weight']:.2f}" in PAGE
    later = names["one_shot_db"]
    assert (names["after"].uncertainty_db(later) < names["before"].uncertainty_db(later)).all()


def test_the_keys_of_the_example_are_keys_of_a_study():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    keys = yaml.safe_load(block)
    assert PickSpec.model_validate(keys["picks"]) == PickSpec()
    assert keys["rounds"] > StudyFile.model_fields["rounds"].default
    assert "most_uncertain" in PickSpec.model_fields


def test_the_guess_of_the_page_is_that_of_the_code():
    rows = dict(re.findall(r"^\| ([a-z ]+) \| .* \| (.*) \|$", PAGE, re.MULTILINE))
    assert rows["offset"] == f"{GUESS.offset_db:g} dB"
    assert rows["mean of the recoveries"] == f"{GUESS.together_frac:g} x `recovery_frac`"
    assert rows["recovery of a term"] == f"{GUESS.apart_frac:g} x `recovery_frac`"
    assert rows["a retrained pick"] == f"{GUESS.noise_db:g} dB, worth {GUESS.noise_picks:g} picks"
    assert f"{GUESS.noise_picks:g} squares of {GUESS.noise_db:g} dB" in PAGE
    assert f"`picks.recovery_frac` ({PickSpec().recovery_frac:g}, assumed)" in PAGE


def test_terms_files_and_keys_are_named_as_they_are():
    assert all(f"`{term}`" in PAGE for term in TERMS)
    assert f"`{rows_file(RunDirectory(Path('run'))).relative_to('run').as_posix()}`" in PAGE
    pick = {
        "name": "a",
        "round": 1,
        "predicted": {"quality_loss_db": 0.1},
        "achieved": {"quality_loss_db": 0.1},
    }
    keys = agreement_document([pick], recovery_frac=0.2, summed_db={"a": 1.0})
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert listed == set(keys) - {"recovery_frac_assumed"}
    assert keys["recovery_frac_fitted"] == pytest.approx(0.1)
