import numpy as np
import pytest
from toy_search import NETWORK, SPACE, costs_of, evaluator

from npuexplore.errors import LimitsNotMet
from npuexplore.search.evaluation import Constraint, Evaluation, evaluate_parts
from npuexplore.search.feasibility import describe, preflight
from npuexplore.search.space import SpaceSpec, all_choices, plans_from, random_choices, space_for


def least(name):
    """The true smallest value of a cost over the whole space, by enumeration."""
    return float(costs_of(EVERY_PLAN)[name].min())


EVERY_PLAN = plans_from(SPACE, all_choices(SPACE))


def with_limits(**limits):
    return evaluator(tuple(Constraint(name, value) for name, value in limits.items()))


def test_a_space_with_room_passes_at_once():
    calls = []

    def counting(plans):
        calls.append(len(plans))
        return evaluator()(plans)

    preflight(SPACE, counting, seed=1)
    assert len(calls) == 1


def test_a_space_without_limits_passes():
    def free(plans):
        return Evaluation(np.zeros((len(plans), 2)), np.zeros((len(plans), 0)), ())

    preflight(SPACE, free, seed=1)


@pytest.mark.parametrize("name", ["flash_bytes", "latency_ms"])
def test_the_one_corner_that_fits_is_found(name):
    preflight(SPACE, with_limits(**{name: least(name) * 1.0001}), seed=1)


def test_one_plan_in_a_million_is_found_where_choices_act_on_their_own():
    grid = tuple(index / 10 for index in range(10))
    space = space_for(SpaceSpec(sparsity_frac=grid, activation_bits=(8, 16)), NETWORK)
    chosen = vars(plans_from(space, random_choices(space, np.random.default_rng(6), 1)))
    target = {name: values for name, values in chosen.items() if isinstance(values, np.ndarray)}

    def strangers(plans):
        wrong = sum(
            (getattr(plans, name) != target[name]).reshape(len(plans), -1).sum(axis=1) for name in target
        )
        return Evaluation(np.zeros((len(plans), 2)), (wrong - 0.5)[:, None], (Constraint("wrong", 1.0),))

    assert space.designs > 1e6
    preflight(space, strangers, seed=1)


@pytest.mark.parametrize("name", ["flash_bytes", "latency_ms"])
def test_a_limit_just_below_the_best_corner_is_the_one_to_blame(name):
    best = least(name)
    with pytest.raises(LimitsNotMet, match=f"{name} is the tightest limit") as caught:
        preflight(SPACE, with_limits(**{name: best / 1.25}), seed=1)
    sentence = str(caught.value)
    assert "25.0 % over" in sentence
    assert f"{best:,.6g}" in sentence
    assert "allow more sparsity" in sentence


def test_the_tightest_of_several_limits_is_named():
    limits = {"flash_bytes": least("flash_bytes") / 1.1, "latency_ms": least("latency_ms") / 2}
    with pytest.raises(LimitsNotMet, match="latency_ms is the tightest limit"):
        preflight(SPACE, with_limits(**limits), seed=1)


def test_limits_that_exclude_each_other_are_said_to():
    limits = {"flash_bytes": least("flash_bytes") * 1.05, "quality_loss_db": 0.5}
    with pytest.raises(LimitsNotMet, match="each limit can be kept, but no plan was found that keeps all"):
        preflight(SPACE, with_limits(**limits), seed=1)


def test_limits_that_only_a_compromise_keeps_are_found_to_be_kept():
    costs = costs_of(EVERY_PLAN)
    wanted = np.argmin(costs["flash_bytes"] / costs["flash_bytes"].max() + costs["quality_loss_db"] / 3)
    limits = {name: float(costs[name][wanted]) * 1.001 for name in ("flash_bytes", "quality_loss_db")}
    preflight(SPACE, with_limits(**limits), seed=1)


def test_the_sentence_does_not_depend_on_luck():
    sentences = set()
    for seed in (1, 1, 2):
        with pytest.raises(LimitsNotMet) as caught:
            preflight(SPACE, with_limits(flash_bytes=100.0), seed=seed)
        sentences.add(str(caught.value))
    assert len(sentences) == 1


def test_a_plan_is_described_with_like_layers_together():
    row = all_choices(SPACE)[-1:]
    assert describe(plans_from(SPACE, row), NETWORK) == "lstm_1 and gru_2 unit 90 % int8, mask dense int8"
    assert describe(plans_from(SPACE, row * 0), NETWORK) == "all layers dense int4"


TWO_PARTS = space_for(SpaceSpec(sparsity_frac=(0.0, 0.5, 0.9)), NETWORK, parts=("roomy", "cramped"))
LEAST_BYTES = float(costs_of(plans_from(TWO_PARTS, all_choices(TWO_PARTS)))["flash_bytes"].min())


def on_two_parts(roomy, cramped):
    """Each with its own limits."""
    return evaluate_parts([with_limits(**roomy), with_limits(**cramped)])


def test_it_is_enough_that_one_part_keeps_all_its_limits():
    hopeless, just = {"flash_bytes": LEAST_BYTES / 9}, {"flash_bytes": LEAST_BYTES * 1.0001}
    preflight(TWO_PARTS, on_two_parts(hopeless, just), seed=1)
    preflight(TWO_PARTS, on_two_parts(just, hopeless), seed=1)
    preflight(TWO_PARTS, on_two_parts(hopeless, {"latency_ms": 1e6}), seed=1)


@pytest.mark.parametrize(("first", "second", "nearest"), [(1.25, 2.0, "roomy"), (2.0, 1.25, "cramped")])
def test_the_sentence_names_the_part_of_the_nearest_plan_and_its_own_limit(first, second, nearest):
    limits = [{"flash_bytes": LEAST_BYTES / over} for over in (first, second)]
    with pytest.raises(LimitsNotMet, match=rf"the nearest plan \(on {nearest}: \w+") as caught:
        preflight(TWO_PARTS, on_two_parts(*limits), seed=1)
    assert f"25.0 % over the {LEAST_BYTES / 1.25:,.6g} allowed" in str(caught.value)


def test_a_limit_that_only_one_part_has_is_not_blamed_for_the_other():
    limits = [{"flash_bytes": LEAST_BYTES / 3}, {"latency_ms": least("latency_ms") / 2}]
    with pytest.raises(LimitsNotMet, match=r"latency_ms is the tightest limit; .* \(on cramped: "):
        preflight(TWO_PARTS, on_two_parts(*limits), seed=1)
