"""One search by several processes: what is written, who may join, and what happens to those that die."""

import numpy as np
import optuna
import pytest
from toy_search import NETWORK, SPACE, evaluator, spec

import npuexplore
from npuexplore.errors import BadInput, UsageError
from npuexplore.search.driver import elites_of
from npuexplore.search.evaluation import Constraint, evaluate_parts
from npuexplore.search.record import open_record
from npuexplore.search.result import Found
from npuexplore.search.shared_sampler import Decided
from npuexplore.search.shared_search import Place, find_invitation, join, result_of, search_together
from npuexplore.search.shared_stale import Silent, one_writer
from npuexplore.search.shared_work import Task, work
from npuexplore.search.space import (
    SpaceSpec,
    all_choices,
    keys_of,
    params_of,
    plans_from,
    random_choices,
    space_for,
)
from npuexplore.search.spec import SearchSpec
from npuexplore.search.storage import Heartbeat, quiet_optuna
from npuexplore.search.suggest import distributions

SMALL = space_for(SpaceSpec(structures=("block",), sparsity_frac=(0.0, 0.5), weight_bits=(8,)), NETWORK)
"""8 plans."""
SPEC = SpaceSpec(sparsity_frac=(0.0, 0.3, 0.5, 0.7, 0.9))
TARGET = 16


class Stopped(Exception):
    """The process is gone."""


@pytest.fixture
def place(tmp_path):
    return Place(f"sqlite:///{tmp_path}/search.db", "toy", heartbeat_s=60)


def small(**changes):
    return spec(**{"trials": TARGET, "population": 4, "screened_plans": 20, **changes})


def together(place, *, space=SPACE, evaluate=None, **changes):
    settings = {"seed": 3, "document": {"note": "toy"}, **changes}
    asked, evaluate = settings.pop("spec", None) or small(), evaluate or evaluator()
    gathered = search_together(space, asked, evaluate, place=place, **settings)
    return result_of(space, asked, evaluate, gathered, settings.get("found"))


def task(**changes):
    return Task(
        **{"space": SPACE, "spec": small(), "evaluate": evaluator(), "seed": 3, "target": TARGET, **changes}
    )


def stopped_after(finished):
    def told(done, target):
        if done >= finished:
            raise Stopped

    return told


def trials_in(place):
    with open_record(
        place.storage, study_name=place.study_name, directions=["minimize"] * 3, fingerprint=None
    ) as record:
        return record.study.get_trials()


def states(trials):
    names = [trial.state.name for trial in trials]
    return {name: names.count(name) for name in dict.fromkeys(names)}


def test_a_search_that_others_help_with_reaches_its_target_and_repeats_nothing(place):
    with pytest.raises(Stopped):
        together(place, on_trials=stopped_after(10))
    assert find_invitation(place.storage).document == {"note": "toy"}
    assert join(task(), place, limit=2) == 2
    found = together(place)
    trials = trials_in(place)
    assert states(trials) == {"COMPLETE": TARGET}
    assert len(set(keys_of(SPACE, [trial.params for trial in trials]))) == TARGET
    assert (len(found.objectives), found.recorded) == (TARGET, TARGET)
    assert find_invitation(place.storage).finished


def test_what_trials_say_is_what_the_evaluation_says(place):
    result = together(place)
    trials = trials_in(place)
    assert [tuple(trial.values) for trial in trials] == [tuple(row) for row in result.objectives.tolist()]
    limits = [list(trial.system_attrs["constraints"]) for trial in trials]
    assert limits == result.violations.tolist()
    assert all(len(trial.constraints) > 0 for trial in trials)


def test_a_trial_is_proposed_from_its_number_whoever_runs_it(place, tmp_path):
    alone = together(place)
    elsewhere = Place(f"sqlite:///{tmp_path}/other.db", "toy", heartbeat_s=60)
    with pytest.raises(Stopped):
        together(elsewhere, on_trials=stopped_after(11))
    join(task(), elsewhere, limit=None)
    assert together(elsewhere).front_sha256 == alone.front_sha256


def test_processes_choose_among_several_parts_together(place):
    limits = [(Constraint("flash_bytes", 6_000.0),), (Constraint("latency_ms", 6.5),)]
    parts = {"evaluate": evaluate_parts([evaluator(own) for own in limits])}
    space = space_for(SPEC, NETWORK, parts=("first", "second"))
    asked = small(trials=10)
    with pytest.raises(Stopped):
        together(place, space=space, spec=asked, **parts, on_trials=stopped_after(5))
    join(task(space=space, spec=asked, target=10, **parts), place, limit=None)
    result = together(place, space=space, spec=asked, **parts)
    trials = trials_in(place)
    names = [trial.params["profile"] for trial in trials]
    assert [("first", "second")[part] for part in result.plans.part] == names
    assert set(names) == {"first", "second"}
    for part, own in enumerate(limits):
        index = np.flatnonzero(result.plans.part == part)
        alone = evaluator(own)(result.plans.take(index))
        assert np.array_equal(result.objectives[index], alone.objectives)
        assert np.array_equal(result.feasible[index], alone.feasible)


def test_what_an_engine_found_starts_the_search_and_stays_in_the_result(place):
    rows = all_choices(SMALL)[-3:]
    found = Found(rows, evaluator()(plans_from(SMALL, rows)), evaluations=50, looked_at=0)
    asked = SearchSpec(engine="auto", trials=8, population=4, elites=8)
    elites = len(elites_of(found, asked))
    result = together(place, space=SMALL, spec=asked, found=found)
    starts = [trial for trial in trials_in(place) if trial.user_attrs.get("island") == "start"]
    assert len(starts) == elites > 0
    assert result.suggested_from == 3
    assert result.recorded == SMALL.designs
    assert result.evaluations == 50 + len(result.plans) - 3 == 50 + SMALL.designs - elites


def test_a_space_that_is_used_up_ends_the_search_of_every_process(place):
    assert len(together(place, space=SMALL).plans) == 8
    assert states(trials_in(place))["COMPLETE"] == 8


def new_plan(trials):
    known = keys_of(SPACE, [trial.params for trial in trials if trial.values])
    drawn = [params_of(SPACE, row) for row in random_choices(SPACE, np.random.default_rng(9), 20)]
    return next(params for params in drawn if keys_of(SPACE, [params])[0] not in known)


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_whose_process_died_before_its_first_sign_of_life_is_run_by_another(place):
    with pytest.raises(Stopped):
        together(place, on_trials=stopped_after(9))
    with joined(place) as (record, decided):
        left = record.study.ask()
        decided.params = new_plan(record.study.trials)
        for name, choices in distributions(SPACE).items():
            left.suggest_categorical(name, choices.choices)
        silent = Silent(record, grace_s=0.0)
        silent.retry()
        assert record.study.trials[left.number].state.name == "RUNNING"
        silent.retry()
        assert record.study.trials[left.number].state.name == "FAIL"
        work(record, task(), decided=decided, grace_s=1.0)
    trials = trials_in(place)
    assert states(trials) == {"COMPLETE": TARGET, "FAIL": 1}
    (copy,) = [trial for trial in trials if trial.system_attrs.get("failed_trial") == left.number]
    assert copy.params == trials[left.number].params
    assert copy.state.name == "COMPLETE"


def test_a_process_that_slept_too_long_leaves_its_trial_to_who_took_it(place):
    with pytest.raises(Stopped):
        together(place, on_trials=stopped_after(9))
    asleep = []

    def evaluate(plans):
        if not asleep:
            asleep.append(take_over(place))
        return evaluator()(plans)

    with joined(place) as (record, decided), one_writer(record):
        finished = work(record, task(evaluate=evaluate), decided=decided, grace_s=1.0)
    trials = trials_in(place)
    before = sum(trial.user_attrs.get("island") == "start" for trial in trials)
    assert states(trials) == {"COMPLETE": TARGET, "FAIL": 1}
    assert finished <= TARGET - before
    assert trials[asleep[0]].state.name == "FAIL"


def test_a_plan_that_another_process_proposes_at_the_same_moment_is_evaluated_once(place):
    with pytest.raises(Stopped):
        together(place, on_trials=stopped_after(9))
    taken = []

    class Hurried(Decided):
        """Another process takes the same plan before this one has written it."""

        def sample_independent(self, study, trial, name, distribution):
            if not taken:
                taken.append(dict(self.params))
                with joined(place) as (record, _):
                    record.study.add_trial(
                        optuna.trial.create_trial(
                            state=optuna.trial.TrialState.WAITING,
                            params=taken[0],
                            distributions=distributions(SPACE),
                        )
                    )
            return super().sample_independent(study, trial, name, distribution)

    decided = Hurried()
    with (
        quiet_optuna(),
        open_record(
            place.storage,
            study_name="toy",
            directions=["minimize"] * 3,
            fingerprint=None,
            heartbeat=Heartbeat(60),
            sampler=decided,
        ) as record,
    ):
        work(record, task(), decided=decided, grace_s=1.0)
    trials = trials_in(place)
    assert states(trials) == {"COMPLETE": TARGET, "PRUNED": 1}
    keys = [key for trial in trials if trial.values for key in keys_of(SPACE, [trial.params])]
    assert len(set(keys)) == TARGET


def take_over(place):
    """What another process does with a stale trial."""
    with joined(place) as (record, _):
        (running,) = [trial for trial in record.study.trials if trial.state.name == "RUNNING"]
        record.study.tell(running.number, state=optuna.trial.TrialState.FAIL)
        return running.number


def joined(place):
    from contextlib import contextmanager

    @contextmanager
    def opened():
        decided = Decided()
        with (
            quiet_optuna(),
            open_record(
                place.storage,
                study_name=place.study_name,
                directions=["minimize"] * 3,
                fingerprint=None,
                heartbeat=Heartbeat(60),
                sampler=decided,
            ) as record,
        ):
            yield record, decided

    return opened()


def test_another_search_of_the_same_name_is_refused(place):
    together(place)
    with pytest.raises(UsageError, match="holds another search"):
        join(task(seed=4), place, limit=None)


def test_fresh_forgets_the_search_of_this_name_only(place):
    together(place)
    other = Place(place.storage, "other", heartbeat_s=60)
    together(other)
    together(place, fresh=True)
    assert len(trials_in(place)) == len(trials_in(other)) == TARGET


def test_who_joins_is_told_which_searches_there_are(place):
    open_record(place.storage, directions=["minimize"] * 2, fingerprint="x").__enter__()
    with pytest.raises(UsageError, match="no search is shared here yet"):
        find_invitation(place.storage)
    for name in ("first", "second"):
        with pytest.raises(Stopped):
            together(Place(place.storage, name, heartbeat_s=60), on_trials=stopped_after(1))
    with pytest.raises(UsageError, match=r"first, second\); name one with --study"):
        find_invitation(place.storage)
    assert find_invitation(place.storage, "second").place.study_name == "second"
    with pytest.raises(UsageError, match="no search named 'third'"):
        find_invitation(place.storage, "third")
    together(Place(place.storage, "first", heartbeat_s=60))
    assert find_invitation(place.storage).place.study_name == "second"
    with pytest.raises(Stopped):
        together(Place(place.storage, "first-search-2", heartbeat_s=60), on_trials=stopped_after(1))
    assert find_invitation(place.storage, "first").place.study_name == "first-search-2"


def test_a_search_of_another_version_is_refused_in_a_sentence(place, monkeypatch):
    together(place)
    monkeypatch.setattr(npuexplore, "__version__", "99.0")
    with pytest.raises(BadInput, match=r"opened by npuexplore 0\.1\.0, and this is 99\.0"):
        find_invitation(place.storage)


@pytest.mark.parametrize("storage", ["memory:", "search.log"])
def test_a_storage_of_one_process_cannot_be_shared(storage):
    with pytest.raises(UsageError, match="several processes need a database"):
        together(Place(storage, "toy"))


def test_a_mistyped_file_is_not_created(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        find_invitation(f"sqlite:///{tmp_path}/absent.db")
    assert not list(tmp_path.iterdir())
