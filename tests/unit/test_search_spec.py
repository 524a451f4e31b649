"""What a study may say of its search: each engine reads its own keys, and nothing else is passed over."""

import pytest
from pydantic import ValidationError

from npuexplore.search.spec import DEFAULTS_OF, KEYS_OF, OWN_KEYS, SearchSpec


@pytest.mark.parametrize("engine", KEYS_OF)
def test_a_search_that_was_written_is_read_back(engine):
    spec = SearchSpec(engine=engine)
    assert SearchSpec.model_validate_json(spec.model_dump_json()) == spec


def test_what_optuna_does_not_read_is_not_written():
    assert set(SearchSpec().model_dump()) == {
        "engine", "sampler", "trials", "population", "screened_plans", "objectives"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "key"), [(engine, key) for engine in KEYS_OF for key in sorted(OWN_KEYS - KEYS_OF[engine])]
)
def test_a_key_of_another_engine_is_refused_with_those_that_read_it(engine, key):
    value = "tpe" if key == "sampler" else 0.5 if key.startswith("eps") else 100
    with pytest.raises(ValidationError, match=f"{key} means nothing to engine {engine}"):
        SearchSpec.model_validate({"engine": engine, key: value})


@pytest.mark.parametrize(
    "given",
    [
        {"engine": "exact", "eps_frac": 1.5},
        {"engine": "exact", "eps_db": -0.1},
        {"engine": "exact", "elites": 7},
        {"engine": "exact", "elites": 5_001},
        {"engine": "evolve", "evaluations": 99},
        {"engine": "evolve", "evaluations": 10_000_001},
        {"engine": "auto", "trials": 7},
        {"engine": "simplex"},
        {"engine": ["exact"]},
        {"engine": "exact", "trails": 100},
    ],
)
def test_values_out_of_bounds_and_unknown_words_are_refused(given):
    with pytest.raises(ValidationError):
        SearchSpec.model_validate(given)


def test_engines_take_for_granted_what_suits_them():
    for engine, defaults in DEFAULTS_OF.items():
        spec = SearchSpec(engine=engine)
        assert {name: getattr(spec, name) for name in defaults} == defaults
    assert SearchSpec(engine="auto", population=30).population == 30


@pytest.mark.parametrize("engine", ["evolve", "auto"])
@pytest.mark.parametrize(("given", "population"), [({}, 200), ({"evaluations": 1_000}, 47)])
def test_the_population_follows_the_evaluations_unless_it_is_given(engine, given, population):
    assert SearchSpec.model_validate({"engine": engine, **given}).population == population
    own = SearchSpec.model_validate({"engine": engine, **given, "population": 12})
    assert own.population == 12


@pytest.mark.parametrize("evaluations", [10**400, 99, "many", None])
def test_evaluations_that_are_none_are_refused_for_what_they_are(evaluations):
    with pytest.raises(ValidationError) as refused:
        SearchSpec.model_validate({"engine": "evolve", "evaluations": evaluations})
    assert [error["loc"] for error in refused.value.errors()] == [("evaluations",)]
