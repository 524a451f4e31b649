"""Plans that compete for being picks: who competes, who is stopped, and what is kept of it."""

import math
import random

import numpy as np
import optuna
import pytest

from npuexplore.errors import UsageError
from npuexplore.search.halving import STUDY_NAME, Attempt, Rungs, record_attempts, stopped
from npuexplore.search.picks import Pick
from npuexplore.search.rivals import COST_SLACK_FRAC, rivals_of
from npuexplore.train.fit import RetrainRecipe

ASHA = Rungs("asha", first=50, factor=2, steps=400)
NAMES = ("latency_ms", "flash_bytes", "quality_loss_db")


def attempts(*losses_db):
    """Named a, b, ...; of each the losses at the first rungs."""
    return [
        Attempt(chr(97 + number), dict(zip(ASHA.all, own, strict=False)))
        for number, own in enumerate(losses_db)
    ]


def test_half_of_a_rung_goes_on_whatever_the_order_in_which_it_reported():
    losses = [-9.0, -8.0, -7.0, -6.0, -5.0, -4.0]
    for seed in range(5):
        shuffled = random.Random(seed).sample(losses, k=len(losses))
        verdicts = dict(zip(shuffled, stopped(attempts(*([x] for x in shuffled)), ASHA), strict=True))
        assert [loss for loss in losses if not verdicts[loss]] == [-9.0, -8.0, -7.0]


def test_those_that_were_stopped_do_not_count_at_the_next_rung():
    tried = attempts([-9.0, -9.5], [-8.0, -8.1], [-7.0, -9.9], [-6.0, -9.1], [-5.0], [-4.0], [-3.0], [-2.0])
    assert stopped(tried, ASHA)[:4] == [False, True, False, True]


def test_what_diverged_is_stopped_and_the_best_never_is():
    assert stopped(attempts([math.nan], [-1.0]), ASHA) == [True, False]
    assert stopped(attempts([math.nan], [math.nan]), ASHA) == [True, True]
    assert stopped(attempts([-1.0]), ASHA) == [False]


def test_hyperband_lets_some_go_on_without_judging_them():
    losses = [[-float(x)] for x in range(16)]
    hyperband = Rungs("hyperband", first=50, factor=2, steps=400)
    by_hyperband, by_asha = stopped(attempts(*losses), hyperband), stopped(attempts(*losses), ASHA)
    assert 0 < sum(by_hyperband) < sum(by_asha) == 8
    assert by_hyperband == stopped(attempts(*losses), hyperband)


def test_the_record_opens_in_optuna_with_every_loss_and_state(tmp_path):
    path = tmp_path / "halving.log"
    first = [
        Attempt("knee", {50: -6.0}),
        Attempt("knee-rival-1", {50: math.nan}, 50),
        Attempt("x", {50: -7.0}),
    ]
    then = [Attempt("knee", {50: -6.0, 100: -6.5}, 100), first[1], Attempt("x", {50: -7.0, 100: -8.0})]
    record_attempts(path, first, decided=False, fingerprint="this")
    record_attempts(path, first, decided=False, fingerprint="this")
    record_attempts(path, then, decided=True, fingerprint="this")
    length = path.stat().st_size
    record_attempts(path, then, decided=True, fingerprint="this")
    assert path.stat().st_size == length
    with pytest.raises(UsageError, match="another search"):
        record_attempts(path, then, decided=True, fingerprint="that")

    backend = optuna.storages.journal.JournalFileBackend(str(path))
    study = optuna.load_study(study_name=STUDY_NAME, storage=optuna.storages.JournalStorage(backend))
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["PRUNED", "PRUNED", "COMPLETE"]
    assert [trial.user_attrs["candidate"] for trial in trials] == ["knee", "knee-rival-1", "x"]
    assert trials[0].intermediate_values == {50: -6.0, 100: -6.5}
    assert math.isnan(trials[1].intermediate_values[50])
    assert study.best_value == -8.0


def pick(index, name, structure):
    return Pick(index, name, structure, "Why.")


def test_rivals_cost_as_little_and_are_predicted_to_lose_least():
    rng = np.random.default_rng(3)
    objectives = rng.uniform(1.0, 3.0, (400, 3))
    objectives[:2] = 2.5
    structures = rng.choice(["weight", "block", "unit"], 400)
    feasible = rng.random(400) < 0.8
    picks = [pick(0, "knee", structures[0]), pick(1, str(structures[1]), str(structures[1]))]
    found = rivals_of(picks, objectives, NAMES, feasible=feasible, structures=structures, count=5)
    taken = [each.index for rivals in found.values() for each in rivals]
    assert len(taken) == len(set(taken))
    assert not {0, 1} & set(taken)
    for one in picks:
        assert [each.name for each in found[one.name]] == [
            f"{one.name}-rival-{rank}" for rank in range(1, len(found[one.name]) + 1)
        ]
        bound = objectives[one.index, :2] * (1.0 + COST_SLACK_FRAC)
        allowed = feasible & (objectives[:, :2] <= bound).all(axis=1)
        if one.name == one.structure:
            allowed &= structures == one.structure
        allowed[[0, 1, *(each.index for each in found["knee"] if one is not picks[0])]] = False
        cheapest = sorted(objectives[allowed, 2])[:5]
        assert [objectives[each.index, 2] for each in found[one.name]] == cheapest
        assert len(cheapest) == 5


def test_rivals_are_plans_for_the_same_part():
    rng = np.random.default_rng(5)
    objectives, parts = rng.uniform(1.0, 3.0, (200, 3)), rng.choice(["fast", "slow"], 200)
    objectives[:2], parts[:2] = 2.5, ["fast", "slow"]
    picks = [Pick(0, "knee", "block", "Why.", "fast"), Pick(1, "slow", "block", "Why.", "slow")]
    every = {"feasible": np.ones(200, bool), "structures": ["block"] * 200, "count": 6}
    found = rivals_of(picks, objectives, NAMES, **every, parts=parts.tolist())
    for one in picks:
        assert len(found[one.name]) == 6
        assert {each.part for each in found[one.name]} == {one.part}
        assert {str(parts[each.index]) for each in found[one.name]} == {one.part}
    without = rivals_of(picks, objectives, NAMES, **every)["knee"]
    assert {str(parts[each.index]) for each in without} == {"fast", "slow"}


def test_a_pick_without_plans_as_cheap_has_no_rivals():
    objectives = np.array([[1.0, 1.0, 0.5], [1.1, 1.0, 0.1]])
    found = rivals_of(
        [pick(0, "knee", "weight")],
        objectives,
        NAMES,
        feasible=np.ones(2, bool),
        structures=["weight"] * 2,
        count=3,
    )
    assert found == {"knee": ()}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "offline"}, "under method offline nothing learns"),
        ({"steps": 100}, "halving.first_rung_steps: got 100; it must be below steps, 100"),
    ],
)
def test_halving_that_could_compare_nothing_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        RetrainRecipe.model_validate({"steps": 1_000, "halving": {}, **changes})


def test_halving_is_mentioned_where_there_is_any():
    assert "halving" not in RetrainRecipe(steps=10).model_dump()
    recipe = RetrainRecipe.model_validate({"steps": 1_000, "halving": {"rivals": 2}})
    assert recipe.model_dump()["halving"]["rivals"] == 2
    assert RetrainRecipe.model_validate_json(recipe.model_dump_json()) == recipe
