from typing import get_args

import numpy as np
import pytest

from npuexplore.errors import LimitsNotMet
from npuexplore.report.sections import OBJECTIVE_WORDS
from npuexplore.search.pareto import feasible_front, knee, nondominated
from npuexplore.search.picks import LOSS, choose_picks, figure
from npuexplore.search.spec import Objective

NAMES = ("latency_ms", "flash_bytes", "quality_loss_db")
PLANS = [
    # latency, flash, loss, structure
    (1.0, 90e3, 0.9, "block"),
    (2.0, 60e3, 0.4, "block"),
    (4.0, 40e3, 0.3, "weight"),
    (3.5, 55e3, 0.8, "weight"),
    (3.0, 80e3, 0.7, "unit"),
    (0.5, 70e3, 3.0, "unit"),
    (5.0, 200e3, 0.0, "dense"),
]
OBJECTIVES = np.array([plan[:3] for plan in PLANS])
STRUCTURES = [plan[3] for plan in PLANS]


def choose(*, feasible=None, limit=1.0, count=6, required=("weight", "block", "unit"), single=None):
    kept = np.ones(len(PLANS), bool) if feasible is None else np.isin(np.arange(len(PLANS)), feasible)
    return choose_picks(
        OBJECTIVES,
        NAMES,
        feasible=kept,
        structures=STRUCTURES,
        loss_limit_db=limit,
        count=count,
        required=required,
        single=None if single is None else np.isin(np.arange(len(PLANS)), single),
    )


def by_name(choice):
    return {pick.name: pick.index for pick in choice.picks}


def test_the_knee_comes_first_then_the_other_structures_then_the_extremes():
    assert [pick.name for pick in choose().picks] == [
        "knee",
        "weight",
        "unit",
        "fastest",
        "smallest",
        "best-quality",
    ]


def test_the_knee_is_the_best_balance():
    assert choose().picks[0].index == 1


def test_each_structure_has_its_fastest_plan_within_the_loss_limit():
    picks = by_name(choose())
    assert picks["weight"] == 3
    assert picks["unit"] == 4  # the faster unit plan loses 3 dB


@pytest.mark.parametrize("count", [3, 4, 6, 20])
def test_every_structure_is_among_the_picks(count):
    assert {pick.structure for pick in choose(count=count).picks} >= {"weight", "block", "unit"}


def test_no_more_picks_than_asked_for_and_no_plan_twice():
    for count in range(1, 9):
        indices = [pick.index for pick in choose(count=count).picks]
        assert len(indices) == len(set(indices)) <= count


def test_picks_keep_every_limit_and_the_predicted_loss():
    for pick in choose(feasible=[1, 2, 4, 5], count=20).picks:
        assert pick.index in (1, 2, 4)


def test_beyond_the_named_picks_the_front_is_filled_up():
    within = OBJECTIVES[:, 2] <= 1.0
    on_front = set(np.flatnonzero(within)[nondominated(OBJECTIVES[within])])
    chosen = choose(count=20)
    assert {pick.index for pick in chosen.picks} >= on_front


def test_names_differ_and_can_name_a_file():
    names = [pick.name for pick in choose(count=20).picks]
    assert len(names) == len(set(names))
    assert all(name.replace("-", "").isalnum() for name in names)


def test_every_pick_says_why_with_figures_and_units():
    for pick in choose(count=20).picks:
        assert pick.why.endswith("predicted.")
        for unit in (" ms", " kB flash", " dB loss"):
            assert unit in pick.why


def test_a_structure_without_a_plan_is_explained():
    choice = choose(feasible=[0, 1, 2, 5])
    assert "unit" not in by_name(choice)
    assert choice.missing == ("No unit-sparse plan that fits stays within 1 dB; the best has 3.00 dB loss.",)
    assert choose(feasible=[0, 1, 2]).missing == (
        "No unit-sparse plan that was evaluated keeps every limit.",
    )
    assert choose(required=("weight", "block")).missing == ()


def test_where_nothing_stays_within_the_loss_the_least_loss_of_each_structure_is_picked():
    choice = choose(feasible=[0, 2, 3, 4, 5], limit=0.1)
    assert by_name(choice) == {"best-quality": 2, "block": 0, "unit": 4}
    assert "No plan that fits stays within 0.1 dB" in choice.picks[0].why
    assert len(choice.missing) == 3


def test_where_nothing_is_feasible_limits_are_not_met():
    with pytest.raises(LimitsNotMet, match="no evaluated plan keeps every limit"):
        choose(feasible=[])


def test_of_equal_plans_the_first_is_picked():
    doubled = np.concatenate([OBJECTIVES, OBJECTIVES])
    choice = choose_picks(
        doubled,
        NAMES,
        feasible=np.ones(len(doubled), bool),
        structures=STRUCTURES * 2,
        loss_limit_db=1.0,
        count=6,
    )
    assert by_name(choice) == by_name(choose())


def test_the_first_cost_among_the_objectives_leads():
    order = [1, 2, 0]
    choice = choose_picks(
        OBJECTIVES[:, order],
        [NAMES[i] for i in order],
        feasible=np.ones(len(PLANS), bool),
        structures=STRUCTURES,
        loss_limit_db=1.0,
        count=6,
    )
    assert by_name(choice)["weight"] == 2  # the smallest, not the fastest
    assert "smallest in flash" in choice.picks[1].why


def test_a_plan_of_one_structure_stands_for_it_before_a_faster_mixed_one():
    assert by_name(choose())["weight"] == 3
    assert by_name(choose(single=[1, 2, 4]))["weight"] == 2
    assert "only weight-sparse" in choose(single=[1, 2, 4]).picks[1].why
    assert "mostly weight-sparse" in choose(single=[1, 4]).picks[1].why


def test_a_mixed_knee_leaves_its_structure_to_be_picked_where_there_is_room():
    assert [pick.name for pick in choose(single=[0, 2, 4], count=4).picks] == [
        "knee",
        "weight",
        "block",
        "unit",
    ]
    assert by_name(choose(single=[0, 2, 4], count=4))["block"] == 0
    few = choose(single=[0, 2, 4], count=3)
    assert [pick.name for pick in few.picks] == ["knee", "weight", "unit"]


@pytest.mark.parametrize("objective", [name for name in get_args(Objective) if name != LOSS])
def test_every_objective_has_a_pick_of_its_own_and_words_for_its_figure(objective):
    values = np.array([[2.0, 0.1], [1.0, 0.2]])
    found = choose_picks(
        values, (objective, LOSS), feasible=np.ones(2, bool), structures=["weight"] * 2,
        loss_limit_db=1.0, count=4,
    )  # fmt: skip
    assert sorted(pick.index for pick in found.picks) == [0, 1]
    for pick in found.picks:
        assert figure(objective, values[pick.index, 0]) in pick.why
    assert OBJECTIVE_WORDS[objective]


def unsure(*, limit=1.0, **uncertain):
    values = np.full(len(PLANS), 0.1)
    for plan, uncertainty_db in uncertain.items():
        values[int(plan.removeprefix("plan_"))] = uncertainty_db
    return choose_picks(
        OBJECTIVES,
        NAMES,
        feasible=np.ones(len(PLANS), bool),
        structures=STRUCTURES,
        loss_limit_db=limit,
        count=4,
        uncertainty_db=values,
    )


def test_the_least_sure_plan_of_the_front_is_the_last_pick():
    chosen = unsure(plan_6=0.8)
    assert [pick.name for pick in chosen.picks] == ["knee", "weight", "unit", "most-uncertain"]
    assert chosen.picks[-1].index == 6
    assert chosen.picks[-1].why.startswith("Of the front within 1 dB the least sure, by 0.80 dB: 5 ms")


def test_a_plan_that_is_picked_anyway_is_not_picked_again_for_being_least_sure():
    knee = choose(count=4).picks[0].index
    assert unsure(**{f"plan_{knee}": 0.8}) == choose(count=4)


def test_plans_beyond_the_limit_are_not_tried_for_being_least_sure():
    assert all(pick.index != 5 for pick in unsure(plan_5=9.0).picks)


PART_OF = ["fast", "fast", "slow", "slow", "fast", "fast", "huge"]
PART_ORDER = ("slow", "huge", "fast", "absent")


def of_parts(*, feasible=range(7), limit=1.0):
    return choose_picks(
        OBJECTIVES,
        NAMES,
        feasible=np.isin(np.arange(len(PLANS)), list(feasible)),
        structures=STRUCTURES,
        loss_limit_db=limit,
        count=9,
        required=(),
        parts=PART_OF,
        part_order=PART_ORDER,
    )


def test_after_the_knee_comes_that_of_each_other_part_in_the_order_of_the_study():
    picks = of_parts().picks
    assert [(pick.name, pick.part) for pick in picks[:3]] == [
        ("knee", "fast"),
        ("on-slow", "slow"),
        ("on-huge", "huge"),
    ]
    assert [pick.index for pick in picks[:3]] == [1, 2, 6]
    assert all(pick.part == PART_OF[pick.index] for pick in picks)
    assert len({pick.index for pick in picks}) == len(picks)


def test_a_part_whose_every_plan_is_beaten_by_another_part_has_its_best_balance_picked():
    beaten = np.concatenate([OBJECTIVES, OBJECTIVES * [3.0, 2.0, 1.0] + [0.0, 0.0, 0.01]])
    found = choose_picks(
        beaten,
        NAMES,
        feasible=np.ones(len(beaten), bool),
        structures=STRUCTURES * 2,
        loss_limit_db=1.0,
        count=4,
        parts=["fast"] * len(PLANS) + ["slow"] * len(PLANS),
        part_order=("fast", "slow"),
    )
    assert (found.picks[1].part, found.picks[1].name) == ("slow", "on-slow")
    assert found.picks[1].index == found.picks[0].index + len(PLANS)
    assert not nondominated(beaten)[found.picks[1].index]


def test_the_part_of_the_knee_has_no_second_knee():
    others = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        objectives, parts = rng.uniform(0.1, 1.0, (60, 3)), rng.choice(["fast", "slow"], 60)
        keywords = {"feasible": np.ones(60, bool), "structures": ["block"] * 60, "loss_limit_db": 2.0}
        found = choose_picks(
            objectives, NAMES, **keywords, count=60, required=(), parts=parts, part_order=("fast", "slow")
        )
        best = found.picks[0]
        named = [pick for pick in found.picks if pick.name in ("on-fast", "on-slow")]
        assert [pick.part for pick in named] == [{"fast": "slow", "slow": "fast"}[best.part]]
        own = feasible_front(objectives, parts == best.part)
        others += own[knee(objectives[own])] != best.index
    assert others > 0


def test_sentences_of_picks_name_the_part_and_their_figures():
    knee, slow = of_parts().picks[:2]
    assert knee.why.startswith("Knee of the front, the best balance within 1 dB of predicted loss, on fast: ")
    assert slow.why == (
        "Knee of its part's own front, the best balance within 1 dB of predicted loss, on slow: "
        "4 ms, 40.0 kB flash, 0.30 dB loss predicted."
    )


def test_parts_without_a_pick_are_said_to_have_none():
    found = of_parts(feasible=[0, 1, 2, 4, 5, 6], limit=0.35)
    assert found.missing == (
        "No plan for fast that fits stays within 0.35 dB; the best has 0.40 dB loss.",
        "No plan for absent was evaluated.",
    )
    assert of_parts(feasible=[0, 1]).missing == (
        "No plan for slow that was evaluated keeps every limit.",
        "No plan for huge that was evaluated keeps every limit.",
        "No plan for absent was evaluated.",
    )


def test_where_all_plans_that_fit_are_for_one_part_there_is_no_pick_of_parts():
    names = [pick.name for pick in of_parts(feasible=[0, 1, 4, 5]).picks]
    assert not set(names) & set(PART_ORDER)


def test_picks_of_a_study_of_one_part_name_none():
    assert {pick.part for pick in choose().picks} == {None}
    assert all(", on " not in pick.why for pick in choose().picks)
    keywords = {"structures": STRUCTURES, "loss_limit_db": 1.0, "count": 6}
    named = choose_picks(OBJECTIVES, NAMES, feasible=np.ones(7, bool), **keywords, part_order=("only",))
    assert named == choose()
