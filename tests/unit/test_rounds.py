"""Keys of a study about rounds, and what starting over removes."""

import pytest
import tiny_study
from pydantic import ValidationError

from npuexplore.pipeline.run_directory import RunDirectory, claim
from npuexplore.pipeline.study_file import StudyFile


def study(**changes):
    return StudyFile.model_validate({**tiny_study.STUDY, **changes})


def test_a_study_of_one_round_does_not_mention_rounds():
    document = study(rounds=1).model_dump(mode="json", by_alias=True)
    assert document == study().model_dump(mode="json", by_alias=True)
    assert "rounds" not in document
    assert "most_uncertain" not in document["picks"]


def test_what_a_study_says_of_rounds_is_kept():
    document = study(rounds=3, picks={"most_uncertain": False}).model_dump(mode="json", by_alias=True)
    assert document["rounds"] == 3
    assert document["picks"]["most_uncertain"] is False
    assert StudyFile.model_validate(document).model_dump(mode="json", by_alias=True) == document


@pytest.mark.parametrize("rounds", [0, 9, 1.5, True])
def test_rounds_are_a_small_number(rounds):
    with pytest.raises(ValidationError, match="rounds"):
        study(rounds=rounds)


def test_rounds_and_halving_go_together():
    retrain = {"steps": 80, "halving": {"first_rung_steps": 10}}
    document = study(rounds=2, retrain=retrain).model_dump(mode="json", by_alias=True)
    assert (document["rounds"], document["retrain"]["halving"]["first_rung_steps"]) == (2, 10)


def test_starting_over_removes_the_journals_of_all_rounds(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.folder.mkdir()
    claim(run, {"study": "one"}, fresh=False)
    for name in ("search.log", "search-2.log", "search-3.log", "halving.log", "halving-2.log"):
        (run.folder / name).write_text("")
    claim(run, {"study": "other"}, fresh=True)
    assert [path.name for path in run.folder.iterdir()] == ["manifest.json"]
