"""docs/results/search: the best-known front is the one that was made, and the page says what was measured."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from npuexplore.cost.estimate import estimate
from npuexplore.errors import BadInput
from npuexplore.search.engines.separable import separable_model
from npuexplore.search.pareto import nondominated
from npuexplore.search.space import plans_from, random_choices, space_for
from npuexplore.workload.load import load_network

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "docs" / "results" / "search"


def benchmark(name: str) -> ModuleType:
    sys.path.insert(0, str(REPOSITORY / "benchmarks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


fronts, problems = benchmark("best_known_front"), benchmark("front_problem")


@dataclass(frozen=True)
class Model:
    """A full model that says what it is told to."""

    objectives: np.ndarray
    question: Any = problems.PLAIN

    def full(self, rows: np.ndarray) -> np.ndarray:
        return self.objectives


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("best-known.npz", "best-known.json"):
        shutil.copy(FOLDER / name, tmp_path / name)
    return tmp_path


def kept(question: Any = problems.PLAIN) -> tuple[np.ndarray, np.ndarray]:
    with np.load(question.kept(fronts.FRONT), allow_pickle=False) as arrays:
        return arrays["rows"].astype(np.int64), arrays["objectives"]


QUESTIONS = pytest.mark.parametrize(
    "question", [problems.PLAIN, problems.WITH_ENERGY], ids=["plain", "energy"]
)


@QUESTIONS
def test_the_front_that_is_kept_is_read(question: Any) -> None:
    rows, objectives = kept(question)
    found = fronts.read_best_known(Model(objectives, question))
    assert (found.rows == rows).all()
    assert found.document["points"] == len(rows)
    assert nondominated(objectives).all()


def test_a_changed_byte_is_seen(copied: Path) -> None:
    content = bytearray((copied / "best-known.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (copied / "best-known.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"^best-known.npz: SHA-256 is \w{12}.*best_known_front.py$"):
        fronts.read_best_known(Model(kept()[1]), copied)


def test_a_front_of_other_losses_is_stale(copied: Path) -> None:
    document = json.loads((copied / "best-known.json").read_text())
    (copied / "best-known.json").write_text(json.dumps({**document, "problem_sha256": "0" * 64}))
    with pytest.raises(BadInput, match="the front is stale: the space or the measured losses"):
        fronts.read_best_known(Model(kept()[1]), copied)


def test_a_front_of_which_the_model_says_something_else_is_stale(copied: Path) -> None:
    objectives = kept()[1].copy()
    objectives[3, 0] += 1e-6
    with pytest.raises(BadInput, match=r"the front is stale: the model says something else of 1 of its"):
        fronts.read_best_known(Model(objectives), copied)


def test_a_front_that_is_missing_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"make one: python benchmarks/best_known_front.py"):
        fronts.read_best_known(Model(np.zeros((0, 3))), tmp_path)


@QUESTIONS
def test_the_estimator_says_today_what_the_front_says(question: Any) -> None:
    rows, objectives = kept(question)
    some = np.linspace(0, len(rows) - 1, 25).astype(int)
    plans = plans_from(problems.problem_space(), rows[some])
    costs = estimate(question.profile, load_network(problems.NETWORK), plans)
    for column, name in enumerate(question.objectives[:-1]):
        assert np.log10(getattr(costs, name)) == pytest.approx(objectives[some, column], abs=1e-9)


@QUESTIONS
def test_what_layers_lose_alone_adds_up_to_the_sensitivity_model(question: Any) -> None:
    small = problems.SPEC.model_copy(update={"sparsity_frac": (0.0, 0.5, 0.9), "blocks": ((4, 4),)})
    space = space_for(small, load_network(problems.NETWORK))
    measured = problems.summed_model(problems.measured_losses())
    model = separable_model(
        space,
        question.profile,
        objectives=question.objectives,
        constraints=(),
        loss_db=measured.loss_db,
    )
    rows = random_choices(space, np.random.default_rng(7), 300)
    summed_db = measured.loss_db(plans_from(space, rows))
    alone = problems.Problem(model, {}, question)
    assert alone.full(rows)[:, -1] == pytest.approx(summed_db, abs=1e-9)
    assert alone.summed(rows)[:, -1] == pytest.approx(summed_db, abs=1e-9)
    coupled = problems.Problem(model, {(0, 1): -0.5}, question)
    assert (coupled.full(rows)[:, -1] < summed_db).any()
    plans = plans_from(space, rows)
    assert coupled.loss_db(plans) == pytest.approx(coupled.full(rows)[:, -1], abs=1e-9)
    assert (coupled.full(rows)[:, :-1] == alone.full(rows)[:, :-1]).all()


def test_layers_together_never_lose_less_than_the_worst_alone() -> None:
    own = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 0.5]])
    every = {(0, 1): -1.0, (0, 2): -1.0, (1, 2): -1.0}
    assert problems.together(own, every).tolist() == [1.0, 2.0]
    assert problems.together(own, {}).tolist() == [3.0, 2.5]
    assert problems.together(own, {(1, 2): 0.5}).tolist() == [3.5, 2.5]


def test_a_pair_that_loses_half_of_the_smaller_on_top_is_fitted_so() -> None:
    names = [layer.name for layer in load_network(problems.NETWORK).layers]
    pairs = [
        {"alone_db": {names[a]: one, names[b]: two}, "together_db": one + two + 0.5 * min(one, two)}
        for a in range(4)
        for b in range(a + 1, 4)
        for one, two in ((1.0, 2.0), (4.0, 0.5), (0.05, 0.3))
    ]
    assert set(problems.fitted_coupling({"pairs": pairs}).values()) == {0.5}


def test_the_page_says_what_was_measured() -> None:
    questions = (problems.PLAIN, problems.WITH_ENERGY)
    both = [
        json.loads(question.kept("search-front.json").read_text(encoding="utf-8")) for question in questions
    ]
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == benchmark("front_page").page(*both)
    for question, found in zip(questions, both, strict=True):
        document = json.loads(question.kept(fronts.DESCRIBED).read_text(encoding="utf-8"))
        named = ("command", "sha256", "points", "searches")
        assert found["best_known"] == {
            "file": question.kept(fronts.FRONT).name,
            **{key: document[key] for key in named},
        }
        assert found["losses"] == problems.losses_document(problems.measured_losses())
