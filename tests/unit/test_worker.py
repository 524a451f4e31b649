"""What a study passes on to the processes that help with its search, and where it says that it does."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_study

from npuexplore.cost.estimate import block_shapes
from npuexplore.errors import BadInput, UsageError
from npuexplore.pipeline import worker
from npuexplore.pipeline.objectives import evaluator
from npuexplore.pipeline.problem import load_problem
from npuexplore.pipeline.quality import _cases, sensitivity_model
from npuexplore.pipeline.recovery import guessed_recovery
from npuexplore.pipeline.run_directory import RunDirectory, read_stage
from npuexplore.search.shared_search import Invitation, Place
from npuexplore.search.space import plans_from, random_choices, space_for

SECRET = "postgresql+psycopg://ada:secret@db.example/studies"


@pytest.fixture
def job(tmp_path):
    problem = load_problem(tiny_study.write_study(tmp_path))
    space = space_for(problem.study.space, problem.network, block_shapes(problem.profile))
    request = SimpleNamespace(storage=None, heartbeat_s=5)
    return SimpleNamespace(problem=problem, space=space, run=RunDirectory(tmp_path / "tiny"), request=request)


@pytest.fixture
def rows(job):
    losses_db = np.random.default_rng(2).uniform(0.0, 1.0, 1_000)
    return [
        {"layer": layer, **choice.model_dump(mode="json"), "one_shot_loss_db": float(loss_db)}
        for (layer, choice), loss_db in zip(_cases(job.space), losses_db, strict=False)
    ]


@pytest.mark.parametrize("learned", [None, guessed_recovery(0.4)], ids=["first round", "second round"])
def test_who_joins_evaluates_plans_as_the_main_process_does(job, rows, learned):
    model = sensitivity_model(rows, job.problem.network, recovery_frac=0.2)
    model = replace(model, recovery=learned)
    told = [] if learned is None else [{"recovery": learned.document()}]
    document = json.loads(json.dumps(worker._document(job, [*rows, *told], "c")))
    task = worker._task(Invitation(Place("sqlite:///x.db", "tiny"), 24, False, document))
    plans = plans_from(job.space, random_choices(job.space, np.random.default_rng(1), 50))
    own, theirs = evaluator(job.problem, model.loss_db)(plans), task.evaluate(plans)
    assert (own.objectives == theirs.objectives).all()
    assert (own.violations == theirs.violations).all()
    assert (task.seed, task.target, task.context) == (1, 24, "c")


def test_an_invitation_without_sensitivities_is_refused(job, rows):
    document = worker._document(job, rows, "c")
    del document["sensitivity"]
    with pytest.raises(BadInput, match="lacks the sensitivities"):
        worker._task(Invitation(Place("sqlite:///x.db", "tiny"), 24, False, document))


def test_a_run_without_a_storage_keeps_its_search_to_itself(job):
    assert worker.shared_place(job) is None
    assert read_stage(job.run, worker.STAGE) is None


def test_a_run_remembers_its_storage_without_the_password(job):
    job.request.storage = SECRET
    assert worker.shared_place(job) == Place(SECRET, "tiny", 5)
    assert worker.shared_place(job, "search-2").study_name == "tiny-search-2"
    assert "secret" not in job.run.stage(worker.STAGE).read_text()
    job.request.storage = None
    with pytest.raises(UsageError, match=r"ada:\*\*\*@db.example/studies, whose password is kept nowhere"):
        worker.shared_place(job)


def test_a_run_goes_on_in_the_storage_that_it_began_with(job):
    job.request.storage = "sqlite:///one.db"
    worker.shared_place(job)
    job.request.storage = None
    assert worker.shared_place(job).storage == "sqlite:///one.db"
    job.request.storage = "sqlite:///two.db"
    with pytest.raises(UsageError, match=r"shared in sqlite:///one\.db, not in sqlite:///two\.db"):
        worker.shared_place(job)
