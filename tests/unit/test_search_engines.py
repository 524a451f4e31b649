"""Every engine that a study can name, through the stage that a study runs, in spaces that can be checked."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_study
import yaml

from npuexplore.errors import BadInput, LimitsNotMet, UsageError
from npuexplore.pipeline import searching
from npuexplore.pipeline.objectives import evaluator
from npuexplore.pipeline.problem import load_problem
from npuexplore.pipeline.run_directory import RunDirectory, read_stage
from npuexplore.pipeline.searching import chosen_picks, search_stage
from npuexplore.pipeline.study_job import Request, StudyJob
from npuexplore.search import driver, proof
from npuexplore.search.engines import exact
from npuexplore.search.pareto import distinct, feasible_front
from npuexplore.search.record import open_record
from npuexplore.search.space import all_choices, plan_keys, plans_from, space_for

ENGINES = {
    "exact": {"eps_frac": 0.0, "eps_db": 0.0},
    "evolve": {"evaluations": 2_000, "population": 20},
    "auto": {"evaluations": 600, "population": 20, "trials": 30},
}
ELITES = 8
HURT = np.array([0.0, 0.25, 0.5, 1.6, 0.5])


def summed_loss(plans):
    zeros = HURT[plans.structure] * plans.sparsity_frac**2 * [0.5, 0.8, 0.2, 0.3]
    return (zeros + [0.05, 0.07, 0.02, 0.01] * (plans.weight_bits == 4)).sum(axis=1)


def coupled_loss(plans):
    return summed_loss(plans) + (plans.sparsity_frac[:, 1:] * plans.sparsity_frac[:, :-1]).sum(axis=1)


SPACE = {"structures": ["block", "unit"], "weight_bits": [4, 8]}


def job_in(folder, engine, *, seed=1, objectives=None, limits=None, space=SPACE, **keys):
    """The tiny study with an engine, as its search stage gets it."""
    path = tiny_study.write_study(folder / "study", seed=seed, limits=limits or {}, space=space)
    document = yaml.safe_load(path.read_text())
    objectives = objectives or document["search"]["objectives"]
    document["search"] = {"engine": engine, "objectives": objectives, **ENGINES.get(engine, {}), **keys}
    path.write_text(yaml.safe_dump(document))
    problem = load_problem(path)
    told = []
    return StudyJob(
        Request(problem=problem, folder=folder / "run"),
        RunDirectory(folder / "run"),
        space_for(problem.study.space, problem.network),
        {"study": problem.study.model_dump(mode="json", by_alias=True)},
        lambda *what: told.append(what),
        iter(np.arange(1e6)).__next__,
    )


def searched(job, loss=summed_loss):
    return search_stage(job, SimpleNamespace(loss_db=loss), [])


def brute_force(job, loss=summed_loss):
    """Objectives of the front of every design, by the estimator, equal points once."""
    evaluation = evaluator(job.problem, loss)(plans_from(job.space, all_choices(job.space)))
    front = feasible_front(evaluation.objectives, evaluation.feasible)
    return rounded(evaluation.objectives[front])


def rounded(objectives):
    points = np.round(objectives, 9)
    return points[distinct(points)][np.lexsort(points[distinct(points)].T)]


def front_of(result):
    return rounded(result.objectives[result.front])


def same(left, right):
    return (
        plan_keys(left.plans) == plan_keys(right.plans)
        and np.array_equal(left.objectives, right.objectives)
        and left.front_sha256 == right.front_sha256
        and left.facts == right.facts
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [summed_loss, coupled_loss])
def test_a_small_space_is_searched_to_its_true_front(tmp_path, engine, loss):
    job = job_in(tmp_path, engine, **({"evaluations": 6_000} if engine != "exact" else {}))
    assert job.space.designs == 4_096
    result = searched(job, loss)
    assert np.array_equal(front_of(result), brute_force(job, loss))
    facts = result.facts
    assert facts["proof"]["reference"] == "enumerated"
    assert facts["proof"]["hypervolume_frac"] == facts["proof"]["coverage_frac"] == 1.0
    assert facts["proof"]["random"]["hypervolume_frac"] <= 1.0


@pytest.mark.parametrize("engine", ["exact", "auto"])
@pytest.mark.parametrize("limits", [{}, {"quality_loss_db": 0.4}])
def test_a_large_space_is_taken_apart_to_the_same_front(tmp_path, monkeypatch, engine, limits):
    job = job_in(tmp_path, engine, limits=limits, **({"eps_frac": 0.0, "eps_db": 0.0}))
    for module in (exact, proof):
        monkeypatch.setattr(module, "ENUMERATED_DESIGNS", 0)
    result = searched(job)
    assert np.array_equal(front_of(result), brute_force(job))
    assert result.facts["proof"]["reference"] == "exact"
    assert result.facts["looked_at"] > 0


def test_exact_refuses_by_name_what_is_not_separable_and_auto_takes_it(tmp_path, monkeypatch):
    for module in (exact, proof):
        monkeypatch.setattr(module, "ENUMERATED_DESIGNS", 0)
    monkeypatch.setattr(proof, "REFEREE_EVALUATIONS", 400)
    with pytest.raises(BadInput, match="quality_loss_db that is a sum over layers"):
        searched(job_in(tmp_path / "exact", "exact"), coupled_loss)
    assert not (tmp_path / "exact" / "run").exists() or not list((tmp_path / "exact" / "run").glob("*.log"))
    facts = searched(job_in(tmp_path / "auto", "auto"), coupled_loss).facts
    assert facts["proof"]["reference"] == "best_known"
    assert facts["proof"]["hypervolume_frac_at_least"] is None
    assert 0.9 < facts["proof"]["hypervolume_frac"] <= 1.0


@pytest.mark.parametrize("engine", ENGINES)
def test_plans_of_each_structure_alone_are_among_the_candidates(tmp_path, engine):
    job = job_in(tmp_path, engine, space={})
    picks = chosen_picks(job, searched(job))
    assert {"weight", "block", "unit"} <= {pick.structure for pick in picks.picks}
    assert picks.missing == ()


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_seeds_give_equal_searches(tmp_path, engine):
    first, second = (searched(job_in(tmp_path / name, engine)) for name in "ab")
    assert same(first, second)


@pytest.mark.parametrize("engine", ["optuna", *ENGINES])
@pytest.mark.parametrize("left", ["nothing", "found", "part of the journal", "the journal"])
def test_a_search_stopped_anywhere_goes_on_to_the_same_result(tmp_path, engine, left):
    keys = {"trials": 24, "population": 4, "screened_plans": 8} if engine == "optuna" else {}
    whole = searched(job_in(tmp_path / "whole", engine, **keys))
    job = job_in(tmp_path / "stopped", engine, **keys)
    searched(job)
    kept = {"nothing": (), "found": ("search-found",)}.get(left, ("search-found",))
    for path in (job.run.folder / "stages").iterdir():
        if path.stem not in kept:
            path.unlink()
    lines = job.run.journal.read_bytes().splitlines(keepends=True)
    if left == "part of the journal":
        job.run.journal.write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"torn')
    elif left != "the journal":
        job.run.journal.unlink()
    assert same(whole, searched(job))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_finished_search_is_not_done_again(tmp_path, engine, monkeypatch):
    job = job_in(tmp_path, engine)
    whole, journal = searched(job), job.run.journal.read_bytes()
    for name in ("found_by_engine", "prove"):
        monkeypatch.setattr(searching, name, lambda *_, **__: pytest.fail("searched again"))
    monkeypatch.setattr(driver, "propose", lambda *_, **__: pytest.fail("suggested again"))
    assert same(whole, searched(job))
    assert job.run.journal.read_bytes() == journal


def test_another_loss_is_another_search(tmp_path):
    job = job_in(tmp_path, "exact")
    searched(job)
    with pytest.raises(UsageError, match="another search"):
        search_stage(job, SimpleNamespace(loss_db=coupled_loss), [{"layer": "lstm_1"}])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_record_holds_the_elites_and_says_who_searched(tmp_path, engine):
    job = job_in(tmp_path, engine, elites=ELITES)
    result = searched(job)
    with open_record(job.run.journal, directions=["minimize"] * 3, fingerprint=None) as record:
        trials, attributes = record.finished_trials(), record.study.user_attrs
    elites = [trial for trial in trials if trial.island == "elites"]
    assert len(elites) == ELITES < len(result.front) + 30
    assert result.recorded == len(trials) == ELITES + (30 if engine == "auto" else 0)
    points = result.objectives[: result.suggested_from].tolist()
    assert all(list(trial.objectives) in points for trial in elites)
    facts = result.facts
    for name in ("engine", "seed", "evaluations", "recorded"):
        assert attributes[f"npuexplore:{name}"] == facts[name]
    assert attributes["npuexplore:front_sha256"] == result.front_sha256
    assert attributes["npuexplore:coverage_frac"] == facts["proof"]["coverage_frac"]


def test_optuna_goes_on_from_the_elites_and_its_share_is_told(tmp_path, monkeypatch):
    histories = []
    suggest = driver.propose

    def watched(*arguments, **keywords):
        histories.append([trial.island for trial in keywords["history"]])
        return suggest(*arguments, **keywords)

    monkeypatch.setattr(driver, "propose", watched)
    facts = searched(job_in(tmp_path, "auto", evaluations=100, eps_frac=1.0, eps_db=1.0)).facts
    assert set(histories[0]) == {"elites"}
    assert facts["evaluations"] == 130
    share = facts["optuna"]
    assert share["trials"] == 30
    assert share["hypervolume_frac_before"] <= share["hypervolume_frac_after"] <= 1.0


@pytest.mark.parametrize("engine", ["exact", "evolve", "auto"])
def test_a_space_without_a_plan_within_the_limits_names_the_nearest(tmp_path, engine):
    def hopeless(plans):
        return 40.0 + summed_loss(plans)

    with pytest.raises(LimitsNotMet, match=r"quality_loss_db is the tightest limit; the nearest plan \("):
        searched(job_in(tmp_path, engine), hopeless)


@pytest.mark.parametrize("enumerated", [True, False])
def test_optuna_without_a_plan_within_the_limits_ends_with_an_empty_front(tmp_path, monkeypatch, enumerated):
    if not enumerated:
        for module in (exact, proof):
            monkeypatch.setattr(module, "ENUMERATED_DESIGNS", 0)
    keys = {"trials": 12, "population": 4, "screened_plans": 0}
    result = searched(job_in(tmp_path, "optuna", **keys), lambda plans: 40.0 + summed_loss(plans))
    assert result.front.size == 0
    found = result.facts["proof"]
    assert found["hypervolume_frac"] == found["coverage_frac"] == found["reference_points"] == 0


def test_four_objectives_are_proved_too(tmp_path):
    objectives = ["latency_ms", "flash_bytes", "sram_bytes", "quality_loss_db"]
    job = job_in(tmp_path, "exact", objectives=objectives)
    result = searched(job)
    assert np.array_equal(front_of(result), brute_force(job))
    assert result.facts["proof"]["hypervolume_frac"] == 1.0


def test_stages_are_plain_json_without_a_place(tmp_path):
    job = job_in(tmp_path, "auto")
    searched(job)
    for name in ("search", "search-found"):
        assert str(tmp_path) not in json.dumps(read_stage(job.run, name))
