"""`evolve` as a sampler of Optuna: fronts, seeds, limits, resumption, no design twice."""

import subprocess
import sys
from itertools import product

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from npuexplore.errors import UsageError
from npuexplore.search import EvolveSampler
from npuexplore.search.genes import Genes, choices_of, nearest
from npuexplore.search.pareto import nondominated
from npuexplore.search.storage import quiet_optuna

KINDS = {
    "structure": CategoricalDistribution(["dense", "weight", "block", "unit"]),
    "bits": IntDistribution(4, 16, step=4),
    "sparsity": FloatDistribution(0.0, 0.9, step=0.1),
    "rate": IntDistribution(0, 20),
}
PRICE = {"dense": 0.0, "weight": 0.2, "block": 0.5, "unit": 0.9}


@pytest.fixture(autouse=True)
def quiet():
    with quiet_optuna():
        yield


def figures(params):
    """Bytes and loss: more of anything is smaller and worse."""
    kept = 1.0 - params["sparsity"] * PRICE[params["structure"]]
    stored = kept * params["bits"] * (1.0 - 0.02 * params["rate"])
    loss = params["sparsity"] ** 2 * (0.5 + PRICE[params["structure"]]) + 1.0 / params["bits"]
    return stored, loss + 0.01 * params["rate"]


def objective(trial):
    return figures({name: trial._suggest(name, kind) for name, kind in KINDS.items()})


def every_design():
    values = [list(choices_of(kind)) for kind in KINDS.values()]
    return [dict(zip(KINDS, row, strict=True)) for row in product(*values)]


@pytest.fixture(scope="module")
def front():
    """The true front, by looking at all 3,360 designs."""
    points = np.array([figures(params) for params in every_design()])
    return np.unique(points[nondominated(points)].round(9), axis=0)


def study_of(sampler, **options):
    return optuna.create_study(**{"directions": ["minimize"] * 2, "sampler": sampler, **options})


def params_of(study):
    return [tuple(trial.params.values()) for trial in study.trials]


def share(study, front):
    found = {tuple(row) for row in np.array([trial.values for trial in study.trials]).round(9)}
    return np.mean([tuple(point) in found for point in front])


def test_it_finds_more_of_a_known_front_than_optunas_nsga2(front):
    shares = {}
    for name, sampler in (
        ("evolve", EvolveSampler(seed=1, population=20)),
        ("nsga2", optuna.samplers.NSGAIISampler(seed=1, population_size=20)),
    ):
        study = study_of(sampler)
        study.optimize(objective, n_trials=400)
        shares[name] = share(study, front)
    assert shares["evolve"] > max(0.3, shares["nsga2"])


def test_the_same_seed_gives_the_same_trials_and_another_seed_others():
    studies = [study_of(EvolveSampler(seed=seed)) for seed in (1, 1, 2)]
    for study in studies:
        study.optimize(objective, n_trials=60)
    assert params_of(studies[0]) == params_of(studies[1]) != params_of(studies[2])


def test_a_study_that_was_stopped_goes_on_as_if_it_had_not_been():
    storage = optuna.storages.InMemoryStorage()
    whole = study_of(EvolveSampler(seed=3, population=10))
    whole.optimize(objective, n_trials=90)
    study_of(None, storage=storage, study_name="stopped")
    for _ in range(3):
        study = optuna.load_study(
            study_name="stopped", storage=storage, sampler=EvolveSampler(seed=3, population=10)
        )
        study.optimize(objective, n_trials=30)
    assert params_of(study) == params_of(whole)


def test_a_trial_lost_to_a_crash_is_proposed_again():
    whole = study_of(EvolveSampler(seed=3, population=10))
    whole.optimize(objective, n_trials=40)
    broken = study_of(EvolveSampler(seed=3, population=10))
    broken.optimize(objective, n_trials=25)
    lost = broken.ask(KINDS)
    broken.tell(lost, state=optuna.trial.TrialState.FAIL)
    broken.optimize(objective, n_trials=15)
    kept = [tuple(trial.params.values()) for trial in broken.trials if trial.state.name == "COMPLETE"]
    assert kept == params_of(whole)


def test_no_design_is_proposed_twice_while_there_are_others():
    small = {"bits": IntDistribution(1, 5), "structure": CategoricalDistribution("abc")}
    study = study_of(EvolveSampler(seed=1, population=4, search_space=small))
    for _ in range(15):
        trial = study.ask(small)
        study.tell(trial, [trial.params["bits"], -trial.params["bits"]])
    assert len(set(params_of(study))) == 15
    assert set(study.ask(small).params) == {"bits", "structure"}


def test_designs_that_others_are_at_are_not_proposed():
    small = {"bits": IntDistribution(1, 6)}
    study = study_of(EvolveSampler(seed=1, population=4, search_space=small))
    assert sorted(study.ask(small).params["bits"] for _ in range(6)) == [1, 2, 3, 4, 5, 6]


def seeded(sampler):
    """A study with twelve seeds around one design."""
    study = study_of(sampler)
    for rate in range(12):
        params = {"structure": "unit", "bits": 4, "sparsity": 0.9, "rate": rate}
        study.add_trial(
            optuna.trial.create_trial(values=[0.01 * rate, -0.01 * rate], params=params, distributions=KINDS)
        )
    return study


def test_seeds_become_parents():
    study = seeded(EvolveSampler(seed=1, population=10))
    study.optimize(objective, n_trials=30)
    children = study.trials[12:]
    alike = np.mean(
        [
            [trial.params[name] == seed for trial in children]
            for name, seed in (("structure", "unit"), ("bits", 4))
        ]
    )
    assert alike > 0.6
    assert len(set(params_of(study))) == 42


def test_limits_are_kept_where_they_can_be():
    def limited(trial):
        stored, loss = objective(trial)
        trial.set_constraint("loss", loss - 0.3)
        return stored, loss

    study = study_of(EvolveSampler(seed=1, population=20))
    study.optimize(limited, n_trials=150)
    late = [max(trial.constraints.values()) <= 0.0 for trial in study.trials[100:]]
    early = [max(trial.constraints.values()) <= 0.0 for trial in study.trials[:20]]
    assert np.mean(late) > 0.7 > 0.6 > np.mean(early)


def test_what_is_to_be_maximised_is():
    study = study_of(EvolveSampler(seed=1, population=10), directions=["maximize"])
    study.optimize(lambda trial: -((trial.suggest_int("a", 0, 99) - 70) ** 2), n_trials=60)
    assert study.best_value > -5


def test_infinite_values_are_no_parents():
    def endless(trial):
        stored, loss = objective(trial)
        return (float("inf"), loss) if trial.params["bits"] == 4 else (stored, loss)

    study = study_of(EvolveSampler(seed=1, population=10))
    study.optimize(endless, n_trials=80)
    assert np.mean([trial.params["bits"] == 4 for trial in study.trials[40:]]) < 0.25


def test_parameters_that_only_some_trials_have_are_chosen_at_random():
    def conditional(trial):
        stored, loss = objective(trial)
        if trial.params["structure"] == "block":
            stored += trial.suggest_int("width", 1, 4)
        return stored, loss

    study = study_of(EvolveSampler(seed=1, population=10))
    study.optimize(conditional, n_trials=60)
    widths = [trial.params["width"] for trial in study.trials if "width" in trial.params]
    assert len(set(widths)) > 1


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        (IntDistribution(2, 8, step=3), 3),
        (IntDistribution(1, 10**6, log=True), 762),
        (IntDistribution(0, 10**9), 10**9 + 1),
        (FloatDistribution(0.0, 1.0, step=0.1), 11),
        (FloatDistribution(-1.0, 1.0), 1001),
        (FloatDistribution(1e-5, 1.0, log=True), 1001),
        (CategoricalDistribution([1, True, 1.0, None, "x"]), 5),
    ],
)
def test_every_kind_of_parameter_has_choices_that_optuna_takes(kind, count):
    genes = Genes({"a": kind})
    assert genes.sizes.tolist() == [count]
    for gene in {0, count // 2, count - 1}:
        value = genes.params((gene,))["a"]
        assert kind._contains(kind.to_internal_repr(value))
        assert genes.params(genes.genome({"a": value}))["a"] == value


def test_a_value_between_the_choices_belongs_to_the_nearest():
    assert [nearest(range(0, 10, 3), value) for value in (-1, 1, 2, 4.5, 4.6, 99)] == [0, 0, 1, 1, 2, 3]


def test_values_outside_a_space_have_no_genes():
    genes = Genes({"a": IntDistribution(0, 3)})
    assert genes.genome({"a": 4}) is None
    assert genes.genome({"b": 1}) is None


def test_a_population_too_small_to_evolve_is_refused():
    with pytest.raises(UsageError, match="at least 4"):
        EvolveSampler(population=3)


def test_the_sampler_is_exported_without_importing_optuna_before_it_is_used():
    code = (
        "import sys, npuexplore.search as search; assert 'optuna' not in sys.modules; "
        "search.EvolveSampler; sys.exit('optuna' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
