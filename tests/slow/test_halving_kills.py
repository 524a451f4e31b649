"""A study whose picks must win against rivals, killed at every rung, ends in the same bytes.

Takes about two minutes; `make test-slow` runs it.
"""

import time

import tiny_study
from command_line import output_of, program
from processes import PATIENCE_S, marked, none_within

KEPT = ("results.json", "report.html", "stages/halving.json")
MOMENTS = ("training/*-4.json", "halving.log", "training/*-8.json", "stages/halving.json", "picks/*.npz")
PATIENCE_OF_A_RUN_S = 600


def test_a_study_of_one_worker_that_is_killed_ends_like_one_of_two_that_is_not(tmp_path):
    study = tiny_study.write_study(
        tmp_path / "study",
        picks={"count": 3},
        retrain={"steps": 24, "checkpoint_steps": 5, "halving": {"rivals": 3, "first_rung_steps": 4}},
    )
    data = tiny_study.write_corpus(tmp_path / "data")
    command = ("study", "run", study, "--data", data, "--runs")
    whole, run = tmp_path / "whole", tmp_path / "killed"
    outcome = output_of(program(*command, whole, "--workers", "2"), PATIENCE_OF_A_RUN_S)
    assert outcome.code == 0, outcome.err
    for moment in MOMENTS:
        mark = f"halving-{tmp_path.name}-{moment}"
        process = program(*command, run, "--workers", "1", environment={"NPUEXPLORE_TEST": mark})
        while process.poll() is None and not list((run / "tiny").glob(moment)):
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert none_within(lambda: marked(mark), PATIENCE_S)  # noqa: B023
    assert output_of(program(*command, run, "--workers", "1"), PATIENCE_OF_A_RUN_S).code == 0
    picks = [path.relative_to(whole / "tiny") for path in whole.glob("tiny/picks/*.npz")]
    assert picks
    for name in (*KEPT, *picks):
        assert (run / "tiny" / name).read_bytes() == (whole / "tiny" / name).read_bytes()
