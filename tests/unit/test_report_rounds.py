"""What the report says of predictions and rounds."""

from results_builder import build_results

from npuexplore.report.agreed import agreement_words, rounds_table
from npuexplore.report.page import render_page

CLOSE = {"kendall_tau": 0.5, "mean_absolute_error_db": 0.12, "bias_db": -0.034}
LEARNED = {"recovery_frac": {"weight": 0.25, "block": 0.5, "unit": 0.75, "bits": 0.1, "skip": 0.3}, **CLOSE}
NOTHING = dict.fromkeys(CLOSE)


def results(*rounds):
    built = build_results()
    built["study"]["space"] = {"structures": ["weight", "unit"], "skip_rate_frac": [0.0]}
    built["agreement"] |= {**CLOSE, "rounds": list(rounds)}
    return built


def test_the_words_say_order_distance_and_side():
    assert agreement_words(results()) == (
        "Rank correlation of predicted and achieved loss over the picks: 0.90 (Kendall's tau 0.50). On "
        "average they are 0.12 dB apart; losses were predicted 0.03 dB too low in the mean."
    )


def test_results_without_these_figures_are_still_told():
    assert agreement_words(build_results()).endswith("over the picks: 0.90.")
    assert agreement_words(build_results(retrained=False)) == ""
    assert rounds_table(build_results()) is None


def test_one_round_needs_no_table():
    one = results({"round": 1, "picks": ["knee"], **CLOSE})
    assert rounds_table(one) is None
    assert "Round 1" not in render_page(one)


def test_every_round_has_a_row_with_what_it_learned():
    two = results(
        {
            "round": 1,
            "picks": ["knee", "unit"],
            **CLOSE,
            "refit": {**LEARNED, "mean_absolute_error_db": 0.05},
        },
        {"round": 2, "picks": [], **NOTHING, "refit": LEARNED},
    )
    first, second = rounds_table(two).rows
    shares = "weight 0.25, unit 0.75, bits 0.10"
    assert first == ("Round 1", "knee, unit", "0.50", "0.12 dB", "-0.03 dB", "0.05 dB", shares)
    assert second == ("Round 2", "none", "–", "–", "–", "0.12 dB", shares)
    assert "Round 2" in render_page(two)
