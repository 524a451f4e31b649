"""The report's section on plans that competed for being picks."""

from results_builder import build_results

from npuexplore.report.competed import competition, competition_table
from npuexplore.report.page import render_page


def plan(name, rival_of, losses_db, stopped_at):
    return {
        "name": name,
        "rival_of": rival_of,
        "structure": "block",
        "plan": {},
        "predicted_loss_db": 0.25,
        "validation_loss_db": losses_db,
        "stopped_at_step": stopped_at,
    }


HELD = {
    "pruner": "asha",
    "rungs_steps": [50, 100, 200],
    "candidates": [
        plan("knee", None, {"50": -6.5}, 50),
        plan("knee-rival-1", "knee", {"50": -7.0, "100": -8.0}, None),
        plan("knee-rival-<2>", "knee", {"50": None}, 50),
        plan("fastest", None, {}, None),
    ],
}


def test_every_plan_has_a_row_with_its_losses_and_where_it_was_stopped():
    table = competition_table(HELD)
    assert [column for column in table.columns if "after" in column] == [
        "training loss after 50 steps", "training loss after 100 steps", "stopped after"
    ]  # fmt: skip
    assert [row[3:] for row in table.rows] == [
        ("-6.50 dB", "–", "50 steps"),
        ("-7.00 dB", "-8.00 dB", "a pick"),
        ("diverged", "–", "50 steps"),
        ("–", "–", "a pick"),
    ]


def test_the_section_counts_what_was_stopped_and_escapes_names():
    text = str(competition({**build_results(), "halving": HELD}))
    assert "4 plans were retrained on real sound, in groups of about equal cost" in text
    assert "successive halving stopped 2 of them early" in text
    assert "knee-rival-&lt;2&gt;" in text


def test_a_study_without_rivals_has_no_such_section():
    results = build_results()
    assert "Plans that competed" not in render_page(results)
    assert "Plans that competed" in render_page({**results, "halving": HELD})
