"""What the page says of the search: who looked, how much of the front was found, and how much by chance."""

import pytest
from results_builder import build_results
from test_report_page import text_of

from npuexplore.report.page import render_page
from npuexplore.report.searched import ENGINES, search, search_table, who_searched


def section(**changes):
    results = build_results()
    results["search"]["proof"] |= changes
    return text_of(search(results))


def test_the_search_is_told_with_its_proof_beside_random_plans():
    text = section()
    for words in (
        ENGINES["auto"],
        "no design is better than by more than 10 % or 0.05 dB: 1,535 points",
        "it found 99.1 %, and at least 95.2 % of what any search could find",
        "Optuna's 1,000 trials added 3 points to the front, from 98.8 % to 99.1 % of the hypervolume",
    ):
        assert words in text
    rows = search_table(build_results()["search"]).rows
    assert rows == (
        ("this search", "101,000", "99.1 %", "80.0 %"),
        ("random plans", "101,000", "61.0 %", "2.0 %"),
    )


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("enumerated", "all designs, each looked at"),
        ("exact", "the exact front"),
        ("best_known", "the best that this run knows of"),
    ],
)
def test_what_it_is_measured_by_is_named(reference, words):
    text = section(reference=reference, reference_eps_frac=None, reference_eps_db=None)
    assert words in text
    assert "at least" not in text


def test_results_of_before_have_no_such_section():
    results = build_results()
    del results["search"]
    assert search(results) == ""
    assert "How good the search was" not in render_page(results)
    assert "2,000 plans were searched with optuna (nsga2)" in who_searched(results, "time")


def test_other_engines_are_named_where_the_front_is_drawn():
    results = build_results()
    results["engine"] |= {"name": "evolve", "sampler": None}
    assert who_searched(results, "time").startswith("101,000 plans were looked at by the engine evolve, ")
